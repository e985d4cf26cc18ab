# shellcheck shell=bash
# Tests in bash. To be sourced; then functions named test_<claim>, then `run_tests`.
#
# Each test runs in a subshell with a directory of its own ($dir) and an empty storage directory in it,
# and fails with the first check that does. What it started with `start` is ended when it ends. The
# last line of the output is "N passed, N failed".
set -u

FSHA=$BUILD/fsha
work=$(mktemp -d "${TMPDIR:-/tmp}/fsha-test-shell.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
# What the caller's environment says about clusters is not ours.
for variable in ${!FSHA_@}; do
	unset "$variable"
done

fail() {
	echo "    $*" >&2
	exit 1
}

# ---- Processes -----------------------------------------------------------------------------------

started=()

# start COMMAND...: in the background; its pid is in $!.
start() {
	"$@" &
	started+=($!)
}

# kill_now PID: of a process that start started; when it returns, the process is gone.
kill_now() {
	kill -KILL "$1"
	wait "$1" 2>/dev/null
}

# Ends what start started, and all below it, which may be stopped.
end_started() {
	local pid all=()
	for pid in "${started[@]}"; do
		mapfile -t -O ${#all[@]} all < <(descendants "$pid")
		all+=("$pid")
	done
	[ ${#all[@]} -gt 0 ] || return
	kill -KILL "${started[@]}" 2>/dev/null
	kill -KILL "${all[@]}" 2>/dev/null
	wait 2>/dev/null
}

# descendants PID: all below it.
descendants() {
	local child children
	read -r -d '' -a children < <(cat "/proc/$1/task/"*/children 2>/dev/null)
	for child in "${children[@]}"; do
		echo "$child"
		descendants "$child"
	done
}

# gone PID...: none of them runs; a zombie does not.
gone() {
	local pid stat
	for pid; do
		{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
		[[ ${stat##*) } == [ZX]* ]] || return 1
	done
}

# limit_memory KIB: of address space, for the rest of a subshell. A sanitizer needs more for itself.
limit_memory() {
	grep -q -e -fsanitize "$BUILD/flags" || ulimit -v "$1"
}

# ---- Checks --------------------------------------------------------------------------------------

# fsha ARGUMENT...: runs it; $code, $out, $err.
fsha() {
	code=0
	"$FSHA" "$@" >"$dir/.out" 2>"$dir/.err" || code=$?
	out=$(<"$dir/.out")
	err=$(<"$dir/.err")
}

# expect CODE ARGUMENT...: runs fsha, which must end with that code.
expect() {
	local expected=$1
	shift
	fsha "$@"
	[ "$code" = "$expected" ] || fail "fsha $*: exit code $code, not $expected: $err"
}

# equal ACTUAL EXPECTED
equal() {
	[ "$1" = "$2" ] || fail "'$1' is not '$2'"
}

# matches TEXT REGEX
matches() {
	[[ $1 =~ $2 ]] || fail "'$1' does not match '$2'"
}

# wait_until SECONDS COMMAND...: it must become true.
wait_until() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || fail "waited in vain for: $*"
		sleep 0.01
	done
}

# json FILTER: of $out, by jq; $out must be JSON in any case.
json() {
	if command -v jq >/dev/null; then
		jq -e -r "$1" <<<"$out" || fail "no $1 in: $out"
	else
		python3 - "$1" 3<<<"$out" <<'PYTHON' || fail "no $1 in: $out"
import json, re, sys
value = json.load(open(3))
for key, index in re.findall(r'\.(\w+)|\[(\d+)\]', sys.argv[1]):
    value = value[key] if key else value[int(index)]
print({None: 'null', True: 'true', False: 'false'}.get(value, value) if value in (None, True, False) else value)
PYTHON
	fi
}

# ---- The tests -----------------------------------------------------------------------------------

# Runs every test_ function, or those that are named, in the order of the file.
run_tests() {
	local name passed=0 failed=0 tests=("$@")
	[ ${#tests[@]} -gt 0 ] ||
		mapfile -t tests < <(sed -n 's/^\(test_[a-z0-9_]*\)() {$/\1/p' "$0")
	for name in "${tests[@]}"; do
		dir=$work/$name
		mkdir -p "$dir/storage"
		if (
			export FSHA_STORAGE_DIR=$dir/storage FSHA_LEASE='1 s'
			trap end_started EXIT
			"$name"
		); then
			passed=$((passed + 1))
			rm -rf "$dir"
		else
			failed=$((failed + 1))
			echo "FAIL $name"
		fi
	done
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
}
