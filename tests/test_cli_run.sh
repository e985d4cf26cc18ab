#!/usr/bin/env bash
# fsha run: COMMAND gets what it needs, its exit code is ours, and it is gone before another leads,
# whatever happens to fsha. The lease is 1 s.
#
# Each test runs in a subshell of its own, so what it exports is its own too.
# shellcheck disable=SC2030,SC2031
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"
# shellcheck source=tests/lib/stamper.sh
. "$(dirname "$0")/lib/stamper.sh"

run() {
	"$FSHA" run --election a --address there.example:1 "$@"
}

# ---- COMMAND -------------------------------------------------------------------------------------

test_the_exit_code_is_that_of_the_command() {
	for code in 0 1 7 118 119 255; do
		expect $code run --election a --address b -- sh -c "exit $code"
	done
	equal "$err" ""
}

test_a_command_that_a_signal_ended_is_128_and_its_number() {
	expect 137 run --election a --address b -- sh -c 'kill -KILL $$'
	expect 143 run --election a --address b -- sh -c 'kill -TERM $$'
}

test_a_command_that_cannot_be_executed_is_127() {
	expect 127 run --election a --address b -- "$dir/missing"
	matches "$err" '^fsha: cannot execute .*missing'
	expect 127 run --election a --address b -- "$dir"
}

test_input_and_output_are_those_of_the_command() {
	equal "$(echo through | run -- cat)" through
}

test_options_behind_the_command_are_its_own() {
	expect 0 run --election a --address b printf '%s ' --json -d x --help
	equal "$out" "--json -d x --help "
}

test_the_command_finds_its_term_in_the_environment() {
	# shellcheck disable=SC2016 # for the inner shell
	expect 0 -c my/cluster run --election a --address there.example:1 -- sh -c '
		printf "%s\n" "$FSHA_ELECTION" "$FSHA_ADDRESS" "$FSHA_STORAGE_DIR" "$FSHA_CLUSTER_ID" \
			"$FSHA_LEASE" "$FSHA_EPOCH" "$FSHA_SESSION"
		until "$0" status a >/dev/null 2>&1; do :; done # it is published in the background
		test -e "$FSHA_LEASE_PATH" && "$0" status a --json' "$FSHA"
	mapfile -t lines <<<"$out"
	equal "${lines[*]:0:6}" "a there.example:1 $dir/storage my/cluster 1000 ms 1"
	out=$(printf '%s\n' "${lines[@]:7}")
	equal "$(json '.elections[0].leader.session')" "${lines[6]}"
	equal "$(json '.elections[0].leader.address')" there.example:1
}

result_of() {
	printf '{"result":{"id":"%032d","application-status":"SUCCEEDED","accumulator-results":{},"net-runtime":5},"version":1}' "$1"
}

# What the leader acknowledges, the next one with the same settings must see.
test_the_command_has_all_settings_of_its_leader() {
	result_of 1 >"$dir/1"
	result_of 2 >"$dir/2"
	local settings=(-D "job-result-store.storage-path=$dir/storage/results")
	expect 0 "${settings[@]}" run --election dispatcher --address a -- "$FSHA" result put "$dir/1"
	expect 0 "${settings[@]}" result ls
	matches "$out" '^0+1  dirty'
	equal "$(ls -A "$dir/storage/default/job_results")" ""
	printf '%s: %s\n' job-result-store.storage-path "$dir/storage/results" \
		job-result-store.delete-on-commit false >"$dir/flink-conf.yaml"
	expect 0 -f "$dir" run --election dispatcher --address a -- sh -c "
		'$FSHA' result put '$dir/2' && '$FSHA' result mark-clean $(printf %032d 2)"
	expect 0 -f "$dir" result ls
	matches "$out" '0+2  clean'
	equal "$(ls -A "$dir/storage/default/job_results")" ""
	# Its own command line comes first, as ever; what is not set is not exported.
	expect 0 -f "$dir" run --election dispatcher --address a -- \
		"$FSHA" config -D job-result-store.delete-on-commit=true
	matches "$out" 'job-result-store.delete-on-commit +true +command line'
	matches "$out" "job-result-store.storage-path +$dir/storage/results +environment FSHA_JOB_RESULT_STORE_STORAGE_PATH"
	matches "$out" 'rest.port +[0-9]+ +default'
}

