#!/usr/bin/env bash
# The commands `fsha result` and `fsha running`.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one=0123456789abcdef0123456789abcdef
two=ffffffffffffffffffffffffffffffff
results() { echo "$dir"/storage/default/job_results; }

one_line() {
	[[ $1 != *$'\n'* && $1 == "fsha: "* ]] || fail "not one line of fsha: '$1'"
}

# leads ELECTION ADDRESS: it shows.
leads() {
	fsha status "$1"
	[[ $out == *"$2"* ]]
}

# of ID [STATUS]: a result as Flink writes it.
of() {
	printf '{"result":{"id":"%s","application-status":"%s","accumulator-results":{"n":"AAAA"},' \
		"$1" "${2:-SUCCEEDED}"
	printf '"net-runtime":1234},"version":1}\n'
}

test_wrong_usage_is_120_and_one_line() {
	while read -r -a arguments; do
		expect 120 "${arguments[@]}"
		one_line "$err"
		equal "$out" ""
	done <<-LINES
		result
		result nonsense
		result ls $one
		result get
		result get xyz
		result get $one a b
		result mark-clean
		result rm $one x
		result put a b
		running
		running nonsense
		running ls $one
		running get
		running get xyz
		running set $one
		running set $one PENDING
		running set $one sometimes
		running rm $one x
	LINES
}

test_a_result_is_put_got_and_marked_as_clean() {
	of $one >"$dir/in"
	expect 0 result put "$dir/in"
	of $two failed | "$FSHA" result put || fail "cannot put from standard input"
	expect 0 result get $one
	equal "$out" "$(<"$dir/in")"
	expect 0 result get $one "$dir/out"
	cmp "$dir/in" "$dir/out" || fail "it differs"
	expect 0 result ls
	matches "$out" "^$one  dirty  SUCCEEDED  1234 ms"$'\n'"$two  dirty  FAILED +1234 ms\$"
	expect 0 result mark-clean $one
	expect 124 result get $one
	one_line "$err"
	expect 124 result mark-clean $one
	expect 0 result rm $two
	expect 0 result rm $two
	expect 0 result ls
	equal "$out" ""
}

test_a_result_is_kept_when_it_is_not_to_be_deleted() {
	of $one | "$FSHA" result put || fail "cannot put"
	expect 0 -D job-result-store.delete-on-commit=false result mark-clean $one
	expect 0 result ls --json
	equal "$(json '.results[0].state')" clean
	expect 0 result get $one --json
	equal "$(json .state)" clean
	equal "$(json .result.result.id)" $one
	of $one >"$dir/in"
	expect 119 result put "$dir/in"
	matches "$err" "clean result already"
}

test_a_second_result_is_refused() {
	of $one >"$dir/in"
	expect 0 result put "$dir/in"
	expect 119 result put "$dir/in"
	one_line "$err"
	matches "$err" "dirty result already"
}

test_input_that_is_no_result_is_refused_and_nothing_is_opened() {
	echo '{"result":{}}' >"$dir/in"
	expect 120 result put "$dir/in"
	one_line "$err"
	matches "$err" '"id"'
	expect 120 result put /dev/null
	expect 126 result put "$dir/missing"
	equal "$(ls -A "$dir/storage")" ""
}

test_the_file_is_json_that_any_tool_reads() {
	of $one | "$FSHA" result put || fail "cannot put"
	out=$(cat "$(results)"/${one}_DIRTY~*.json)
	equal "$(json .result.id)" $one
	equal "$(json .version)" 1
	matches "$(json .result.fsha.checksum)" '^[0-9a-f]{32}$'
}

test_a_file_that_cannot_be_read_is_126_and_hides_no_other() {
	of $one | "$FSHA" result put || fail "cannot put"
	of $two | "$FSHA" result put || fail "cannot put"
	echo '{}' >"$(echo "$(results)"/${one}_DIRTY~*.json)"
	of $one >"$(results)/${one}_DIRTY.json"
	expect 126 result ls
	matches "$out" "^$two  dirty"
	matches "$err" "job_results/${one}_DIRTY~.*damaged"
	matches "$err" "job_results/${one}_DIRTY.json'.*no version"
	expect 126 result ls --json
	equal "$(json '.results[0].job')" $two
	expect 126 result get $one
	one_line "$err"
}

