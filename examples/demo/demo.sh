#!/usr/bin/env bash
# Kill and suspend leaders, and watch what happens. In a directory of its own; takes a few seconds.
#
#   BUILD=build examples/demo/demo.sh
#
# The last line is "demo: ok: ..." or "demo: FAILED: ..." with exit code 1. Every figure in it was
# observed: times by `fsha watch`, refusals by exit codes, recoveries by comparing checksums.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
FSHA=$(cd "${BUILD:-build}" && pwd)/fsha
[ -x "$FSHA" ] || { echo "demo: FAILED: there is no $FSHA: run make first"; exit 1; }
export FSHA

work=$(mktemp -d "${TMPDIR:-/tmp}/fsha-demo.XXXXXX") || exit 1
mkdir "$work/storage"
export FSHA_STORAGE_DIR=$work/storage FSHA_LEASE='2 s'
unset FSHA_CLUSTER_ID FSHA_ELECTION FSHA_SESSION FSHA_EPOCH FSHA_ADDRESS FSHA_LEASE_PATH
contenders=(one two three)
declare -A pids=()   # of `fsha run`, by name
frozen=()            # processes that we stopped, so that no end leaves them behind
watcher=
finished=false

# ---- Processes -----------------------------------------------------------------------------------

alive() {
	kill -0 "$1" 2>/dev/null
}

# state PID: the letter that the kernel has for it; T is stopped.
state() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
	stat=${stat##*) }
	echo "${stat%% *}"
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

# wait_until SECONDS COMMAND...: false when it did not become true.
wait_until() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
		sleep 0.01
	done
}

none_alive() {
	local pid
	for pid; do
		alive "$pid" && return 1
	done
	return 0
}

