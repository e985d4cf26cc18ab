#!/usr/bin/env bash
# The mutants fit the sources: each patch applies, to the library alone, and names a test that exists.
# Whoever changes a line that a mutant changes mends the mutant too. That the tests catch them is
# `make check-mutants`.
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/lib/shell.sh
. tests/lib/shell.sh

# The mutants of bad/ but one are fit too.
fit() {
	printf '%s\n' tests/mutants/*.patch tests/mutants/bad/*.patch | grep -v /does-not-apply
}

test_each_mutant_applies() {
	local patch
	for patch in $(fit); do
		patch -p1 -F0 --dry-run -s <"$patch" >"$dir/out" ||
			fail "$patch does not apply any more: $(cat "$dir/out")"
	done
}

test_each_mutant_says_what_is_broken_and_changes_the_library() {
	local patch
	for patch in $(fit); do
		head -n 1 "$patch" | grep -q '^[A-Z].' || fail "$patch does not say what is broken"
		if sed -n 's,^+++ ,,p' "$patch" | grep -v -q -e '^b/src/' -e '^b/fsutil/'; then
			fail "$patch changes more than the library"
		fi
	done
}

test_each_mutant_names_a_test_that_exists() {
	local patch program test
	for patch in $(fit); do
		read -r program test < <(sed -n '/^---/q; s/^Test: //p' "$patch")
		[ -f "tests/$program.c" ] || fail "$patch: there is no tests/$program.c"
		# Its definition, and its line in the list.
		grep -q "^static void $test(void \*\*state)" "tests/$program.c" ||
			fail "$patch: there is no test '$test' in tests/$program.c"
		[ "$(grep -c -w "$test" "tests/$program.c")" -ge 2 ] ||
			fail "$patch: '$test' is not run by tests/$program.c"
	done
}

test_no_mutant_is_there_twice() {
	local twice
	twice=$(for patch in tests/mutants/*.patch; do
		sed -n '/^@@/,$p' "$patch" | grep '^[-+]' | md5sum
	done | sort | uniq -d)
	equal "$twice" ''
}

run_tests "$@"
