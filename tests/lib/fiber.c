#include "tests/lib/fiber.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#endif
#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Under sanitizers the frames are several times as large. Only what is touched costs memory. */
#define STACK_SIZE ((size_t)1 << 20)
#define GUARD_SIZE ((size_t)1 << 16)
/* Kept for the next fiber: to map one anew and touch its pages takes longer than a short run. */
#define SPARE_MAX 64

struct fiber {
	void (*body)(void *arg);
	void *arg;
	char *stack; /* the guard is below it */
	ucontext_t context, caller;
	bool running, ended;
#ifdef FIBER_ASAN
	void *fake_stack; /* of the one that is left */
	const void *caller_stack;
	size_t caller_size;
#endif
#ifdef FIBER_TSAN
	void *tsan, *tsan_caller;
#endif
};

static char *spare[SPARE_MAX];
static unsigned n_spare;

static char *take_stack(void)
{
	char *memory;

	if (n_spare > 0)
		return spare[--n_spare];
	memory = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
		      /* cppcheck-suppress invalidFunctionArg; as MAP_ANONYMOUS asks */
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED || mprotect(memory, GUARD_SIZE, PROT_NONE) < 0)
		abort();
	(void)VALGRIND_STACK_REGISTER(memory + GUARD_SIZE, memory + GUARD_SIZE + STACK_SIZE);
	return memory + GUARD_SIZE;
}

static void give_stack(char *stack)
{
	if (n_spare < SPARE_MAX)
		spare[n_spare++] = stack;
	else
		(void)munmap(stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
}

/*
 * ---- What the sanitizers are told, before and after each change ----
 *
 * Inlined, because the thread sanitizer notes each entry and exit of a function on the stack of the
 * fiber that it thinks it is in: one that is entered in one and left in the other unbalances both.
 */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE void leaving_for_fiber(struct fiber *f)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->fake_stack, f->stack, STACK_SIZE);
#endif
#ifdef FIBER_TSAN
	f->tsan_caller = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
	f->running = true;
}

static void came_to_fiber(struct fiber *f, void *fake_stack)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(fake_stack, &f->caller_stack, &f->caller_size);
#else
	(void)f;
	(void)fake_stack;
#endif
}

/* At its end its own fake stack goes: there is nowhere to save it. */
static ALWAYS_INLINE void leaving_for_caller(struct fiber *f, void **fake_stack)
{
	f->running = false;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(fake_stack, f->caller_stack, f->caller_size);
#else
	(void)fake_stack;
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(f->tsan_caller, 0);
#endif
}

static void came_to_caller(struct fiber *f)
{
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->fake_stack, NULL, NULL);
#else
	(void)f;
#endif
}

/* ---- The changes ---- */

/* makecontext(3) passes ints. */
static void run_body(unsigned high, unsigned low)
{
	struct fiber *f = (struct fiber *)((uintptr_t)high << 32 | low);

	came_to_fiber(f, NULL);
	f->body(f->arg);
	f->ended = true;
	leaving_for_caller(f, NULL);
	(void)setcontext(&f->caller);
	abort();
}

struct fiber *fiber_create(void (*body)(void *arg), void *arg)
{
	struct fiber *f = calloc(1, sizeof(*f));

	if (!f || getcontext(&f->context) < 0)
		abort();
	f->body = body;
	f->arg = arg;
	f->stack = take_stack();
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&f->context, (void (*)(void))run_body, 2, (unsigned)((uintptr_t)f >> 32),
		    (unsigned)(uintptr_t)f);
#ifdef FIBER_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
	return f;
}

void fiber_resume(struct fiber *f)
{
	assert(!f->running);
	assert(!f->ended);
	leaving_for_fiber(f);
	if (swapcontext(&f->caller, &f->context) < 0)
		abort();
	came_to_caller(f);
}

void fiber_yield(struct fiber *f)
{
	void *fake_stack = NULL;

	assert(f->running);
	leaving_for_caller(f, &fake_stack);
	if (swapcontext(&f->context, &f->caller) < 0)
		abort();
	came_to_fiber(f, fake_stack);
}

bool fiber_ended(const struct fiber *f)
{
	return f->ended;
}

void fiber_abandon(struct fiber *f)
{
	assert(!f->running);
	f->ended = true;
#ifdef FIBER_ASAN
	/* The redzones of frames that were never left. */
	__asan_unpoison_memory_region(f->stack, STACK_SIZE);
#endif
	fiber_destroy(f);
}

void fiber_destroy(struct fiber *f)
{
	if (!f)
		return;
	assert(f->ended);
	give_stack(f->stack);
#ifdef FIBER_TSAN
	__tsan_destroy_fiber(f->tsan);
#endif
	free(f);
}
