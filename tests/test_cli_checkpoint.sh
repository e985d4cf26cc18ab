#!/usr/bin/env bash
# The command `fsha checkpoint`, and the example that takes checkpoints.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

tree=$(cd "$(dirname "$0")/.." && pwd)
job=0123456789abcdef0123456789abcdef
other=00000000000000000000000000000001
files=checkpoints/$job

one_line() {
	[[ $1 != *$'\n'* && $1 == "fsha: "* ]] || fail "not one line of fsha: '$1'"
}

# The example, built as its comment says, with the flags of the library.
build_example() {
	local compiler instrument modules
	read -r compiler _ <"$BUILD/flags"
	instrument=$(grep -o -e '-fsanitize=[^ ]*' -e '--coverage' "$BUILD/flags" | sort -u | tr '\n' ' ')
	modules=$(sed -n 's/^LIB_MODULES := //p' "$tree/Makefile")
	# shellcheck disable=SC2046,SC2086
	"$compiler" -Wall -Wextra -Werror $instrument -I"$tree/include" \
		"$tree/examples/checkpoint_recovery.c" "$BUILD/libfsha.a" \
		$(pkg-config --libs $modules) -pthread -o "$work/job"
}

# take STEPS [finish]: checkpoints of $job; what it says is in $out.
take() {
	[ -x "$work/job" ] || build_example || fail "the example cannot be built"
	out=$("$work/job" "$dir/storage" "$job" "$@" 2>&1) || fail "the example failed: $out"
}

# ids: of what is listed.
ids() {
	expect 0 checkpoint ls $job
	out=$(awk 'NR > 1 { print $1 }' <<<"$out" | tr '\n' ' ')
}

# damage ID: its record is overwritten.
damage() {
	local path
	path=$(echo "$dir/storage"/default/$files/"$(printf %019d "$1")"~*)
	[ -f "$path" ] || fail "no file of checkpoint $1"
	echo rubbish >"$path"
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

test_the_example_goes_on_where_it_was_and_leaves_nothing_when_it_is_finished() {
	take 3
	matches "$out" 'nothing to recover'
	matches "$out" 'checkpoint 3: the sum up to 3 is 6'
	equal "$(echo "$dir/storage"/state-of-$job/*)" \
		"$dir/storage/state-of-$job/chk-2 $dir/storage/state-of-$job/chk-3"
	take 1
	matches "$out" 'recovered checkpoint 3: the sum up to 3 is 6'
	matches "$out" 'checkpoint 4: the sum up to 4 is 10'
	ids
	equal "$out" "3 4 "
	take 0 finish
	ids
	equal "$out" ""
	equal "$(ls "$dir/storage/state-of-$job")" ""
	take 1
	matches "$out" 'nothing to recover'
}

test_wrong_usage_is_120_and_one_line() {
	while read -r -a arguments; do
		expect 120 checkpoint "${arguments[@]}"
		one_line "$err"
		equal "$out" ""
	done <<-LINES
		
		nonsense $job
		ls
		ls xyz
		ls $job 1
		latest
		latest $job 1
		get
		get $job
		get $job 0
		get $job -1
		get $job 1x
		get $job 9223372036854775808
		get $job 1 a b
		rm $job
		rm $job 1 2
		rm $job 1 --skip-broken
		counter
		counter $job 0
		counter $job 1 2
	LINES
	equal "$(ls -A "$dir/storage")" ""
}

test_a_job_without_checkpoints() {
	expect 0 checkpoint counter $other 1
	expect 0 checkpoint ls $job
	equal "$out" ""
	expect 0 checkpoint ls $job --json
	equal "$(json .job)" $job
	matches "$out" '"checkpoints": \[\]'
	expect 124 checkpoint latest $job
	one_line "$err"
	expect 124 checkpoint get $job 1
	expect 124 checkpoint rm $job 1
	expect 0 checkpoint counter $job
	equal "$out" 1
}

test_a_cluster_that_is_not_there_is_not_made_for_reading() {
	expect 124 checkpoint ls $job
	expect 124 checkpoint counter $job
	equal "$(ls -A "$dir/storage")" ""
}

test_checkpoints_are_listed_and_their_metadata_read() {
	take 2
	expect 0 checkpoint ls $job
	matches "$out" 'ID +TYPE +TRIGGERED +SIZE +RETENTION +POINTER'
	matches "$out" "1 +CHECKPOINT +[0-9-]+T[0-9:.]+Z +7 +RETAIN_ON_FAILURE +$dir/storage/state-of-$job/chk-1"
	expect 0 checkpoint ls $job --json
	equal "$(json '.checkpoints[1].id')" 2
	equal "$(json '.checkpoints[1].type')" CHECKPOINT
	equal "$(json '.checkpoints[1].size')" 7
	expect 0 checkpoint latest $job
	matches "$out" '^2 +CHECKPOINT'
	expect 0 checkpoint latest $job --json
	equal "$(json .id)" 2
	expect 0 checkpoint get $job 1
	equal "$out" "one sum"
	expect 0 checkpoint get $job 1 "$dir/metadata"
	equal "$(<"$dir/metadata")" "one sum"
	expect 0 checkpoint get $job 1 --json
	equal "$(json .metadata.data)" "one sum"
}

test_rm_removes_the_record_and_not_the_data() {
	take 2
	expect 0 checkpoint rm $job 2 --json
	equal "$(json .done)" rm
	ids
	equal "$out" "1 "
	[ -f "$dir/storage/state-of-$job/chk-2" ] || fail "the data is gone"
	expect 124 checkpoint rm $job 2
}

test_the_counter_is_told_and_set() {
	take 2
	expect 0 checkpoint counter $job
	equal "$out" 3
	expect 0 checkpoint counter $job 100
	equal "$out" ""
	expect 0 checkpoint counter $job --json
	equal "$(json .next)" 100
	take 1
	matches "$out" 'checkpoint 100:'
}

test_damage_is_told_and_latest_never_falls_back_by_itself() {
	take 2
	damage 2
	expect 126 checkpoint ls $job
	matches "$out" '1 +CHECKPOINT'
	matches "$err" "checkpoint '0000000000000000002' cannot be read"
	expect 126 checkpoint ls $job --json
	equal "$(json '.broken[0].name')" 0000000000000000002
	expect 126 checkpoint latest $job
	equal "$out" ""
	matches "$err" 0000000000000000002
	expect 0 checkpoint latest $job --skip-broken
	matches "$out" '^1 '
	expect 126 checkpoint get $job 2
	expect 0 checkpoint get $job 1
	expect 0 checkpoint rm $job 2
	expect 0 checkpoint latest $job
	matches "$out" '^1 '
}

test_while_a_master_leads_only_it_may_write() {
	take 1
	start "$FSHA" run --election job-$job --address a:1 -- sleep 1000
	wait_until 5 leads job-$job
	expect 122 checkpoint rm $job 1
	matches "$err" 'a:1'
	expect 122 checkpoint counter $job 5
	expect 0 checkpoint latest $job
}

test_a_command_of_fsha_run_writes_under_its_term() {
	take 2
	expect 0 run --election job-$job --address a:1 -- bash -c \
		"'$FSHA' checkpoint rm $job 1 && '$FSHA' checkpoint counter $job 7"
	ids
	equal "$out" "2 "
	expect 0 checkpoint counter $job
	equal "$out" 7
}

run_tests "$@"