clean_up() {
	local pid all=()
	trap '' INT TERM HUP
	for pid in "${pids[@]}"; do
		mapfile -t -O ${#all[@]} all < <(descendants "$pid")
		all+=("$pid")
	done
	[ -z "$watcher" ] || all+=("$watcher")
	all+=("${frozen[@]}")
	# TERM ends a contender and what it runs; then by force what is left.
	for pid in "${all[@]}"; do
		kill -TERM "$pid" 2>/dev/null
		kill -CONT "$pid" 2>/dev/null
	done
	wait_until 3 none_alive "${all[@]}" || kill -KILL "${all[@]}" 2>/dev/null
	rm -rf "$work"
}

on_exit() {
	local code=$?
	clean_up
	$finished || { echo "demo: FAILED: ended early"; code=1; }
	exit $code
}
trap on_exit EXIT
trap 'exit 1' INT TERM HUP

fail() {
	if [ -s "$work/errors" ]; then
		echo "what the processes said:"
		sed 's/^/  /' "$work/errors"
	fi
	finished=true
	clean_up
	echo "demo: FAILED: $*"
	trap - EXIT
	exit 1
}

# ---- What is observed ----------------------------------------------------------------------------

heading() {
	printf '\n%s\n' "$*"
}

say() {
	printf '  %-9s %s\n' "$1" "$2"
}

# next_leader SECONDS: the next leader that the watcher sees: $leader, $epoch, $seen_ns.
next_leader() {
	local line end=$((SECONDS + $1))
	while [ $SECONDS -lt $end ]; do
		IFS= read -r -t "$1" -u 4 line || return 1
		[[ $line =~ \"time\":\"[^T]*T([^\"]*)Z\",\"wall_ns\":([0-9]+) ]] || return 1
		seen_ns=${BASH_REMATCH[2]}
		local time=${BASH_REMATCH[1]}
		if [[ $line =~ \"address\":\"([a-z]*)\.example.*\"epoch\":([0-9]+) ]]; then
			leader=${BASH_REMATCH[1]}
			epoch=${BASH_REMATCH[2]}
			say watcher "$time  leader is '$leader', epoch $epoch"
			return 0
		fi
		say watcher "$time  no leader"
	done
	return 1
}

# report SECONDS: waits for what the leader of $epoch reports: $stored, $recovered, $verified.
report() {
	local key value
	wait_until "$1" test -e "$work/report-$epoch" || return 1
	while IFS='=' read -r key value; do
		case $key in
		stored) stored=$value ;;
		recovered) recovered=$value ;;
		verified) verified=$value ;;
		esac
	done <"$work/report-$epoch"
}

# ---- The acts ------------------------------------------------------------------------------------

total=$(find "$here/../jobs" -name '*.json' | wc -l)

heading "Three contenders for 'dispatcher', a lease of ${FSHA_LEASE}, a local directory"
for name in "${contenders[@]}"; do
	"$FSHA" run --election dispatcher --address "$name.example:8081" --grace 0.5 -- \
		"$here/dispatcher.sh" "$name" "$work" 2>>"$work/errors" &
	pids[$name]=$!
	disown $!
done
wait_until 5 test -e "$work/storage/default" || fail "nobody made the cluster's directory"
exec 4< <(exec "$FSHA" watch dispatcher --json 2>>"$work/errors")
watcher=$!
next_leader 5 || fail "nobody became the leader"
first=$leader
report 5 || fail "the first leader did not report"
[ "$stored" -eq "$total" ] || fail "the first leader stored $stored job graphs of $total"
say "$leader" "stored $stored job graphs: $(cd "$here/../jobs" && echo *.json)"

heading "kill -9 of the leader '$first'"
killed=${EPOCHREALTIME/[.,]/}
kill -KILL "${pids[$first]}"
unset "pids[$first]"
next_leader 10 || fail "nobody followed the leader that was killed"
second=$leader
failover_us=$((seen_ns / 1000 - killed))
failover=$((failover_us / 1000)).$(printf %03d $((failover_us % 1000)))
say checked "the watcher saw the next leader $failover ms after the kill"
report 5 || fail "the second leader did not report"
first_recovered=$recovered first_verified=$verified
[ "$recovered/$verified" = "$total/$total" ] ||
	fail "the second leader recovered $recovered job graphs of $total, $verified verified"
say "$leader" "recovered $recovered job graphs, $verified with the right SHA-256"

heading "SIGSTOP of the leader '$second', with all that it runs, in the middle of a write"
# Large and incompressible: its writing takes long enough to be caught at.
head -c 16000000 /dev/urandom >"$work/payload"

# staged: is there a file of a process that shares the term (the seat 0001) in the tenure directory,
# which is not published yet?
staged() {
	compgen -G "$FSHA_STORAGE_DIR/default/elections/dispatcher/tenure-*/0001.*" >/dev/null
}

# catch ID: order a write and stop the writer inside it: $writer. False when it was too late.
catch() {
	echo "put $1 $work/payload" >"$work/orders-$second"
	wait_until 5 test -e "$work/writer-$1" || fail "the leader does not write when told to"
	writer=$(<"$work/writer-$1")
	until staged || ! alive "$writer"; do :; done
	kill -STOP "$writer" 2>/dev/null || return 1
	frozen=("$writer")
	wait_until 1 stopped "$writer" && staged
}

stopped() {
	[ "$(state "$1")" = T ]
}

caught=
for attempt in 1 2 3 4 5 6 7 8 9 10; do
	[ $SECONDS -lt 20 ] || break
	id=$(printf 'feed%028x' "$attempt")
	if catch "$id"; then
		caught=$id
		break
	fi
	kill -CONT "$writer" 2>/dev/null
	wait_until 5 test -e "$work/done-$id" || fail "a writer did not end"
	rm -f "$work/done-$id" "$work/writer-$id"
	echo "rm $id" >"$work/orders-$second"
	wait_until 5 test -e "$work/done-$id" || fail "a job graph was not removed"
done
[ -n "$caught" ] || fail "no writer could be stopped in the middle of its write"
mapfile -t frozen < <(descendants "${pids[$second]}")
frozen+=("${pids[$second]}")
kill -STOP "${frozen[@]}" || fail "the leader could not be stopped"
for pid in "${frozen[@]}"; do
	wait_until 1 stopped "$pid" || fail "process $pid is not stopped"
done
staged || fail "the write was not caught in its middle"
script=$(cut -d' ' -f4 "/proc/$writer/stat") # its parent
say checked "${#frozen[@]} processes stopped; the write of ${caught:0:4}...${caught: -2} is staged, not visible"
next_leader 15 || fail "nobody followed the leader that was stopped"
third=$leader
report 5 || fail "the third leader did not report"
[ "$recovered/$verified" = "$total/$total" ] ||
	fail "the third leader recovered $recovered job graphs of $total, $verified verified"
say "$leader" "recovered $recovered job graphs, $verified with the right SHA-256"

heading "SIGCONT of the old leader's write, while '$third' leads"
kill -CONT "$writer" "$script"
wait_until 10 test -e "$work/done-$caught" || fail "the old leader's write does not end"
code=$(<"$work/done-$caught")
[ "$code" = 123 ] || fail "the old leader's write ended with $code, not with 123 (FENCED)"
refused=1
say checked "the write that was under way: exit code 123, FENCED"
mapfile -t again <"$work/again-$((epoch - 1))"
for code in "${again[@]}"; do
	[ "$code" = 123 ] || fail "the old leader tried again, and got $code, not 123 (FENCED)"
	refused=$((refused + 1))
done
say checked "what it tried to overwrite after that: ${again[*]}"
"$FSHA" job get "$caught" >/dev/null 2>&1
code=$?
[ $code = 124 ] || fail "the refused job graph can be read (job get: $code)"
ids=$("$FSHA" job ls) || fail "the job graphs cannot be listed"
[[ $ids != *$caught* ]] || fail "the refused job graph is listed"
[ "$(wc -l <<<"$ids")" -eq "$total" ] || fail "there are other job graphs than the $total stored"
for file in "$here"/../jobs/*.json; do
	id=$(sed -n 's/^ *"jobId": "\([0-9a-f]*\)".*/\1/p' "$file")
	"$FSHA" job get "$id" | cmp -s - "$file" || fail "a job graph was overwritten: ${file##*/}"
done
say checked "nothing of it is visible; the $total job graphs are as they were"

kill -CONT "${frozen[@]}" 2>/dev/null
standby() {
	"$FSHA" status dispatcher 2>/dev/null >"$work/status" && grep -q '(standby)' "$work/status"
}
wait_until 5 standby || fail "the old leader does not come back as a standby"
heading "SIGCONT of the rest: '$second' stands by again"
sed -n 's/^  /  /p' "$work/status"

[ $SECONDS -lt 40 ] || fail "it took $SECONDS seconds"
finished=true
clean_up
trap - EXIT
echo
echo "demo: ok: failover $failover ms, fenced writes refused $refused, jobs recovered $first_verified/$first_recovered"
