#!/usr/bin/env bash
# Every public function is where each of its system calls fails in turn (sweep_assert) and each of its
# allocations (oom_assert): its name is in a test that calls those. What is not, and why, is said in
# tests/data/unswept; and nothing is said there of a function that is gone.
set -eu
cd "$(dirname "$0")/.."

exempt=tests/data/unswept
failed=0

complain() {
	echo "$*"
	failed=1
}

# The tests of one kind of sweep, with the headers of tests/ that they include.
tests_that_call() {
	local files
	files=$(grep -lE "\b$1(_but|_pairs)?\b" tests/test_*.c)
	echo "$files"
	# shellcheck disable=SC2086
	sed -n 's/^#include "\(tests\/test_[a-z_]*\.h\)"$/\1/p' $files | sort -u
}

# occurs WORD FILE...
occurs() {
	grep -qwF -- "$1" "${@:2}"
}

declared=$(cat include/fsha/*.h | tr '\n' ' ' | sed 's/FSHA_API/\nFSHA_API/g' |
	sed -n 's/^FSHA_API [^(;]*\b\(fsha_[a-z0-9_]*\)(.*/\1/p' | sort -u)
mapfile -t swept < <(tests_that_call sweep_assert)
mapfile -t starved < <(tests_that_call oom_assert)
[ -n "$declared" ] && [ ${#swept[@]} -gt 5 ] && [ ${#starved[@]} -gt 5 ]

# check NAME WORD: the sweeps have WORD, which stands for NAME.
check() {
	occurs "$2" "${swept[@]}" ||
		complain "$1: no test with sweep_assert has '$2'"
	occurs "$2" "${starved[@]}" ||
		complain "$1: no test with oom_assert has '$2'"
}

declare -A said
while read -r name how where reason; do
	case $name in '' | '#'*) continue ;; esac
	[ -z "${said[$name]-}" ] || complain "$exempt: '$name' is there twice"
	said[$name]=1
	occurs "$name" <(echo "$declared") || complain "$exempt: there is no function '$name'"
	case $how in
	pure)
		;;
	as)
		check "$name" "$where"
		;;
	in)
		[ -n "$reason" ] || complain "$exempt: '$name' has no reason"
		occurs "$name" "tests/$where" || complain "$exempt: '$name' is not in tests/$where"
		;;
	*)
		complain "$exempt: '$name': '$how' is none of pure, as, in"
		;;
	esac
done <$exempt

for name in $declared; do
	[ -n "${said[$name]-}" ] || check "$name" "$name"
done

# It can fail: nothing has this name.
if occurs fsha_no_such_function "${swept[@]}"; then
	complain "'fsha_no_such_function' is in a test"
fi
exit $failed
