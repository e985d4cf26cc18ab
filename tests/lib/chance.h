/*
 * Random numbers that a seed decides (xorshift64).
 */
#ifndef TESTS_CHANCE_H
#define TESTS_CHANCE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

/* Uniform enough. */
static inline unsigned chance_draw(struct chance *c, unsigned below)
{
	assert(below > 0);
	c->state ^= c->state << 13;
	c->state ^= c->state >> 7;
	c->state ^= c->state << 17;
	return (unsigned)((c->state >> 20) % below);
}

/* Seeds that lie beside each other have nothing in common. */
static inline struct chance chance_of(uint64_t seed)
{
	struct chance c = { (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1 };

	for (int i = 0; i < 8; i++)
		(void)chance_draw(&c, 2);
	return c;
}

static inline bool chance_is(struct chance *c, unsigned of_thousand)
{
	return chance_draw(c, 1000) < of_thousand;
}

#endif
