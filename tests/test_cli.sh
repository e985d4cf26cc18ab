#!/usr/bin/env bash
# The command fsha, all but `fsha run` (test_cli_run.sh): exit codes, what it prints, job graphs.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one=00000000000000000000000000000001
two=0000000000000000000000000000000a

# lead ELECTION ADDRESS: somebody leads until the test ends; returns when that is published.
lead() {
	start "$FSHA" run --election "$1" --address "$2" -- sleep 1000
	wait_until 5 leads "$1"
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

stands_by() {
	"$FSHA" status "$1" | grep -q '(standby)'
}

one_line() {
	[[ $1 != *$'\n'* && $1 == "fsha: "* ]] || fail "not one line of fsha: '$1'"
}

# ---- Usage ---------------------------------------------------------------------------------------

test_help_tells_commands_options_and_exit_codes() {
	expect 0 --help
	for word in run status watch history job config -D --storage-dir --cluster-id --config --lease --json \
		FSHA_STORAGE_DIR 119 120 121 122 123 124 125 126 127; do
		[[ $out == *"$word"* ]] || fail "--help says nothing of $word"
	done
	[ "$(wc -l <<<"$out")" -le 45 ] || fail "--help is longer than a screen"
	equal "$err" ""
}

test_each_command_has_help() {
	for command in run status watch history job config state blob; do
		expect 0 "$command" --help
		matches "$out" "Usage: fsha $command"
	done
}

test_version_is_that_of_the_library() {
	expect 0 --version
	matches "$out" '^fsha [0-9]+\.[0-9]+\.[0-9]+$'
}

test_wrong_usage_is_120_and_one_line() {
	while read -r -a arguments; do
		expect 120 "${arguments[@]}"
		one_line "$err"
		equal "$out" ""
	done <<-LINES
		
		nonsense
		--nonsense
		--storage-dir
		status a b
		status --observe x
		status --observe -1
		status --nonsense
		watch
		watch a b
		watch a --count 0
		watch a --count x
		watch a --timeout x
		history
		history a b
		job
		job nonsense
		job put
		job put xyz
		job put ${one}0
		job get ${one%?}
		job ls $one
		job rm
		job rm $one x
		run --address a -- true
		run --election a -- true
		run --election a --address a
		run --election a --address a --grace x -- true
	LINES
}

test_options_may_stand_before_and_after_the_command() {
	unset FSHA_STORAGE_DIR
	expect 0 job put $one -d "$dir/storage" /dev/null
	expect 0 -d "$dir/storage" --json job ls
	equal "$(json '.jobs[0]')" $one
	expect 0 job ls --storage-dir="$dir/storage" --json
	equal "$(json '.jobs[0]')" $one
}

# ---- Configuration -------------------------------------------------------------------------------

test_no_storage_directory_is_121() {
	unset FSHA_STORAGE_DIR
	expect 121 status
	one_line "$err"
	matches "$err" --storage-dir
}

test_a_storage_directory_that_is_none_is_121() {
	touch "$dir/file"
	expect 121 -d "$dir/missing" job put $one /dev/null
	expect 121 -d "$dir/file" job put $one /dev/null
	one_line "$err"
}

test_a_relative_storage_directory_is_found_from_here() {
	unset FSHA_STORAGE_DIR
	cd "$dir" || fail "cannot cd"
	expect 0 -d storage job put $one /dev/null
	expect 0 -d ./storage job ls
	equal "$out" $one
}

test_a_cluster_in_memory_is_121_for_every_command() {
	for type in embedded NONE; do
		while read -r -a arguments; do
			expect 121 -D high-availability.type=$type "${arguments[@]}"
			one_line "$err"
			matches "$err" "^fsha: high-availability.type is '$type': such a cluster is in the memory"
		done <<-LINES
			status
			verify
			job ls
			job put $one /dev/null
			state ns get k
			history a
			watch a
			metrics
			gc
			repair
			backup $dir/b
			restore $dir/b
			run --election a --address a -- true
		LINES
	done
}

test_another_type_is_121_and_says_what_to_write() {
	unset FSHA_STORAGE_DIR
	echo 'high-availability.type: zookeeper' >"$dir/flink-conf.yaml"
	expect 121 -f "$dir/flink-conf.yaml" status
	one_line "$err"
	matches "$err" "filesystem"
}

test_a_configuration_file_that_is_missing_is_121() {
	expect 121 -f "$dir/none.yaml" status
	one_line "$err"
}

test_the_file_names_the_storage_and_the_command_line_wins() {
	unset FSHA_STORAGE_DIR
	mkdir "$dir/other"
	printf '%s\n' 'high-availability:' '  type: filesystem' "  storageDir: file://$dir/other" \
		'  cluster-id: /a/b' >"$dir/config.yaml"
	expect 0 -f "$dir" job put $one /dev/null
	[ -d "$dir/other/a/b" ] || fail "not where the file says"
	expect 0 -f "$dir" -d "$dir/storage" -c mine job put $two /dev/null
	[ -d "$dir/storage/mine" ] || fail "not where the command line says"
}

test_another_lease_is_121_and_names_both() {
	expect 0 job put $one /dev/null
	expect 121 --lease '7 s' job ls
	one_line "$err"
	matches "$err" '7.*1|1.*7'
}

test_reading_makes_no_cluster() {
	expect 124 job ls
	expect 124 status
	expect 124 watch a --timeout 1
	equal "$(ls -A "$dir/storage")" ""
}

# ---- Job graphs ----------------------------------------------------------------------------------

test_what_was_put_is_got_byte_by_byte() {
	head -c 300000 /dev/urandom >"$dir/in"
	expect 0 job put $one "$dir/in"
	expect 0 job get $one "$dir/out"
	cmp "$dir/in" "$dir/out" || fail "the file differs"
	"$FSHA" job get $one | cmp - "$dir/in" || fail "the output differs"
	"$FSHA" job put $two <"$dir/in" || fail "cannot read standard input"
	"$FSHA" job get $two - | cmp - "$dir/in" || fail "the other one differs"
}

test_put_replaces() {
	echo old | "$FSHA" job put $one || fail "cannot put"
	echo new | "$FSHA" job put $one - || fail "cannot replace"
	expect 0 job get $one
	equal "$out" new
	expect 0 job ls
	equal "$out" $one
}

test_ls_is_sorted_and_rm_removes() {
	expect 0 job put $two /dev/null
	expect 0 job put $one /dev/null
	expect 0 job ls
	equal "$out" "$one"$'\n'"$two"
	expect 0 job rm $one
	expect 0 job ls
	equal "$out" $two
	expect 124 job get $one
	one_line "$err"
	expect 0 job rm $one
}

test_ids_may_be_written_in_upper_case() {
	expect 0 job put ${two^^} /dev/null
	expect 0 job ls
	equal "$out" $two
}

test_a_graph_that_is_too_large_is_refused() {
	head -c $((64 * 1024 * 1024 + 1)) /dev/zero >"$dir/large"
	expect 120 job put $one "$dir/large"
	one_line "$err"
	equal "$(ls -A "$dir/storage")" ""
}

test_input_that_cannot_be_read_is_126_and_nothing_is_opened() {
	expect 126 job put $one "$dir/missing"
	one_line "$err"
	expect 126 job put $one "$dir"
	equal "$(ls -A "$dir/storage")" ""
}

test_output_that_cannot_be_written_is_126() {
	expect 0 job put $one "$0"
	expect 126 job get $one "$dir/no/such/file"
	one_line "$err"
	code=0
	"$FSHA" job get $one >/dev/full 2>"$dir/err" || code=$?
	equal $code 126
	one_line "$(<"$dir/err")"
}

test_a_damaged_graph_is_126_and_others_are_not_lost() {
	expect 0 job put $one "$0"
	expect 0 job put $two "$0"
	record=$(echo "$dir"/storage/default/job_graphs/$one~*)
	printf X | dd of="$record" bs=1 seek=200 conv=notrunc status=none
	expect 126 job get $one
	one_line "$err"
	"$FSHA" job get $two | cmp - "$0" || fail "the other one is lost"
}

# ---- Who may write -------------------------------------------------------------------------------

test_writing_beside_a_leader_is_122_and_names_it() {
	lead dispatcher there.example:1
	for command in "put $one $0" "rm $one"; do
		read -r -a arguments <<<"$command"
		expect 122 job "${arguments[@]}"
		one_line "$err"
		matches "$err" there.example:1
	done
	expect 0 job ls
	equal "$out" ""
}

test_writing_inside_run_is_under_its_term() {
	expect 0 run --election dispatcher --address a -- \
		sh -c "'$FSHA' job put $one '$0' && '$FSHA' job put $two '$0' && '$FSHA' job rm $two"
	expect 0 job ls
	equal "$out" $one
	"$FSHA" job get $one | cmp - "$0" || fail "it differs"
}

test_a_term_that_is_over_is_123() {
	expect 0 run --election dispatcher --address a -- sh -c "env | grep ^FSHA_ >'$dir/env'"
	mapfile -t variables < <(sed 's/^FSHA_LEASE=.*/FSHA_LEASE=1 s/' "$dir/env")
	code=0
	env "${variables[@]}" "$FSHA" job put $one "$0" 2>"$dir/err" || code=$?
	equal $code 123
	one_line "$(<"$dir/err")"
	lead dispatcher b
	code=0
	env "${variables[@]}" "$FSHA" job rm $one 2>"$dir/err" || code=$?
	equal $code 123
	expect 0 job ls
	equal "$out" ""
}

test_a_term_for_another_election_gives_no_right() {
	lead dispatcher there.example:1
	expect 122 run --election mine --address a -- "$FSHA" job put $one "$0"
}

test_a_term_of_another_cluster_gives_no_right() {
	expect 0 run --election dispatcher --address a -- "$FSHA" -c other job put $one "$0"
	expect 0 job ls
	equal "$out" ""
	expect 0 -c other job ls
	equal "$out" $one
}

test_a_term_is_valid_by_whatever_path_its_cluster_is_named() {
	ln -s storage "$dir/link"
	cat >"$dir/each" <<-'SCRIPT'
		cd "$2" || exit
		while read -r -a arguments; do
			"$1" "${arguments[@]}" state ns put k "$0" || exit
		done <<-LINES
			-d $2/storage/
			-d $2//storage
			-d $2/link
			-d file://$2/storage
			-d ./storage
			-d storage/../storage
			-c default
			-c /default
		LINES
		unset FSHA_STORAGE_DIR FSHA_CLUSTER_ID
		"$1" -d link state ns put k "$0"
	SCRIPT
	expect 0 run --election dispatcher --address a -- bash "$dir/each" "$FSHA" "$dir"
	equal "$(cut -d. -f1 <<<"$out" | sort | uniq -c | tr -s ' ')" ' 9 0000000000000001'
}

# By the variable that names the leader's: its elections know nothing of the term.
test_a_child_that_names_another_cluster_writes_there_for_itself() {
	expect 0 -d "$dir/storage" job put $one "$0"
	mkdir "$dir/other"
	lead dispatcher there.example:1
	cat >"$dir/each" <<-'SCRIPT'
		"$1" job put "$3" "$0" || exit
		export FSHA_STORAGE_DIR=$2/other
		"$1" job put "$3" "$0" && "$1" -d "$2/storage" job ls
		"$1" -d "$2/storage" job rm "$3"
	SCRIPT
	export FSHA_CLUSTER_ID=second
	expect 0 -d "$dir/other" job rm $two # makes it
	expect 0 run --election dispatcher --address a -- bash "$dir/each" "$FSHA" "$dir" $two
	expect 124 job get $two
	expect 0 -d "$dir/other" job ls
	equal "$out" $two
	expect 0 -c default job ls
	equal "$out" $one
}

test_a_malformed_term_is_121() {
	export FSHA_ELECTION=dispatcher FSHA_CLUSTER_ID=/default FSHA_SESSION=x
	expect 121 job put $one "$0"
	one_line "$err"
	matches "$err" FSHA_SESSION
	export FSHA_SESSION=11111111-2222-3333-4444-555555555555
	expect 121 job put $one "$0"
	matches "$err" FSHA_EPOCH
	export FSHA_EPOCH=1
	expect 121 job put $one "$0"
	matches "$err" FSHA_LEASE_PATH
	export FSHA_LEASE_PATH=/proc/1/fd/1
	expect 121 job put $one "$0"
	matches "$err" FSHA_CLUSTER_UUID
	[ ! -e "$dir/storage/default" ] || fail "it made a cluster"
}

# ---- Status, watch ----------------------------------------------------------------------

test_status_tells_leader_and_standby() {
	lead dispatcher there.example:1
	start "$FSHA" run --election dispatcher --address b -- sleep 1000
	standby=$!
	wait_until 5 stands_by dispatcher
	expect 0 status dispatcher
	matches "$out" 'there\.example:1 +1 '
	matches "$out" "\\(standby\\).*:$standby .*alive"
	expect 0 status dispatcher --json
	equal "$(json '.elections[0].leader.address')" there.example:1
	equal "$(json '.elections[0].epoch')" 1
	equal "$(json '.elections[0].led')" true
	equal "$(json '.elections[0].standbys[0].pid')" $standby
	equal "$(json '.elections[0].holder.liveness')" "alive (lock held)"
	equal "$(json '.lease_ms')" 1000
}

test_status_of_an_election_without_a_leader_is_122() {
	expect 0 run --election a --address a -- true
	expect 122 status a
	one_line "$err"
	expect 0 status
	expect 124 status b
	one_line "$err"
}

test_status_of_an_election_that_cannot_be_read_is_not_that_there_is_none() {
	expect 0 run --election a --address a -- true
	rm "$dir"/storage/default/elections/a/epoch-*
	expect 126 status a
	one_line "$err"
	matches "$err" 'fsha verify'
}

test_observing_shows_a_leader_that_is_stopped() {
	lead a a
	kill -STOP "${started[0]}"
	expect 122 status a --observe 1.6
	matches "$out" 'heartbeat stopped'
}

test_watch_prints_a_line_for_each_change() {
	lead a there.example:1
	leader=${started[0]}
	start "$FSHA" watch a --count 2 --timeout 20 >"$dir/lines"
	watcher=$!
	wait_until 5 test -s "$dir/lines"
	kill -TERM "$leader"
	wait $watcher || fail "watch ended with $?"
	mapfile -t lines <"$dir/lines"
	time='^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z'
	matches "${lines[0]}" "$time leader there.example:1 session [-0-9a-f]{36} epoch 1\$"
	matches "${lines[1]}" "$time no leader\$"
	equal ${#lines[@]} 2
}

test_watch_prints_json_lines() {
	lead a there.example:1
	expect 0 watch a --count 1 --json
	equal "$(json '.election')" a
	equal "$(json '.leader.address')" there.example:1
	equal "$(json '.leader.epoch')" 1
	now=${EPOCHREALTIME/[.,]/}
	age=$((now - $(json '.wall_ns') / 1000))
	if [ $age -lt 0 ] || [ $age -gt 20000000 ]; then
		fail "it happened $age us ago"
	fi
}

test_watch_ends_at_its_timeout() {
	expect 0 run --election a --address a -- true
	expect 0 watch a --timeout 0.2
	equal "$out" ""
	expect 126 watch a --timeout 0.2 --count 1
	one_line "$err"
}

test_watch_ends_with_0_at_term_and_int() {
	lead a a
	for signal in TERM INT; do
		# A shell starts what is in the background with SIGINT ignored, but this one is blocked.
		start "$FSHA" watch a >"$dir/lines-$signal"
		watcher=$!
		wait_until 5 test -s "$dir/lines-$signal"
		kill -$signal $watcher
		wait $watcher || fail "watch ended with $? at $signal"
	done
}

# ---- JSON ----------------------------------------------------------------------------------------

test_usage_errors_are_json_too() {
	while read -r -a arguments; do
		expect 120 "${arguments[@]}"
		equal "$(json .error.result)" INVALID
		equal "$(json .error.exit)" 120
		one_line "$err"
		[[ $err == *"$(json .error.message)"* || $(json .error.message) == *'standard error' ]] ||
			fail "'$out' does not tell '$err'"
	done <<-LINES
		--json job put abc
		job put abc --json
		--json frob
		frob --json
		--json
		--json --nonsense
		--json status --nonsense
		status a b --json
		--json job put $one a b
		--json backup
		backup a b --json
		--json metrics x
		--json state ns put k --new --if-version 0000000000000001.0000000000000001.0000
	LINES
	expect 120 job put -- --json # an id
	equal "$out" ""
}

test_run_prints_nothing_of_its_own_also_with_json() {
	expect 120 --json run --election a
	equal "$out" ""
	one_line "$err"
	expect 120 --json run --election a --address a -- sh -c 'exit 120'
	equal "$out" ""
}

test_json_that_cannot_be_printed_is_126() {
	expect 0 worker put w /dev/null
	while read -r -a arguments; do
		code=0
		"$FSHA" "${arguments[@]}" >/dev/full 2>"$dir/err" || code=$?
		[ $code = 126 ] || fail "fsha ${arguments[*]}: exit code $code"
		one_line "$(<"$dir/err")"
		matches "$(<"$dir/err")" 'standard output: No space left on device$'
	done <<-LINES
		--json job put $one /dev/null
		--json job get $one
		--json job ls
		--json job rm $one
		--json running set $one RUNNING
		--json running rm $one
		--json result rm $one
		--json state ns put k /dev/null
		--json state ns rm k
		--json checkpoint counter $one 7
		--json worker put x /dev/null
		--json worker set-state Launched x
		--json worker framework-id set x
		--json worker rm x
		--json verify
		--json gc
		--json status
		--version
		--help
	LINES
}

test_metrics_are_refused_as_json() {
	expect 0 job put $one /dev/null
	expect 120 --json metrics
	matches "$err" 'text for Prometheus: leave out --json'
}

test_everything_that_prints_has_json() {
	lead dispatcher a
	lead other b
	for arguments in "status" "status dispatcher" "history other" "watch other --count 1" "job ls"; do
		read -r -a words <<<"$arguments"
		expect 0 --json "${words[@]}"
		json . >/dev/null
	done
	kill "${started[@]}"
	wait_until 5 gone "${started[@]}"
	expect 0 --json job put $one "$0"
	equal "$(json .done)" put
	expect 0 --json job get $one
	equal "$(json .graph.encoding)" utf-8
	printf '\377\0\1' | "$FSHA" job put $one || fail "cannot put bytes"
	expect 0 --json job get $one
	equal "$(json .graph.encoding)" base64
	equal "$(json .graph.data)" /wAB
	expect 0 --json job get $one "$dir/file"
	equal "$(json .size)" 3
	expect 0 --json job rm $one
	equal "$(json .done)" rm
}

test_errors_are_json_too() {
	expect 0 job put $one "$0"
	expect 124 --json job get $two
	one_line "$err"
	equal "$(json .error.result)" NOT_FOUND
	equal "$(json .error.exit)" 124
	equal "fsha: $(json .error.message)" "$err"
}

test_names_with_control_characters_cannot_break_lines() {
	expect 124 -c $'a\nb\x1b[2J' job ls
	one_line "$err"
	lead $'e\x1b' $'x\ny'
	expect 0 status
	[[ $out != *$'\x1b'* ]] || fail "an escape sequence got through"
	matches "$out" 'x\?y'
	expect 0 status --json
	equal "$(json '.elections[0].leader.address')" $'x\ny'
}

run_tests "$@"