test_results_may_lie_elsewhere() {
	export FSHA_JOB_RESULT_STORE_STORAGE_PATH=$dir/results
	of $one | "$FSHA" result put || fail "cannot put"
	[ -e "$(echo "$dir"/results/${one}_DIRTY~*.json)" ] || fail "it is not there"
	equal "$(ls -A "$(results)")" ""
	expect 0 result get $one
	# Another cluster keeps out of it.
	of $two >"$dir/in"
	expect 121 -c other result put "$dir/in"
	one_line "$err"
	matches "$err" "another cluster"
	expect 121 -c other result ls
}

test_another_filesystem_is_121_and_names_both() {
	other=$(mktemp -d /dev/shm/fsha-test.XXXXXX 2>/dev/null) || return 0
	trap 'rmdir "$other"; end_started' EXIT
	[ "$(stat -c %d "$other")" != "$(stat -c %d "$dir")" ] || return 0
	of $one >"$dir/in"
	FSHA_JOB_RESULT_STORE_STORAGE_PATH=$other/results expect 121 result put "$dir/in"
	one_line "$err"
	matches "$err" "$other/results.*filesystem.*$dir/storage"
	equal "$(ls -A "$other")" ""
}

test_a_status_is_set_and_removed() {
	expect 0 running set $one RUNNING
	expect 0 running get $one
	equal "$out" RUNNING
	expect 0 running set $two Done
	expect 0 running set $two RUNNING
	expect 0 running ls
	equal "$out" "$one  RUNNING"$'\n'"$two  DONE"
	expect 0 running rm $two
	expect 0 running get $two
	equal "$out" PENDING
	expect 0 running get $one --json
	equal "$(json .status)" RUNNING
	expect 0 running ls --json
	equal "$(json '.jobs[0].job')" $one
}

test_a_damaged_record_is_126_and_hides_no_other() {
	expect 0 running set $one RUNNING
	expect 0 running set $two RUNNING
	echo x >"$(echo "$dir"/storage/default/running_jobs/$one~*)"
	expect 126 running get $one
	one_line "$err"
	expect 126 running ls
	equal "$out" "$two  RUNNING"
	matches "$err" "running_jobs/$one"
}

test_verify_reads_results_and_backup_brings_them_back() {
	of $one | "$FSHA" result put || fail "cannot put"
	of $two | "$FSHA" result put || fail "cannot put"
	expect 0 result mark-clean $two
	expect 0 running set $one DONE
	expect 0 verify
	expect 0 backup "$dir/backup.tar"
	expect 0 -c other restore "$dir/backup.tar"
	of $one >"$dir/in"
	expect 0 -c other result get $one
	equal "$out" "$(<"$dir/in")"
	expect 0 -c other running get $one
	equal "$out" DONE
	expect 0 -c other verify
	file=$(echo "$(results)"/${one}_DIRTY~*.json)
	sed -i s/SUCCEEDED/FAILED/ "$file"
	expect 2 verify
	matches "$out" "job_results/${one}_DIRTY~.*checksum"
}

test_reading_makes_no_cluster() {
	expect 124 result ls
	expect 124 running get $one
	equal "$(ls -A "$dir/storage")" ""
}

test_writing_beside_a_leader_is_122_and_inside_run_is_under_its_term() {
	of $one >"$dir/in"
	start "$FSHA" run --election dispatcher --address there.example:1 -- sleep 1000
	wait_until 20 leads dispatcher there.example:1
	for command in "result put $dir/in" "result mark-clean $one" "result rm $one" \
		"running set $one DONE" "running rm $one"; do
		read -r -a arguments <<<"$command"
		expect 122 "${arguments[@]}"
		one_line "$err"
		matches "$err" there.example:1
	done
	kill_now "${started[0]}"
	end_started
	expect 0 run --election dispatcher --address a -- sh -c \
		"'$FSHA' result put '$dir/in' && '$FSHA' running set $one DONE"
	expect 0 result ls
	matches "$out" "^$one"
	expect 0 running get $one
	equal "$out" DONE
}

run_tests "$@"
