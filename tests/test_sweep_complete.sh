#!/usr/bin/env bash
# Every public function is where each of its system calls fails in turn (sweep_assert) and each of its
# allocations (oom_assert): the programs with sweeps list which functions the operations of their
# scenarios really call (tests/lib/swept.h). What is not among them, and why, is said in
# tests/data/unswept; and nothing is said there of a function that is gone, or that is swept after all.
set -eu
cd "$(dirname "$0")/.."

exempt=tests/data/unswept
build=${BUILD:-build}
list=$(mktemp)
trap 'rm -f "$list" "$list.out"' EXIT
failed=0

complain() {
	echo "$*"
	failed=1
}

# The programs that have sweeps, themselves or in a header of tests/. Not those that prove the sweeps
# by operations that are wrong.
programs() {
	local files
	files=$(grep -lE '\b(sweep|oom)_(assert|run)' tests/test_*.[ch])
	for file in $files; do
		case $file in
		tests/test_sweep.c | tests/test_oom.c) ;;
		*.c) echo "$file" ;;
		*) grep -lF "#include \"$file\"" tests/test_*.c ;;
		esac
	done | sed 's|^tests/||; s|\.c$||' | sort -u
}

for program in $(programs); do
	FSHA_SWEPT=$list "$build/tests/$program" >"$list.out" 2>&1 || {
		complain "$program cannot list what it sweeps:"
		grep -E 'ERROR|FAILED' "$list.out" | head -5
	}
done

# is_swept KIND FUNCTION
is_swept() {
	grep -q "^$1 $2 " "$list"
}

# check NAME FUNCTION: the sweeps call FUNCTION, which stands for NAME.
check() {
	is_swept sweep "$2" || complain "$1: no operation of a sweep_assert calls '$2'"
	is_swept oom "$2" || complain "$1: no operation of an oom_assert calls '$2'"
}

declared=$(tools/public-names)
[ "$(wc -l <<<"$declared")" -gt 200 ] || complain "tools/public-names finds hardly any"
[ "$(wc -l <"$list")" -gt 200 ] || complain "hardly anything is swept"

declare -A said
while read -r name how where reason; do
	case $name in '' | '#'*) continue ;; esac
	[ -z "${said[$name]-}" ] || complain "$exempt: '$name' is there twice"
	said[$name]=1
	grep -qx "$name" <<<"$declared" || complain "$exempt: there is no function '$name'"
	case $how in
	pure)
		;;
	as)
		check "$name" "$where"
		;;
	in)
		[ -n "$reason" ] || complain "$exempt: '$name' has no reason"
		grep -qw "$name" "tests/$where" || complain "$exempt: '$name' is not in tests/$where"
		if is_swept sweep "$name" && is_swept oom "$name"; then
			complain "$exempt: '$name' is swept by now"
		fi
		;;
	*)
		complain "$exempt: '$name': '$how' is none of pure, as, in"
		;;
	esac
done <$exempt

for name in $declared; do
	[ -n "${said[$name]-}" ] || check "$name" "$name"
done

# Of what decides who leads and what is written two calls fail, too: sweep_assert_pairs.
has_pairs() {
	grep -qx "pairs - $1" "$list"
}
while read -r scenario; do
	has_pairs "$scenario" || complain "no pairs of faults for '$scenario'"
done <<'end'
publish another address
claim
heartbeat
resign
release_and_try_remove, pairs
batch
end

# It can fail: nothing has this name.
if has_pairs "no such scenario"; then
	complain "'no such scenario' has pairs of faults"
fi
if is_swept sweep fsha_no_such_function; then
	complain "'fsha_no_such_function' is swept"
fi
exit $failed
