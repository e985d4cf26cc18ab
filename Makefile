# fsha. `make help` lists the targets. One Makefile for everything (GNU make 4.3).
#
#   make                           build/fsha, build/libfsha.so, build/libfsha.a
#   make CC=clang-14               the same with another compiler, in build/clang-14
#   make SAN=address,undefined     with sanitizers, in build/san-address-undefined; or SAN=thread
#   make WERROR=1                  warnings are errors
#   make V=1                       shows the commands
#
# CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS of the user come last. Sources are found by their place in the
# tree, so a new file needs no change here.

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
SAN :=
COVERAGE :=
WERROR :=
V :=
TEST_TIMEOUT := $(if $(SAN),300,120)
COVERAGE_MIN := 90

# Every compiler and every sanitizer has a tree of its own, so objects never mix.
comma := ,
compiler := $(notdir $(lastword $(filter-out -%,$(CC))))
flavour := $(patsubst gcc,,$(patsubst cc,,$(compiler))) $(if $(SAN),san-$(subst $(comma),-,$(SAN))) \
	$(if $(COVERAGE),coverage)
empty :=
BUILD := $(patsubst %/,%,build/$(subst $(empty) ,-,$(strip $(flavour))))
O := $(BUILD)/obj

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:
Q := $(if $(V),,@)