test_the_command_is_a_process_group_of_its_own_without_blocked_signals() {
	# shellcheck disable=SC2016
	expect 0 run --election a --address b -- sh -c '
		read -r _ _ _ _ group _ </proc/$$/stat
		test "$group" = $$'
	expect 0 run --election a --address b -- grep '^SigBlk:.*0000000000000000$' /proc/self/status
}

test_wrong_values_are_refused_before_anything_runs() {
	expect 120 run --election a --address b --grace 0.6 -- touch "$dir/ran"
	matches "$err" 'fsha: --grace .*0\.5'
	expect 120 run --election '' --address b -- touch "$dir/ran"
	expect 120 run --election a --address '' -- touch "$dir/ran"
	matches "$err" '^fsha: --address must have 1 to 1023 bytes, not 0$'
	expect 120 run --election a --address "$(printf 'x%.0s' {1..1024})" -- touch "$dir/ran"
	matches "$err" '^fsha: --address .* not 1024$'
	[ ! -e "$dir/storage/default/elections/a" ] || fail "it contended"
	expect 121 -d "$dir/missing" run --election a --address b -- touch "$dir/ran"
	[ ! -e "$dir/ran" ] || fail "it ran"
}

test_the_longest_address_is_published() {
	# shellcheck disable=SC2016 # for the inner shell
	expect 0 run --election a --address "$(printf 'x%.0s' {1..1023})" -- sh -c '
		until "$0" status a >/dev/null 2>&1; do :; done
		"$0" status a --json' "$FSHA"
	equal "$(json '.elections[0].leader.address')" "$(printf 'x%.0s' {1..1023})"
}

