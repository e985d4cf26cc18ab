#!/usr/bin/env bash
# fsha doctor --peer: two and three processes on one directory, one that is late, one that dies.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

place=.fsha-doctor-peers

# peer LABEL ARGUMENT...: in the background; its output is in $dir/LABEL, its errors in $dir/LABEL.err.
peer() {
	local label=$1
	shift
	start "$FSHA" doctor --peer "$label" "$@" >"$dir/$label" 2>"$dir/$label.err"
}

# ended PID CODE LABEL: wait for a peer, which must end with that code.
ended() {
	wait "$1"
	local code=$?
	[ $code = "$2" ] || fail "$3: exit code $code: $(cat "$dir/$3" "$dir/$3.err")"
}

is_there() {
	[ -e "$dir/storage/$place/$1" ]
}

# has_beaten LABEL: the others have seen it live; nobody begins before two seconds without a newcomer.
has_beaten() {
	[[ $(echo "$dir/storage/$place/$1"/beat-*) == */beat-[2-9] ]]
}

verdict() {
	grep -E '^(ok  |warn|FAIL) ' "$dir/$1"
}

test_two_peers_come_to_one_verdict() {
	local a b
	peer a
	a=$!
	peer b
	b=$!
	ended $a 0 a
	ended $b 0 b
	matches "$(cat "$dir/a")" 'ok   peers: a, b; all on one host'
	matches "$(cat "$dir/a")" 'ok   peer-locks: a lock is seen by the others'
	matches "$(cat "$dir/a")" 'ok   peer-fence: '
	matches "$(cat "$dir/a")" 'ok   hand-over: '
	matches "$(cat "$dir/a")" 'ok   failover: with a lease of 1 s expect: .* a host that dies 12[0-9]{2}|1[3-9][0-9]{2} ms'
	equal "$(verdict a)" "$(verdict b)"
	equal "$(ls -A "$dir/storage")" ""
}

test_three_peers_give_json() {
	local pids=() label
	for label in a b 'c d'; do
		peer "$label" --json
		pids+=($!)
	done
	ended "${pids[0]}" 0 a
	ended "${pids[1]}" 0 b
	ended "${pids[2]}" 0 'c d'
	out=$(<"$dir/c d")
	equal "$(json .fail)" 0
	equal "$(json '[.checks[] | select(.check == "peers") | .text] | join("")')" \
		"a, b, c d; all on one host"
	equal "$(json '[.checks[] | .grade] | unique | join("")')" ok
	equal "$(json .checks <"$dir/a")" "$(json .checks)"
	equal "$(ls -A "$dir/storage")" ""
}

test_one_that_nobody_comes_to_says_so() {
	expect 126 doctor --peer a --wait 0.5
	matches "$err" 'no other peer came within'
	equal "$(ls -A "$dir/storage")" ""
}

test_one_that_comes_late_is_told() {
	local a b
	peer a
	a=$!
	peer b
	b=$!
	wait_until 30 has_beaten b
	kill -STOP $b
	wait_until 30 is_there session
	expect 119 doctor --peer late
	matches "$err" 'came too late'
	kill -CONT $b
	wait $a $b
	equal "$(ls -A "$dir/storage")" ""
}

test_a_label_that_is_in_use_is_refused() {
	local a
	peer a --wait 20
	a=$!
	wait_until 20 is_there a
	expect 119 doctor --peer a
	matches "$err" "there is a peer 'a' already"
	kill -INT $a
	kill -TERM $a
	wait $a
	equal "$(ls -A "$dir/storage")" ""
}

test_one_that_dies_is_told_in_time() {
	local a b end
	peer a
	a=$!
	peer b
	b=$!
	wait_until 30 has_beaten b
	kill_now $b
	end=$((SECONDS + 20))
	ended $a 126 a
	[ $SECONDS -le $end ] || fail "that took $SECONDS s"
	matches "$(cat "$dir/a.err")" "peer 'b' does not answer any more"
	equal "$(ls -A "$dir/storage")" ""
}

test_what_dead_peers_left_is_no_obstacle() {
	local a b
	mkdir -p "$dir/storage/$place/session" "$dir/storage/$place/a"
	touch "$dir/storage/$place/a/beat-7"
	peer a
	a=$!
	sleep 0.1
	peer b
	b=$!
	ended $a 0 a
	ended $b 0 b
	equal "$(ls -A "$dir/storage")" ""
}

test_a_signal_ends_a_peer_and_leaves_nothing() {
	peer a
	wait_until 20 is_there a
	kill -TERM $!
	wait $! 2>/dev/null
	equal "$?" 143
	equal "$(ls -A "$dir/storage")" ""
}

test_a_link_in_the_place_of_the_peers_is_not_followed() {
	mkdir "$dir/victim"
	ln -s "$dir/victim" "$dir/storage/$place"
	expect 126 doctor --peer a --wait 0.5
	equal "$(ls -A "$dir/victim")" ""
}

test_usage_of_peers() {
	expect 120 doctor --peer ''
	expect 120 doctor --peer session
	expect 120 doctor --peer a --wait x
	expect 120 doctor --wait 5
}

run_tests "$@"