# ---- Flags ---------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wcast-qual -Wwrite-strings -Wvla -Wformat-security $(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong
# Needs an optimiser, and hides overruns from the sanitizers.
ifeq ($(SAN),)
HARDEN += $(if $(filter -O -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif
INSTRUMENT := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) \
	$(if $(COVERAGE),--coverage)

LIB_MODULES := libxxhash zlib yaml-0.1 jansson
CLI_MODULES := jansson
ARCHIVE_MODULES := libarchive
TEST_MODULES := cmocka jansson

# Asked once, and only when something is compiled: on a fresh machine there is no pkg-config before
# tools/install-deps has run.
MODULE_CFLAGS = $(eval MODULE_CFLAGS := $$(shell pkg-config --cflags 2>/dev/null \
	$(sort $(LIB_MODULES) $(CLI_MODULES) $(ARCHIVE_MODULES) $(TEST_MODULES))))$(MODULE_CFLAGS)
LIB_LIBS = $(eval LIB_LIBS := $$(shell pkg-config --libs $(LIB_MODULES)))$(LIB_LIBS)
CLI_LIBS = $(eval CLI_LIBS := $$(shell pkg-config --libs $(CLI_MODULES)))$(CLI_LIBS)
ARCHIVE_LIBS = $(eval ARCHIVE_LIBS := $$(shell pkg-config --libs $(ARCHIVE_MODULES)))$(ARCHIVE_LIBS)
# As a system's header: it is not ours to lint.
FUSE_CFLAGS = $(eval FUSE_CFLAGS := $$(patsubst -I%,-isystem %,\
	$$(shell pkg-config --cflags fuse3 2>/dev/null)))$(FUSE_CFLAGS)
FUSE_LIBS = $(eval FUSE_LIBS := $$(shell pkg-config --libs fuse3))$(FUSE_LIBS)
TEST_LIBS = $(eval TEST_LIBS := $$(shell pkg-config --libs $(TEST_MODULES)))$(TEST_LIBS)

BASE_CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -Iinclude
# The same objects go into both libraries, hence -fPIC for all. Only what include/ marks is visible.
BASE_CFLAGS := -std=gnu11 -pthread -fPIC -fvisibility=hidden $(WARNINGS) $(HARDEN) $(INSTRUMENT)
COMPILE = $(CC) $(BASE_CPPFLAGS) $(BASE_CFLAGS) $(MODULE_CFLAGS) $(CPPFLAGS) $(CFLAGS)
BASE_LDFLAGS := -pthread $(INSTRUMENT) -Wl,-z,relro,-z,now -Wl,--as-needed
LINK = $(CC) $(BASE_LDFLAGS) $(CFLAGS) $(LDFLAGS)
# Under sanitizers clang leaves the symbols of its runtime to the program.
SO_LDFLAGS := -shared -Wl,-soname,libfsha.so.0 -Wl,--version-script=src/libfsha.map \
	$(if $(SAN),,-Wl,-z,defs)

# ---- Files ---------------------------------------------------------------------------------------

objects = $(patsubst %.c,$(O)/%.o,$(1))

CLI_SRC := $(wildcard src/cli/*.c)
# `fsha backup` and `fsha restore`: alone with libarchive.
ARCHIVE_SRC := $(wildcard src/archive/*.c)
LIB_SRC := $(wildcard fsutil/*.c) $(filter-out $(CLI_SRC) $(ARCHIVE_SRC),$(wildcard src/*/*.c))
BENCH_SRC := $(wildcard bench/*.c)
TEST_LIB_SRC := $(wildcard tests/lib/*.c)
TEST_SRC := $(wildcard tests/test_*.c)
# What runs the library's threads as fibers, for one test alone.
SIMULATION_SRC := $(wildcard tests/simulation/*.c)
# tests/process/test_*.c are tests with real processes, the others there are programs that these start.
PROCESS_SRC := $(wildcard tests/process/*.c)
# What only root can test.
ROOT_SRC := $(wildcard tests/root/test_*.c)
# A fuzz target each, and what they share; run.c is libFuzzer's part for other compilers.
FUZZ_SRC := $(wildcard tests/fuzz/*.c)
# run.c and member.c are programs; the other files are of both.
STORM_SRC := $(wildcard tests/storm/*.c)
EXAMPLE_SRC := $(wildcard examples/*.c)
# The filesystem is alone with libfuse; tests/fuse/test_*.c are tests on it, the others what they start.
FAULTFS_SRC := $(addprefix tests/fuse/,main.c mount.c rules.c calls.c)
FUSE_SRC := $(filter-out $(FAULTFS_SRC),$(wildcard tests/fuse/*.c))
ALL_SRC := $(LIB_SRC) $(CLI_SRC) $(ARCHIVE_SRC) $(BENCH_SRC) $(TEST_LIB_SRC) $(TEST_SRC) $(PROCESS_SRC) \
	$(SIMULATION_SRC) $(STORM_SRC) $(ROOT_SRC) $(FUZZ_SRC) $(EXAMPLE_SRC) $(FAULTFS_SRC) $(FUSE_SRC)
HEADERS := $(wildcard include/fsha/*.h fsutil/*.h src/*/*.h bench/*.h tests/*.h tests/lib/*.h \
	tests/process/*.h tests/fuse/*.h tests/fuzz/*.h tests/storm/*.h \
	tests/simulation/*.h tools/*.h)

SO := $(BUILD)/libfsha.so
A := $(BUILD)/libfsha.a
CLI := $(if $(CLI_SRC),$(BUILD)/fsha)
ARCHIVE := $(if $(ARCHIVE_SRC),$(BUILD)/fsha-archive)
BENCH := $(if $(BENCH_SRC),$(BUILD)/fsha-bench)
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))
PROCESS := $(patsubst tests/process/%.c,$(BUILD)/tests/process_%,$(PROCESS_SRC))
ROOT := $(patsubst tests/root/test_%.c,$(BUILD)/tests/root_%,$(ROOT_SRC))
FUZZ_TARGETS := $(patsubst tests/fuzz/target_%.c,%,$(filter tests/fuzz/target_%,$(FUZZ_SRC)))
FUZZ := $(patsubst %,$(BUILD)/tests/fuzz_%,$(FUZZ_TARGETS))
FAULTFS := $(BUILD)/tests/fuse_faultfs
FUSE := $(patsubst tests/fuse/%.c,$(BUILD)/tests/fuse_%,$(FUSE_SRC))
# What both of them are made of.
STORM_PARTS := $(filter-out %/run.c %/member.c,$(STORM_SRC)) $(addprefix tests/lib/,ops_history.c \
	ops_history_text.c)
STORM := $(addprefix $(BUILD)/tests/storm_,run member)
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(EXAMPLE_SRC))
SHELL_TESTS := $(wildcard tests/*.sh)

# The headers are the manual; tools/man-page makes pages of them.
MAN := $(wildcard man/*.[1357]) $(patsubst include/fsha/%.h,$(BUILD)/man/fsha_%.3,\
	$(filter-out %/fsha.h,$(wildcard include/fsha/*.h)))

.PHONY: all
all: $(SO) $(A) $(CLI) $(ARCHIVE) $(BENCH) $(MAN) ## build the library and the command (the default)

# `fsha doctor` is in the command alone, which takes it out of the archive.
$(SO).0: $(call objects,$(filter-out src/doctor/%,$(LIB_SRC))) src/libfsha.map
	@echo "  LINK $@"
	$(Q)$(LINK) $(SO_LDFLAGS) -o $@ $(filter %.o,$^) $(LIB_LIBS) $(LDLIBS)

$(SO): $(SO).0
	$(Q)ln -sf $(<F) $@

# Made anew each time: ar would keep the object of a source that is gone.
$(A): $(call objects,$(LIB_SRC))
	@echo "  AR   $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The command holds the library instead of loading it: one file that runs from anywhere, also from
# build/, without a search path in it; and the guard process of `fsha run`, which must stay in memory
# when its parent dies, has fewer pages of its own to relocate. That it uses only the public
# interface is what tools/lint-layers looks at.
$(BUILD)/fsha: $(call objects,$(CLI_SRC) $(if $(COVERAGE),tools/coverage-exit.c)) $(A)
	@echo "  LINK $@"
	$(Q)$(LINK) $(if $(COVERAGE),-Wl$(comma)--wrap=_exit) -o $@ $^ $(LIB_LIBS) $(CLI_LIBS) $(LDLIBS)

# Not fsha's main.c: the line is parsed alike, and it has the library for the system-call table.
$(BUILD)/fsha-archive: $(call objects,$(ARCHIVE_SRC) $(addprefix src/cli/,cli_error.c cli_options.c \
	cli_output.c command_line.c unfinished.c value_file.c)) $(A)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIB_LIBS) $(CLI_LIBS) $(ARCHIVE_LIBS) $(LDLIBS)

$(BUILD)/fsha-bench: $(call objects,$(BENCH_SRC)) $(A)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIB_LIBS) $(CLI_LIBS) $(LDLIBS)

# tests/lib/group.c surrounds every test of every program.
TEST_LINK = $(LINK) -Wl,--wrap=_cmocka_run_group_tests

$(TESTS): $(BUILD)/tests/%: $(O)/tests/%.o $(call objects,$(TEST_LIB_SRC)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(TEST_LINK) $(WRAP) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIB_LIBS) $(TEST_LIBS) $(LDLIBS)

# In the place of threads, of the clock that conditions wait on, and of the events between threads.
SIMULATION_WRAPS := pthread_mutex_lock pthread_mutex_unlock pthread_cond_broadcast pthread_cond_wait \
	pthread_cond_timedwait pthread_create pthread_self clock_gettime fsu_event_open fsu_event_post \
	fsu_event_drain fsu_fd_close
$(BUILD)/tests/test_simulation: WRAP := $(addprefix -Wl$(comma)--wrap=,$(SIMULATION_WRAPS))
$(BUILD)/tests/test_simulation: $(call objects,$(SIMULATION_SRC))

$(BUILD)/tests/test_services_end: WRAP := -Wl,--wrap=pthread_mutex_unlock

$(EXAMPLES): $(BUILD)/examples/%: $(O)/examples/%.o $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIB_LIBS) $(LDLIBS)

$(PROCESS): $(BUILD)/tests/process_%: $(O)/tests/process/%.o $(call objects,$(TEST_LIB_SRC)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(TEST_LINK) -o $@ $^ $(LIB_LIBS) $(TEST_LIBS) $(LDLIBS)

$(ROOT): $(BUILD)/tests/root_%: $(O)/tests/root/test_%.o $(call objects,$(TEST_LIB_SRC)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(TEST_LINK) -o $@ $^ $(LIB_LIBS) $(TEST_LIBS) $(LDLIBS)

$(FUZZ): $(BUILD)/tests/fuzz_%: $(O)/tests/fuzz/target_%.o \
		$(call objects,$(addprefix tests/fuzz/,fuzz.c run.c seal.c)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIB_LIBS) $(LDLIBS)

# The members of the storms work there too.
$(FUSE): $(BUILD)/tests/fuse_%: $(O)/tests/fuse/%.o $(call objects,$(TEST_LIB_SRC) \
	$(addprefix tests/storm/,page.c payload.c stores.c stores_state.c)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(TEST_LINK) -o $@ $^ $(LIB_LIBS) $(TEST_LIBS) $(LDLIBS)

$(call objects,$(FAULTFS_SRC)): BASE_CPPFLAGS += $(FUSE_CFLAGS)
$(FAULTFS): $(call objects,$(FAULTFS_SRC) $(filter tests/lib/crashfs% tests/lib/numbers.c,$(TEST_LIB_SRC))) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIB_LIBS) $(FUSE_LIBS) $(LDLIBS)

# tests/storm/beats.c sees the heartbeats where they leave the process.
$(STORM): $(BUILD)/tests/storm_%: $(O)/tests/storm/%.o $(call objects,$(STORM_PARTS)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -Wl,--wrap=renameat -o $@ $^ $(LIB_LIBS) $(LDLIBS)

$(BUILD)/man/fsha_%.3: include/fsha/%.h tools/man-page
	@mkdir -p $(@D)
	$(Q)tools/man-page $< >$@

# Calls of public functions in tests say so to tests/lib/swept.h: a macro of the name of each, which
# expands to its call, once all of them are declared.
$(BUILD)/swept.h: tools/public-names $(wildcard include/fsha/*.h)
	@mkdir -p $(@D)
	$(Q){ echo '#include "fsha/fsha.h"'; echo '#include "tests/lib/swept.h"'; \
		tools/public-names | sed 's|.*|#define &(...) (swept_note("&"), &(__VA_ARGS__))|'; } >$@

$(call objects,$(TEST_SRC)): $(BUILD)/swept.h
$(call objects,$(TEST_SRC)): SAY := -include $(BUILD)/swept.h

$(O)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(COMPILE) $(SAY) -MMD -MP -c -o $@ $<

-include $(patsubst %.o,%.d,$(call objects,$(ALL_SRC)))

# Changes when the flags do, so that everything is built again then.
$(BUILD)/flags: .always
	@pkg-config --exists $(LIB_MODULES) $(CLI_MODULES) 2>/dev/null || { \
		echo "libraries are missing: run 'make demo' or tools/install-deps" >&2; exit 1; }
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(COMPILE) / $(LINK))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(COMPILE) / $(LINK))' >$@

.PHONY: .always
.always:

# ---- Demonstration and tests ---------------------------------------------------------------------

# What needs libraries runs in a second make, because this one may have started before there were any;
# and on all processors, unless the user said how many. So do the tests.
jobs = $(or $(patsubst -j%,%,$(filter -j%,$(MAKEFLAGS))),$(shell nproc))
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: deps
deps:
	@tools/install-deps build

.PHONY: demo
demo: deps ## kill and suspend leaders and watch what happens; installs what is missing
	@+$(MAKE) --no-print-directory $(PARALLEL) all
	@BUILD='$(abspath $(BUILD))' examples/demo/demo.sh

.PHONY: check
check: deps ## run the tests (-j1: one at a time); installs what is missing
	@+$(MAKE) --no-print-directory $(PARALLEL) check-programs
	@+$(RUN_TESTS)

.PHONY: check-programs
check-programs: all $(TESTS) $(PROCESS) $(ROOT) $(STORM) $(FUSE) $(FUZZ) $(EXAMPLES)

# A sanitizer's finding must fail the test, wherever in it the thread was.
SAN_OPTIONS = \
	ASAN_OPTIONS="$${ASAN_OPTIONS-detect_stack_use_after_return=1:strict_string_checks=1}" \
	UBSAN_OPTIONS="$${UBSAN_OPTIONS-print_stacktrace=1}" \
	TSAN_OPTIONS="$${TSAN_OPTIONS-halt_on_error=1:second_deadlock_stack=1}"
# What goes through many states does so in one thread: the thread sanitizer would only be slow.
RUN_TESTS = BUILD='$(abspath $(BUILD))' $(SAN_OPTIONS) \
	tools/run-tests -j $(jobs) -t $(TEST_TIMEOUT) \
	$(filter-out $(if $(filter thread,$(SAN)),$(EXPLORE)) $(APART),$(TESTS)) $(FUZZ) -- \
	$(filter $(BUILD)/tests/process_test_%,$(PROCESS)) $(SHELL_TESTS)

# ---- Proof ---------------------------------------------------------------------------------------

# What is random or goes through many states, and what needs a filesystem of its own.
EXPLORE := $(filter $(addprefix $(BUILD)/tests/test_,simulation% schedule% crash_model%),$(TESTS))

# What explores leaves the processors to what measures time, and takes what that does not need.
.PHONY: check-long
check-long: export FSHA_TEST_LONG := all
check-long: deps ## check, check-root, check-storm and check-fuse, each at its full size; needs root
	@+$(MAKE) --no-print-directory $(PARALLEL) check-programs storm-programs
	@+nice tools/run-tests -j $(jobs) -t $(LONG_TIMEOUT) $(EXPLORE) >$(BUILD)/explored 2>&1 & \
	explore=$$!; trap 'kill $$explore 2>/dev/null; exit 130' INT TERM; failed=0; \
	$(MAKE) --no-print-directory $(PARALLEL) TEST_TIMEOUT=$(LONG_TIMEOUT) APART='$(EXPLORE)' check && \
	FSHA_TEST_LONG=part $(MAKE) --no-print-directory $(PARALLEL) check-root && \
	$(MAKE) --no-print-directory $(PARALLEL) check-storm && \
	$(MAKE) --no-print-directory $(PARALLEL) check-fuse || failed=1; \
	wait $$explore || failed=1; cat $(BUILD)/explored; exit $$failed
LONG_TIMEOUT := 3600

.PHONY: check-part
check-part: export FSHA_TEST_LONG := part
check-part: deps ## five minutes of check-long
	@+$(MAKE) --no-print-directory $(PARALLEL) $(EXPLORE)
	@tools/run-tests -j $(jobs) -t 600 $(EXPLORE)
	@+$(MAKE) --no-print-directory $(PARALLEL) check-storm
	@+$(MAKE) --no-print-directory $(PARALLEL) check-fuse

# Storms: real processes on filesystems of their own. Needs root.

.PHONY: check-storm
check-storm: ## storms of kills, stops, full disks, shut down filesystems, odd clocks; root, loop devices
	@tools/install-deps build proof
	@+$(MAKE) --no-print-directory $(PARALLEL) storm-programs
	@BUILD='$(abspath $(BUILD))' $(SAN_OPTIONS) tests/storm/check_storm.sh $(STORMS)

.PHONY: storm-programs
storm-programs: $(STORM) $(BUILD)/tests/process_check_history $(CLI)

# A filesystem that hangs, fails and forgets at command. Needs FUSE.

# Three at a time: they wait more than they work.
.PHONY: check-fuse
check-fuse: ## hangs, failures and power cuts of a filesystem under real processes; root, /dev/fuse
	@tools/install-deps build proof
	@tests/fuse/needs
	@+$(MAKE) --no-print-directory $(PARALLEL) check-programs $(FAULTFS)
	@BUILD='$(abspath $(BUILD))' tools/run-tests -j 3 -t 900 \
		$(addprefix $(BUILD)/tests/fuse_test_,power delay storm close hang) \
		tests/fuse/test_run.sh tests/fuse/test_doctor.sh

# The protocol as a model, checked by spin.

.PHONY: check-model
check-model: ## check the protocol exhaustively, and that its checks find mistakes (MODEL=lease: some of them)
	@tools/install-deps build proof
	@tests/model/run -b '$(abspath $(BUILD))' $(MODEL)

# Fuzzers: clang's. What they start from is tests/fuzz/corpus; what they find goes on in the tree
# where they are built.

FUZZ_SECONDS ?= 30

.PHONY: fuzz-smoke
fuzz-smoke: ## fuzz every decoder for FUZZ_SECONDS=30 each, two at a time; needs clang
	@tools/install-deps build proof
	@+$(MAKE) --no-print-directory $(PARALLEL) CC=$(firstword $(foreach c,clang-14 clang,$(shell \
		command -v $(c))) clang-14) SAN=fuzzer-no-link,address,undefined fuzz-run

.PHONY: fuzz-run
fuzz-run: fuzz-programs
	@tests/fuzz/fuzz-targets $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: fuzz-programs
fuzz-programs: $(addprefix $(BUILD)/fuzz/,$(FUZZ_TARGETS))

$(addprefix $(BUILD)/fuzz/,$(FUZZ_TARGETS)): $(BUILD)/fuzz/%: $(O)/tests/fuzz/target_%.o \
		$(call objects,$(addprefix tests/fuzz/,fuzz.c seal.c)) $(A)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIB_LIBS) $(LDLIBS)

# Security: files of other users, and devices in every place.

.PHONY: check-root
check-root: ## the tests that need root: files of other users, devices, a filesystem that is shut down
	@[ "$$(id -u)" = 0 ] || { echo "check-root: only root can make files of other users and" \
		"devices, and mount: sudo make check-root" >&2; exit 1; }
	@tools/install-deps build proof
	@+$(MAKE) --no-print-directory $(PARALLEL) $(ROOT) $(BUILD)/tests/test_security
	@FSHA_TEST_LONG=$${FSHA_TEST_LONG-part} tools/run-tests -t 600 -- $(ROOT) $(BUILD)/tests/test_security

# Mutants: bugs that the tests must catch.

# The programs that they name, when this is what is made.
MUTANT_TESTS := $(sort $(shell sed -n 's/^Test: \([a-z_0-9]*\) .*/\1/p' tests/mutants/*.patch \
	tests/mutants/bad/*.patch))

.PHONY: mutant-programs
mutant-programs: $(addprefix $(BUILD)/tests/,$(MUTANT_TESTS))

.PHONY: check-mutants
check-mutants: deps ## put bugs into the library, one at a time: the tests must catch each (MUTANTS=3: three of them)
	@+$(MAKE) --no-print-directory $(PARALLEL) mutant-programs
	@BUILD='$(BUILD)' tests/mutants/run -- 'CC=$(CC)' 'SAN=$(SAN)' 'CFLAGS=$(CFLAGS)'

# Valgrind. Time is stretched and sweeps are thinned out (tests/lib/run.h: test_slowness). What a test
# forks, and what is exec'ed, is looked at too; but a process that is killed tells of no leaks.
VALGRIND_TIMEOUT := 1800
VALGRIND := valgrind --quiet --vgdb=no --fair-sched=yes --trace-children=yes --error-exitcode=99 \
	--suppressions=$(CURDIR)/tests/valgrind.supp
MEMCHECK := $(VALGRIND) --leak-check=full --errors-for-leak-kinds=definite,indirect
HELGRIND := $(VALGRIND) --tool=helgrind --history-level=approx
# Races need threads: the tests that start any, by themselves or in services.
THREADED := $(patsubst tests/%.c,$(BUILD)/tests/%,$(shell grep -lE \
	'pthread_create|"tests/test_(services|hook|state_fixture|backup|bad_input|workers_fixture)\.h"' \
	$(TEST_SRC)))
# tests/valgrind.skip: PROGRAM TOOL REASON
skipped = $(addprefix $(BUILD)/tests/,$(shell awk '$$2 ~ /^($(1)|BOTH)$$/ { print $$1 }' tests/valgrind.skip))
run_valgrind = FSHA_TEST_SLOW=5 BUILD='$(abspath $(BUILD))' tools/run-tests -j $(jobs) \
	-t $(VALGRIND_TIMEOUT) -w '$($(1))' $(filter-out $(call skipped,$(1)),$(2)) -- \
	$(filter-out $(call skipped,$(1)),$(filter $(BUILD)/tests/process_test_%,$(PROCESS)))
storm_valgrind = STORM_WRAPPER='$($(1))' BUILD='$(abspath $(BUILD))' tests/storm/check_storm.sh kills

.PHONY: check-memcheck
check-memcheck: deps ## the unit tests and a storm of 200 kills under valgrind's memcheck; root, half an hour
	@tools/install-deps build proof
	@+$(MAKE) --no-print-directory $(PARALLEL) check-programs storm-programs
	@$(call run_valgrind,MEMCHECK,$(TESTS))
	@$(call storm_valgrind,MEMCHECK)

.PHONY: check-helgrind
check-helgrind: deps ## the tests that start threads and a storm of 200 kills under valgrind's helgrind; root
	@tools/install-deps build proof
	@+$(MAKE) --no-print-directory $(PARALLEL) check-programs storm-programs
	@$(call run_valgrind,HELGRIND,$(THREADED))
	@$(call storm_valgrind,HELGRIND)

# ---- Coverage ------------------------------------------------------------------------------------

.PHONY: coverage
coverage: ## run the tests and tell which lines they reach; fails below COVERAGE_MIN percent
	@tools/install-deps build coverage
	@+$(MAKE) --no-print-directory COVERAGE=1 CFLAGS='-O0 -g' coverage-tree

.PHONY: coverage-tree
coverage-tree: deps
	@mkdir -p $(BUILD) && find $(BUILD) -name '*.gcda' -delete
	@+$(MAKE) --no-print-directory check
	@tools/coverage-summary $(O) $(BUILD)/report $(COVERAGE_MIN)

# ---- Static checks -------------------------------------------------------------------------------

# A check of a file leaves a stamp, so that a second run looks only at what has changed. The stamps are
# made by `make lint`, which keeps going to show all that is wrong.
.PHONY: lint
lint: ## check layout, layers and headers, and look for bugs (clang-tidy, cppcheck, gcc, shellcheck)
	@tools/install-deps --check build lint
	@+$(MAKE) --no-print-directory --keep-going --output-sync=target $(PARALLEL) lint-all
	@echo "lint: ok"

ifneq ($(filter lint-all,$(MAKECMDGOALS)),)

L := $(BUILD)/lint
find-tool = $(firstword $(foreach t,$(1),$(shell command -v $(t))) $(firstword $(1)))
CLANG_FORMAT := $(call find-tool,clang-format-14 clang-format)
CLANG_TIDY := $(call find-tool,clang-tidy-14 clang-tidy)
CXX := $(call find-tool,g++ clang++-14 clang++)
SCRIPTS := $(shell awk 'FNR == 1 { if (/^\#!.*sh$$/) print FILENAME; nextfile }' \
	$$(find .ci tools tests examples bench -type f 2>/dev/null) </dev/null)
PUBLIC := $(wildcard include/fsha/*.h)
stamps = $(patsubst %,$(L)/%.$(1),$(2))

.PHONY: lint-all
lint-all: lint-layers lint-guarantees $(call stamps,format,$(ALL_SRC) $(HEADERS)) $(call stamps,header,$(PUBLIC)) \
	$(call stamps,tidy,$(ALL_SRC)) $(call stamps,cppcheck,$(ALL_SRC)) \
	$(call stamps,analyzer,$(ALL_SRC)) $(call stamps,shellcheck,$(SCRIPTS)) $(L)/man

.PHONY: lint-layers
lint-layers:
	@tools/lint-layers --self-test
	@tools/lint-layers

.PHONY: lint-guarantees
lint-guarantees:
	@tools/lint-guarantees --self-test
	@tools/lint-guarantees

$(L)/%.format: % .clang-format
	@mkdir -p $(@D)
	@$(CLANG_FORMAT) --style=file $< | cmp -s - $< && touch $@ || \
		{ echo "$<: layout: run $(notdir $(CLANG_FORMAT)) -i $<"; exit 1; }

# Alone, before anything else, twice.
header_flags := -Wall -Wextra -Wstrict-prototypes -Werror -pedantic -Iinclude -fsyntax-only
$(L)/include/%.header: include/% $(PUBLIC)
	@mkdir -p $(@D)
	@$(CC) -std=c99 $(header_flags) -x c -include $* -include $* /dev/null
	@$(CXX) -std=c++11 $(filter-out -Wstrict-prototypes,$(header_flags)) -x c++ -include $* \
		-include $* /dev/null && touch $@

analyzed_flags = $(BASE_CPPFLAGS) -std=gnu11 -pthread $(MODULE_CFLAGS) $(FUSE_CFLAGS) \
	$(if $(filter-out src/result/% src/cli/%,$(filter src/%,$<)),-include tools/analyzer.h)

# gcc's analyzer also writes down the headers, for all three. -O1: what it reports stays readable.
$(L)/%.analyzer: % $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  LINT $<"
	@gcc $(analyzed_flags) -O1 -fanalyzer $(ANALYZER_OFF) -Werror \
		-MMD -MP -MF $(L)/$*.d -MT '$(foreach s,analyzer tidy cppcheck,$(L)/$*.$(s))' \
		-c -o /dev/null $< && touch $@

# It says on stderr how many warnings of system headers it kept to itself.
$(L)/%.tidy: % .clang-tidy
	@mkdir -p $(@D)
	@$(CLANG_TIDY) --quiet $< -- $(analyzed_flags) 2>$@.err || \
		{ cat $@.err; exit 1; }
	@rm -f $@.err; touch $@

# Descriptors go through the table, which it does not know; in the files that make the calls it takes
# `return fd < 0 ? -errno : fd` for a leak. It takes an argument that a function fills in for one that
# it reads; the compilers and clang-tidy look for real ones. readdir is safe on a stream of one's own.
CPPCHECK_OFF := --suppress='resourceLeak:fsutil/*' --suppress=ctuuninitvar --suppress=readdirCalled
# Puppets need stacks that they change by themselves: threads would be slower and not repeat.
CPPCHECK_OFF += $(patsubst %,--suppress=%contextCalled:tests/lib/fiber.c,get set make swap)

$(L)/%.cppcheck: %
	@mkdir -p $(@D)
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 \
		--inline-suppr --library=posix $(CPPCHECK_OFF) -D__linux__ -D__GNUC__ -D_GNU_SOURCE \
		-I. -Iinclude $< && touch $@

$(L)/%.shellcheck: %
	@mkdir -p $(@D)
	@shellcheck -x $< && touch $@

$(L)/man: $(MAN) tools/man-page
	@mkdir -p $(@D)
	@tools/man-page --check $(PUBLIC)
	@mandoc -T lint -W warning $(MAN) && touch $@

-include $(patsubst %,$(L)/%.d,$(ALL_SRC))

endif

# ---- Installation --------------------------------------------------------------------------------

BINDIR = $(DESTDIR)$(PREFIX)/bin
LIBDIR = $(DESTDIR)$(PREFIX)/lib
# Where fsha looks for the programs that it consists of: src/cli/archive.c.
LIBEXECDIR = $(DESTDIR)$(PREFIX)/libexec/fsha
INCLUDEDIR = $(DESTDIR)$(PREFIX)/include/fsha
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/fsha
MANDIR = $(DESTDIR)$(PREFIX)/share/man
VERSION = $(shell sed -n 's/^.define LIBRARY_VERSION "\(.*\)"/\1/p' src/result/*.c)

# `man fsha_state_store_get` is to find the page that has it: for each function, up to "done; done".
each_function = for page in $(notdir $(filter %.3,$(MAN))); do for name in $$(sed -n \
	's/^\.Nm \(fsha_[a-z0-9_]*\).*/\1/p' $(BUILD)/man/$$page); do [ $$name.3 != $$page ] || continue;

.PHONY: install
install: all ## install into $(DESTDIR)$(PREFIX), by default /usr/local
	install -d $(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR) $(DOCDIR)
	install -m 755 $(CLI) $(BENCH) $(BINDIR)
	install -D -m 755 -t $(LIBEXECDIR) $(ARCHIVE)
	install -m 755 $(SO).0 $(LIBDIR)
	ln -sf libfsha.so.0 $(LIBDIR)/libfsha.so
	install -m 644 $(A) $(LIBDIR)
	install -m 644 include/fsha/*.h $(INCLUDEDIR)
	install -m 644 $(wildcard README README.md NEWS COPYING) $(DOCDIR)
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: fsha' \
		'Description: high availability from a shared directory' 'Version: $(VERSION)' \
		'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lfsha' \
		'Requires.private: $(LIB_MODULES)' 'Libs.private: -pthread' \
		>$(LIBDIR)/pkgconfig/fsha.pc
	set -e; for page in $(MAN); do \
		install -D -m 644 $$page $(MANDIR)/man$${page##*.}/$${page##*/}; done
	set -e; $(each_function) echo ".so man3/$$page" >$(MANDIR)/man3/$$name.3; done; done
	@# So that programs find the library; a package has its own way of asking for this.
	if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then ldconfig $(LIBDIR) || :; fi

.PHONY: uninstall
uninstall: $(MAN) ## remove what install put there
	rm -f $(BINDIR)/fsha $(BINDIR)/fsha-bench $(LIBDIR)/libfsha.so $(LIBDIR)/libfsha.so.0 \
		$(LIBDIR)/libfsha.a $(LIBDIR)/pkgconfig/fsha.pc
	rm -f $(foreach page,$(MAN),$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))
	$(each_function) rm -f $(MANDIR)/man3/$$name.3; done; done
	rm -rf $(INCLUDEDIR) $(DOCDIR) $(LIBEXECDIR)

.PHONY: clean
clean: ## remove $(BUILD); for plain make that is every tree
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'
	@echo 'with CC=clang-14, SAN=address,undefined, SAN=thread, WERROR=1, V=1, CFLAGS=...'
