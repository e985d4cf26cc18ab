#!/usr/bin/env bash
# The examples do what they say.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

examples=$BUILD/examples

# run CODE EXAMPLE ARGUMENT...: it must end with that code; $out.
run() {
	local expected=$1 code=0
	shift
	out=$("$examples/$1" "${@:2}" 2>"$dir/.err") || code=$?
	[ $code = "$expected" ] || fail "$*: exit code $code, not $expected: $out $(<"$dir/.err")"
}

test_every_example_was_built() {
	for source in "$(dirname "$0")"/../examples/*.c; do
		[ -x "$examples/$(basename "$source" .c)" ] || fail "$source was not built"
	done
}

test_leader_leads_writes_and_resigns() {
	run 0 leader
	matches "$out" 'leading in term 1'
	matches "$out" 'leading no more'
	run 0 leader # in the next term, without waiting
	matches "$out" 'leading in term 2'
}

test_a_resource_manager_goes_on_after_each_step_that_it_dies_in() {
	run 3 worker_lifecycle put
	matches "$out" 'registering for the first time'
	run 3 worker_lifecycle launch
	matches "$out" 'registering again as framework-1'
	matches "$out" 'found taskmanager-00001, New.*launching taskmanager-00001'
	run 3 worker_lifecycle release
	matches "$out" 'found taskmanager-00001, Launched.*asking node-b for taskmanager-00001'
	matches "$out" 'launching taskmanager-00002'
	matches "$out" 'launching taskmanager-00003'
	run 0 worker_lifecycle
	matches "$out" 'found taskmanager-00001, Released.*ending taskmanager-00001'
	matches "$out" 'launching taskmanager-00005.*ending taskmanager-00002'
	matches "$out" '3 workers are left'
}

test_a_framework_is_saved_and_restored_in_another_cluster() {
	run 0 worker_lifecycle
	run 0 backup_restore backup "$dir/framework.json"
	equal "$out" 'saved 1 workers of framework-1'
	export FSHA_CLUSTER_ID=other
	run 0 backup_restore restore "$dir/framework.json"
	equal "$out" 'restored 1 workers of framework-1'
	run 0 worker_lifecycle
	matches "$out" 'found taskmanager-00002, Launched.*launching taskmanager-00003'
	sed -i s/framework-1/framework-2/ "$dir/framework.json"
	run 1 backup_restore restore "$dir/framework.json"
	matches "$(<"$dir/.err")" 'CORRUPT: .*checksum'
	run 2 backup_restore
}

test_a_listener_is_told_what_others_do_with_job_graphs() {
	first=01000000000000000000000000000000 second=02000000000000000000000000000000
	run 0 job_graph_store
	matches "$out" "told: added $second"
	matches "$out" "2 graphs: $first $second"
	matches "$out" 'recovered: .*word count'
	matches "$out" "told: removed $second"
	matches "$out" '0 graphs:'
	[[ $out != *"added $first"* && $out != *"removed $first"* ]] ||
		fail "the listener was told of its own graph: $out"
}

test_a_job_that_has_ended_is_not_run_again_after_a_failover() {
	one=0123456789abcdef0123456789abcdef two=ffffffffffffffffffffffffffffffff
	graph=$(dirname "$0")/../examples/jobs/word-count.json
	expect 0 job put $one "$graph"
	run 3 state_recovery die
	matches "$out" "running $one.*dying before $one"
	expect 0 job put $two "$graph"
	run 0 state_recovery
	matches "$out" "$one has ended: SUCCEEDED; cleaning up.*running $two"
	[[ $out != *"running $one"* ]] || fail "it ran again: $out"
	expect 0 job ls
	equal "$out" ""
	expect 0 result ls
	equal "$out" ""
}

says() {
	grep -Eq "$2" "$1"
}

# ends PID: it was told to, and does so without an error.
ends() {
	wait_until 20 gone "$1"
	wait "$1" || fail "it ended with $?"
}

test_a_resource_manager_takes_over_and_a_listener_hears_of_it() {
	local one two listener
	start "$examples/resource_manager" one:1 >"$dir/one" 2>&1
	one=$!
	wait_until 20 says "$dir/one" 'leading: term'
	start "$examples/resource_manager" two:2 >"$dir/two" 2>&1
	two=$!
	start "$examples/leader_listener" >"$dir/listener" 2>&1
	listener=$!
	wait_until 20 says "$dir/listener" '^resource_manager: one:1 \(session'
	kill -TERM "$one"
	ends "$one"
	says "$dir/one" 'leading no more' || fail "it was not revoked"
	wait_until 20 says "$dir/two" 'leading: term'
	wait_until 20 says "$dir/listener" '^resource_manager: two:2 \(session'
	kill -TERM "$two"
	ends "$two"
	wait_until 20 says "$dir/listener" '^resource_manager: nobody'
	kill -TERM "$listener"
	ends "$listener"
}

test_a_cluster_manager_runs_a_job_in_memory_and_in_a_directory() {
	run 0 cluster_manager
	matches "$out" 'is gone'
	[ -d "$dir/storage/default" ] || fail "it was not in the directory"
	rm -r "$dir/storage/default"
	unset FSHA_STORAGE_DIR
	run 0 cluster_manager
	matches "$out" 'is gone'
	equal "$(ls "$dir/storage")" ""
}

test_a_robust_component_waits_longer_and_longer_and_then_leads() {
	local component
	start env FSHA_STORAGE_DIR="$dir/later" "$examples/robust_component" here:1 6 \
		>"$dir/out" 2>&1
	component=$!
	wait_until 20 says "$dir/out" '^again in 100 ms'
	wait_until 20 says "$dir/out" '^again in 200 ms'
	says "$dir/out" "cannot start: .*later' is missing" || fail "$(cat "$dir/out")"
	mkdir "$dir/later"
	wait_until 20 says "$dir/out" 'the leader is here:1'
	wait_until 40 gone "$component"
	wait "$component" || fail "$(cat "$dir/out")"
}

run_tests "$@"
