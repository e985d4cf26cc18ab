#include "tests/lib/ops_history_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *ops_alloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p) {
		(void)fputs("a history: out of memory\n", stderr);
		abort();
	}
	return p;
}

struct ops_history *ops_history_create(void)
{
	struct ops_history *h = ops_alloc(1, sizeof(*h));

	h->words_room = 256;
	h->words = ops_alloc(h->words_room, sizeof(*h->words));
	return h;
}

void ops_history_destroy(struct ops_history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->words_room; i++)
		free(h->words[i]);
	free(h->words);
	free(h->events);
	free(h);
}

static char **find_word(char **words, size_t room, const char *word)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	size_t at;

	for (const char *p = word; *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	at = hash % room;
	while (words[at] && strcmp(words[at], word) != 0)
		at = (at + 1) % room;
	return &words[at];
}

static void grow_words(struct ops_history *h)
{
	const size_t room = 2 * h->words_room;
	char **words = ops_alloc(room, sizeof(*words));

	for (size_t i = 0; i < h->words_room; i++)
		if (h->words[i])
			*find_word(words, room, h->words[i]) = h->words[i];
	free(h->words);
	h->words = words;
	h->words_room = room;
}

/* The one copy of a word, so that equal words have equal addresses. */
static const char *keep(struct ops_history *h, const char *word)
{
	char **place;

	if (!word)
		return "-";
	if (2 * h->words_count >= h->words_room)
		grow_words(h);
	place = find_word(h->words, h->words_room, word);
	if (!*place) {
		*place = ops_alloc(strlen(word) + 1, 1);
		memcpy(*place, word, strlen(word) + 1);
		h->words_count++;
	}
	return *place;
}

void ops_history_add(struct ops_history *h, const struct ops_event *event)
{
	struct ops_event *e;

	if (h->count == h->room) {
		struct ops_event *more = ops_alloc(h->room ? 2 * h->room : 64, sizeof(*more));

		if (h->count)
			memcpy(more, h->events, h->count * sizeof(*more));
		free(h->events);
		h->events = more;
		h->room = h->room ? 2 * h->room : 64;
	}
	e = &h->events[h->count++];
	*e = *event;
	e->process = keep(h, event->process);
	e->election = keep(h, event->election);
	e->key = keep(h, event->key);
}

size_t ops_history_count(const struct ops_history *h)
{
	return h->count;
}

const struct ops_event *ops_history_at(const struct ops_history *h, size_t i)
{
	return &h->events[i];
}

enum ops_outcome ops_outcome_of_write(fsha_result result, const fsha_error *error)
{
	switch (result) {
	case FSHA_OK:
		return OPS_OK;
	case FSHA_E_INDOUBT:
		return OPS_UNKNOWN;
	case FSHA_E_FENCED:
		return error && !error->maybe_done ? OPS_FAILED : OPS_UNKNOWN;
	default:
		return OPS_FAILED;
	}
}

enum ops_outcome ops_outcome_of_read(fsha_result result)
{
	switch (result) {
	case FSHA_OK:
		return OPS_OK;
	case FSHA_E_NOT_FOUND:
		return OPS_ABSENT;
	case FSHA_E_CORRUPT:
		return OPS_DAMAGED;
	default:
		return OPS_FAILED;
	}
}