test_what_the_command_leaves_behind_is_ended() {
	expect 3 run --election a --address b -- sh -c "
		sleep 60 & echo \$! >'$dir/pids'
		setsid sleep 60 & echo \$! >>'$dir/pids'
		exit 3"
	mapfile -t pids <"$dir/pids"
	equal ${#pids[@]} 2
	gone "${pids[@]}" || fail "something is left"
}

test_a_clean_end_lets_the_next_one_lead_at_once() {
	export FSHA_LEASE='10 s'
	start "$FSHA" run --election a --address b -- sh -c "
		while [ ! -e '$dir/end' ]; do sleep 0.01; done; date +%s%N >'$dir/ended'"
	wait_until 5 test -e "$dir/storage/default/elections/a"
	start "$FSHA" run --election a --address c -- sh -c "date +%s%N >'$dir/.began'; mv '$dir/.began' '$dir/began'; sleep 1000"
	touch "$dir/end"
	wait_until 5 test -e "$dir/began"
	took=$((($(<"$dir/began") - $(<"$dir/ended")) / 1000000))
	# Without waiting for any part of the lease.
	[ $took -lt 5000 ] || fail "it took $took ms"
}

# ---- Signals -------------------------------------------------------------------------------------

test_signals_are_passed_on() {
	start "$FSHA" run --election a --address b -- bash -c "
		for name in HUP USR1 USR2 WINCH; do trap \"echo \$name >>'$dir/got'\" \$name; done
		trap 'echo TERM >>\"$dir/got\"; exit 5' TERM
		touch '$dir/ready'
		while :; do read -r -t 0.01 <> <(:); done"
	runner=$!
	wait_until 5 test -e "$dir/ready"
	for name in HUP USR1 USR2 WINCH TERM; do
		kill -$name $runner
		wait_until 5 grep -qs $name "$dir/got"
	done
	code=0
	wait $runner || code=$?
	equal $code 5
	expect 122 status a # resigned
}

test_int_ends_the_command_and_its_children() {
	# A shell starts what is in the background with INT ignored.
	start env --default-signal=INT "$FSHA" run --election a --address b -- \
		bash -c "[ ! -e '$dir/told' ] || exit 7 # it was started again
			trap 'exit 6' INT; echo \$\$ >'$dir/pid'; /bin/sleep 1000"
	runner=$!
	wait_until 5 test -s "$dir/pid"
	wait_until 5 sleeping "$(<"$dir/pid")"
	kill -INT $runner
	code=0
	wait $runner || code=$?
	equal $code 6
}

# lose_after SIGNAL: COMMAND, which survives it, gets it; then the leadership is lost. $first is fsha.
lose_after() {
	make_stamper
	contend b --grace 0.1
	first=$!
	wait_until 5 stamped 1
	# The stamper takes TERM; the others it gets from here, so that they are not ignored from the start.
	kill -"$1" $first
	sleep 0.3
	before=$(last_of 1)
	sleep 0.2
	[ "$(last_of 1)" -gt "$before" ] || fail "the command did not survive $1"
	contend c
	kill -STOP $first
	wait_until 5 stamped 2
	kill -CONT $first
}

test_after_int_that_the_command_survived_it_contends_again() {
	lose_after INT
	wait_until 5 stands_by
	no_overlap
}

test_after_quit_that_the_command_survived_it_contends_again() {
	lose_after QUIT
	wait_until 5 stands_by
	no_overlap
}

test_after_term_that_the_command_survived_it_does_not_contend_again() {
	lose_after TERM
	code=0
	wait $first || code=$?
	equal $code 137 # of the guard
	no_overlap
}

test_a_command_that_dies_of_int_while_the_guard_stops_it_ends_fsha() {
	start env --default-signal=INT "$FSHA" run --election a --address b --grace 0.5 -- \
		bash -c "[ ! -e '$dir/told' ] || exit 7 # it was started again
			trap 'echo >\"$dir/told\"' TERM; echo >'$dir/ready'
			until [ -e '$dir/told' ]; do read -r -t 0.01 <> <(:); done; kill -INT \$\$; sleep 10"
	first=$!
	wait_until 5 test -e "$dir/ready"
	kill -STOP $first
	wait_until 5 test -e "$dir/told"
	kill -CONT $first
	code=0
	wait $first || code=$?
	equal $code 130
}

sleeping() {
	[ -n "$(descendants "$1")" ]
}

test_waiting_to_lead_ends_at_a_signal() {
	start "$FSHA" run --election a --address b -- sleep 1000
	wait_until 5 leads
	for pair in TERM:143 INT:130 HUP:129; do
		start "$FSHA" run --election a --address c -- touch "$dir/ran"
		waiting=$!
		wait_until 5 stands_by
		kill -${pair%:*} $waiting
		code=0
		wait $waiting || code=$?
		equal $code ${pair#*:}
	done
	[ ! -e "$dir/ran" ] || fail "it ran"
	leads || fail "the leader was disturbed"
}

leads() {
	"$FSHA" status a >/dev/null 2>&1
}

stands_by() {
	"$FSHA" status a | grep -q '(standby)'
}

# ---- The guard -----------------------------------------------------------------------------------

test_after_kill_9_the_command_is_gone_before_the_next_one_starts() {
	export FSHA_LEASE='5 s'
	make_stamper
	contend b --grace 0.2
	first=$!
	wait_until 5 stamped 1
	contend c
	killed=${EPOCHREALTIME/[.,]/}
	kill_now $first
	wait_until 5 stamped 2
	sleep 0.1
	no_overlap
	grep -q '^1 .* TERM' "$dir/stamps" || fail "it was not asked to end first"
	# The grace, and not the rest of the lease, which is 4 s at least.
	took=$(($(first_of 2) - killed))
	[ $took -lt 3000000 ] || fail "the next one started $took us after the kill"
}

test_after_kill_9_a_process_in_another_session_is_gone_too() {
	make_stamper
	STAMPER=apart contend b --grace 0.2
	first=$!
	wait_until 5 stamped 1
	contend c
	kill_now $first
	wait_until 5 stamped 2
	sleep 0.1
	no_overlap
}

test_when_fsha_is_stopped_the_guard_ends_the_command_within_the_lease() {
	make_stamper
	contend b
	first=$!
	wait_until 5 stamped 1
	contend c
	kill -STOP $first
	stopped=${EPOCHREALTIME/[.,]/}
	wait_until 5 stamped 2
	no_overlap
	lived=$(($(last_of 1) - stopped))
	# Before the lease of 1 s ends; no_overlap tells of the successor, who waits 1.25 s.
	[ $lived -lt 1250000 ] || fail "the command lived $lived us after its leader was stopped"
	# From TERM to KILL: the grace, a quarter of the lease.
	told=$(grep '^1 .* TERM' "$dir/stamps" | head -1 | cut -d' ' -f2)
	grace=$(($(last_of 1) - told))
	if [ $grace -lt 100000 ] || [ $grace -gt 1000000 ]; then
		fail "between TERM and KILL: $grace us"
	fi
}

test_a_leader_that_was_stopped_contends_again() {
	make_stamper
	contend b
	first=$!
	wait_until 5 stamped 1
	contend c
	second=$!
	kill -STOP $first
	wait_until 5 stamped 2
	kill -CONT $first
	wait_until 5 stands_by
	kill_now $second
	wait_until 5 stamped 3
	no_overlap
}

test_once_ends_with_122_when_the_leadership_is_lost() {
	make_stamper
	contend b --once
	first=$!
	wait_until 5 stamped 1
	contend c
	kill -STOP $first
	wait_until 5 stamped 2
	kill -CONT $first
	code=0
	wait $first || code=$?
	equal $code 122
	no_overlap
}

test_without_the_guard_the_command_is_ended_and_126() {
	make_stamper
	STAMPER=apart contend b
	first=$!
	wait_until 5 stamped 1
	mapfile -t all < <(descendants $first)
	guard=${all[0]}
	equal "$(<"/proc/$guard/comm")" fsha-guard
	kill -KILL "$guard"
	code=0
	wait $first || code=$?
	equal $code 126
	gone "${all[@]}" || fail "something is left"
	matches "$(<"$dir/errors")" 'fsha: the guard process is gone'
	expect 122 status a # resigned
}

test_when_fsha_is_stopped_and_the_guard_killed_the_command_ends_at_once() {
	start "$FSHA" run --election a --address b -- sleep 60
	first=$!
	wait_until 5 leads
	wait_until 5 sleeping_below $first
	mapfile -t all < <(descendants $first)
	kill -STOP $first
	kill -KILL "${all[0]}"
	wait_until 1 gone "${all[@]}"
}

# The guard, and below it the command.
sleeping_below() {
	[ "$(descendants "$1" | wc -l)" -eq 2 ]
}

test_a_guard_that_is_stopped_does_not_keep_the_command_alive() {
	make_stamper
	contend b
	first=$!
	wait_until 5 stamped 1
	mapfile -t all < <(descendants $first)
	# The leadership is lost while the guard cannot act: its directory is taken away.
	kill -STOP "${all[0]}"
	mv "$dir"/storage/default/members/* "$dir/taken"
	code=0
	wait $first || code=$?
	equal $code 126
	gone "${all[@]}" || fail "something is left"
}

test_a_standby_that_dies_disturbs_nobody() {
	make_stamper
	contend b
	wait_until 5 stamped 1
	contend c
	second=$!
	wait_until 5 stands_by
	kill_now $second
	before=$(last_of 1)
	sleep 1.5
	[ "$(last_of 1)" -gt $((before + 1000000)) ] || fail "the leader stopped working"
	if stamped 2; then
		fail "there was a new term"
	fi
}

test_a_short_stop_costs_nothing() {
	export FSHA_LEASE='5 s'
	make_stamper
	contend b
	first=$!
	wait_until 5 stamped 1
	contend c
	kill -STOP $first
	sleep 0.3
	kill -CONT $first
	sleep 1
	if stamped 2 || grep -q TERM "$dir/stamps"; then
		fail "the leadership was given up"
	fi
}

test_a_watcher_is_told_of_a_leader_that_died_alone() {
	start "$FSHA" run --election a --address b -- sleep 1000
	first=$!
	wait_until 5 test -e "$dir/storage/default/elections/a"
	start "$FSHA" watch a --json >"$dir/watched"
	wait_until 5 grep -q '"address": *"b"' "$dir/watched"
	kill_now $first
	wait_until 5 grep -q '"leader": *null' "$dir/watched"
}

run_tests "$@"
