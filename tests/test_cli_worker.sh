#!/usr/bin/env bash
# The command `fsha worker`: exit codes, what it prints, who may write.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one=taskmanager-00001
two=taskmanager-00002

one_line() {
	[[ $1 != *$'\n'* && $1 == "fsha: "* ]] || fail "not one line of fsha: '$1'"
}

# states: "ID STATE" of each worker, one a line.
states() {
	expect 0 worker ls
	out=$(awk 'NR > 1 { print $1, $2 }' <<<"$out")
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

test_wrong_usage_is_120_and_one_line() {
	while read -r -a arguments; do
		expect 120 worker "${arguments[@]}"
		one_line "$err"
		equal "$out" ""
	done <<-LINES
		
		nonsense
		ls x
		get
		get $one x y
		put
		put $one --state Gone /dev/null
		put $one x y
		rm
		rm $one $two
		rm $one --state New
		set-state
		set-state New
		set-state Gone $one
		framework-id x
		framework-id set
		framework-id clear x
		next-id x
		backup
		restore
		restore x y
	LINES
	equal "$(ls -A "$dir/storage")" ""
}

test_an_empty_store_prints_nothing_and_json() {
	expect 0 worker put $one /dev/null
	expect 0 worker rm $one
	expect 0 worker ls
	equal "$out" ""
	expect 0 worker ls --json
	equal "$(json .unreadable)" 0
	expect 124 worker get $one
	one_line "$err"
	expect 124 worker framework-id
	one_line "$err"
}

test_what_was_put_is_got_byte_by_byte() {
	head -c 300000 /dev/urandom >"$dir/in"
	expect 0 worker put $one "$dir/in"
	expect 0 worker get $one "$dir/out"
	cmp "$dir/in" "$dir/out" || fail "the file differs"
	"$FSHA" worker get $one | cmp - "$dir/in" || fail "the output differs"
	echo spec | "$FSHA" worker put $two || fail "cannot read standard input"
	expect 0 worker get $two
	equal "$out" spec
	expect 0 worker get $two --json
	equal "$(json .launchable.data)" spec
	equal "$(json .state)" New
}

test_put_replaces_and_takes_state_slave_and_host() {
	echo old | "$FSHA" worker put $one || fail "cannot put"
	echo new | "$FSHA" worker put $one - --state launched --slave s-1 --host node-b ||
		fail "cannot replace"
	expect 0 worker ls
	matches "$out" "$one  Launched  s-1    node-b  20..-..-..T.*Z  4"
	expect 0 worker ls --json
	equal "$(json '.workers[0].host')" node-b
	expect 0 worker get $one
	equal "$out" new
	expect 120 worker put $one --slave "" /dev/null
	one_line "$err"
}

test_set_state_changes_all_or_none() {
	for id in $two $one; do
		expect 0 worker put "$id" /dev/null
	done
	expect 0 worker set-state Launched $one $two
	states
	equal "$out" "$one Launched"$'\n'"$two Launched"
	expect 124 worker set-state Released $one nobody $two
	matches "$err" nobody
	states
	equal "$out" "$one Launched"$'\n'"$two Launched"
	expect 0 worker set-state released $two
	states
	equal "$out" "$one Launched"$'\n'"$two Released"
}

test_rm_tells_whether_there_was_one() {
	expect 0 worker put $one /dev/null
	expect 0 worker rm $one --json
	equal "$(json .removed)" true
	expect 0 worker rm $one --json
	matches "$out" '"removed":false'
}

test_framework_id_is_set_and_cleared() {
	expect 0 worker framework-id set größe-1
	expect 0 worker framework-id
	equal "$out" größe-1
	expect 0 worker framework-id --json
	equal "$(json .framework_id)" größe-1
	expect 0 worker framework-id clear
	expect 124 worker framework-id
}

test_next_id_never_repeats() {
	expect 0 worker next-id
	equal "$out" $one
	expect 0 worker next-id --json
	equal "$(json .task)" $two
}

test_a_backup_is_restored_elsewhere() {
	expect 0 worker framework-id set framework-7
	expect 0 worker next-id
	printf 'spec\n' | "$FSHA" worker put "$out" --state Launched --host node-b || fail "cannot put"
	expect 0 worker backup "$dir/backup.json"
	matches "$out" '^1 workers and the framework id, as of 20'
	mkdir "$dir/other"
	expect 0 -d "$dir/other" worker put x /dev/null
	expect 0 -d "$dir/other" worker restore "$dir/backup.json" --json
	equal "$(json .workers)" 1
	expect 0 -d "$dir/other" worker ls
	matches "$out" "$one  Launched  -      node-b"
	expect 0 -d "$dir/other" worker get $one
	equal "$out" spec
	expect 0 -d "$dir/other" worker framework-id
	equal "$out" framework-7
	expect 0 -d "$dir/other" worker next-id
	equal "$out" $two
}

test_a_changed_backup_is_126_and_restores_nothing() {
	expect 0 worker put $one /dev/null
	expect 0 worker backup "$dir/backup.json"
	sed -i 's/"New"/"Released"/' "$dir/backup.json"
	mkdir "$dir/other"
	expect 126 -d "$dir/other" worker restore "$dir/backup.json"
	one_line "$err"
	matches "$err" checksum
	equal "$(ls -A "$dir/other")" ""
	expect 124 -d "$dir/other" worker restore "$dir/none"
	one_line "$err"
}

test_one_damaged_worker_is_126_and_the_others_are_shown() {
	expect 0 worker put $one "$0"
	expect 0 worker put $two "$0"
	record=$(echo "$dir"/storage/default/workers/$one~*)
	printf X | dd of="$record" bs=1 seek=200 conv=notrunc status=none
	expect 126 worker ls
	one_line "$err"
	matches "$err" "workers/$one~"
	matches "$out" "$one  unreadable"
	matches "$out" "$two  New"
	expect 126 worker ls --json
	equal "$(json .unreadable)" 1
	expect 126 worker backup "$dir/backup.json"
	[ ! -e "$dir/backup.json" ] || fail "a backup was written"
	"$FSHA" worker get $two | cmp - "$0" || fail "the other one is lost"
}

test_writing_beside_a_leader_is_122_and_names_it() {
	expect 0 worker put $one /dev/null
	start "$FSHA" run --election resource_manager --address there.example:1 -- sleep 1000
	wait_until 5 leads resource_manager
	expect 0 worker backup "$dir/backup.json"
	for command in "put $two $0" "rm $one" "set-state New $one" next-id "framework-id set x" \
		"framework-id clear" "restore $dir/backup.json"; do
		read -r -a arguments <<<"$command"
		expect 122 worker "${arguments[@]}"
		one_line "$err"
		matches "$err" there.example:1
	done
	states
	equal "$out" "$one New"
}

test_writing_inside_run_is_under_its_term() {
	expect 0 run --election resource_manager --address a -- \
		sh -c "id=\$('$FSHA' worker next-id) && '$FSHA' worker put \$id '$0' &&
			'$FSHA' worker set-state Launched \$id && '$FSHA' worker next-id"
	equal "$out" $two
	states
	equal "$out" "$one Launched"
}

run_tests "$@"
