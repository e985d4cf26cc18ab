#!/usr/bin/env bash
# fsha backup and fsha restore.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one=00000000000000000000000000000001
two=00000000000000000000000000000002

put() {
	"$FSHA" job put "$1" <<<"$2"
}

get() {
	"$FSHA" job get "$1"
}

test_a_backup_is_a_tar_that_tar_lists() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	matches "$out" '^saved 1 values, 6 bytes$'
	tar tzf "$dir/backup.tar.gz" >"$dir/list"
	matches "$(<"$dir/list")" "job_graphs/$one~.*MANIFEST.json"
	equal "$(tar xzOf "$dir/backup.tar.gz" --wildcards "job_graphs/*")" graph
	matches "$(tar xzOf "$dir/backup.tar.gz" MANIFEST.json)" '"xxh3": "[0-9a-f]{32}"'
	equal "$(stat -c %a "$dir/backup.tar.gz")" 600
	equal "$(find "$dir" -name 'backup.tar.gz*' | wc -l)" 1
}

test_restore_brings_values_back() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	put $one changed
	put $two new
	expect 0 restore "$dir/backup.tar.gz"
	matches "$out" '^restored 1 values, 6 bytes, removed 1$'
	equal "$(get $one)" graph
	expect 124 job get $two
}

test_restore_makes_a_cluster_that_is_not_there() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	export FSHA_CLUSTER_ID=/another
	expect 0 --json restore "$dir/backup.tar.gz"
	json .values >"$dir/values"
	equal "$(<"$dir/values")" 1
	equal "$(get $one)" graph
}

# all CLUSTER: what every kind of store holds, as the command prints it.
all() {
	local FSHA_CLUSTER_ID=$1 key
	export FSHA_CLUSTER_ID
	"$FSHA" job get $one
	"$FSHA" result get $two
	"$FSHA" running ls
	"$FSHA" state space get name --election somebody
	"$FSHA" state space get large --election somebody | cksum
	key=$("$FSHA" blob ls | grep -o 'p-[0-9a-f-]*')
	"$FSHA" blob get "$key" | cksum
	"$FSHA" worker get task-1
	"$FSHA" worker framework-id
	"$FSHA" worker next-id
	"$FSHA" checkpoint counter $one
}

test_every_kind_of_store_comes_back() {
	head -c 3000000 /dev/urandom >"$dir/large"
	put $one graph
	printf '{"result":{"id":"%s","application-status":"SUCCEEDED","accumulator-results":{},"net-runtime":5},"version":1}' \
		$two | "$FSHA" result put
	"$FSHA" running set $one RUNNING
	"$FSHA" state space put name --election somebody <<<value
	"$FSHA" state space put large --election somebody "$dir/large"
	"$FSHA" blob put "$dir/large" >"$dir/key"
	"$FSHA" worker put task-1 <<<launch
	"$FSHA" worker framework-id set framework
	"$FSHA" worker next-id >"$dir/id"
	"$FSHA" checkpoint counter $one 17
	expect 0 verify
	expect 0 backup "$dir/backup.tar.gz"
	export FSHA_CLUSTER_ID=/another
	expect 0 restore "$dir/backup.tar.gz"
	expect 0 verify
	all /default >"$dir/before"
	all /another >"$dir/after"
	# When it was stored last is of the store, not of the worker.
	sed -i 's/[0-9TZ:.-]*Z.*//' "$dir/before" "$dir/after"
	diff "$dir/before" "$dir/after" >"$dir/diff" || fail "$(<"$dir/diff")"
	[ "$(wc -l <"$dir/after")" -ge 10 ] || fail "too little: $(<"$dir/after")"
}

test_restore_is_refused_while_somebody_leads() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	start "$FSHA" run --election dispatcher --address its:address -- sleep 1000
	wait_until 5 "$FSHA" status dispatcher
	expect 0 backup "$dir/while.tar.gz"
	expect 122 restore "$dir/backup.tar.gz"
	matches "$err" "its:address"
}

test_restore_of_a_part_needs_its_name() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	expect 0 restore --only job_graphs "$dir/backup.tar.gz"
	expect 124 restore --only nothing "$dir/backup.tar.gz"
	matches "$err" "nothing"
}

test_damage_is_found_before_anything_changes() {
	head -c 60000 /dev/urandom >"$dir/graph"
	"$FSHA" job put $one "$dir/graph"
	expect 0 backup "$dir/backup.tar.gz"
	put $one changed
	size=$(stat -c %s "$dir/backup.tar.gz")
	# In the value; what gzip and tar have around it is covered only as far as it is used.
	for at in 0 5000 $((size / 2)); do
		cp "$dir/backup.tar.gz" "$dir/bad.tar.gz"
		printf '\xff\xfe\xfd' | dd of="$dir/bad.tar.gz" bs=1 seek="$at" conv=notrunc status=none
		expect 126 restore "$dir/bad.tar.gz"
	done
	head -c $((size / 2)) "$dir/backup.tar.gz" >"$dir/bad.tar.gz"
	expect 126 restore "$dir/bad.tar.gz"
	tar czf "$dir/other.tar.gz" -C "$dir" backup.tar.gz
	expect 126 restore "$dir/other.tar.gz"
	matches "$err" "MANIFEST.json"
	expect 124 restore "$dir/none.tar.gz"
	expect 0 restore --dry-run "$dir/backup.tar.gz"
	equal "$(get $one)" changed
}

test_a_dry_run_says_what_it_verified() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	put $two another
	expect 0 restore --dry-run "$dir/backup.tar.gz"
	equal "$out" "verified 1 values, 6 bytes; nothing was changed"
	expect 0 --json restore --dry-run "$dir/backup.tar.gz"
	equal "$(json .values)/$(json .bytes)/$(json .removed)" 1/6/0
	equal "$(get $two)" another
}

# lost DIRECTORY COMMAND...: it fails and says so.
lost() {
	expect 126 "${@:2}"
	matches "$err" "has lost '$1'"
}

test_a_lost_directory_is_damage_and_not_an_empty_store() {
	local storage=$dir/storage/default
	put $one graph
	"$FSHA" state space put name --election somebody <<<value
	expect 0 backup "$dir/good.tar.gz"
	for lost in job_graphs job_results running_jobs workers checkpoints blobs state; do
		mv "$storage/$lost" "$dir/away"
		expect 2 verify
		matches "$out" "directory-missing.*$lost"
		lost $lost backup "$dir/backup.tar.gz"
		lost $lost backup --each-store "$dir/backup.tar.gz"
		equal "$(find "$dir" -name 'backup.tar.gz*' | wc -l)" 0
		case $lost in
		job_graphs)
			lost $lost job ls
			lost $lost job get $one
			printf changed | lost $lost job put $one
			;;
		job_results) lost $lost result ls ;;
		running_jobs) lost $lost running ls ;;
		workers) lost $lost worker ls ;;
		checkpoints) lost $lost checkpoint ls $one ;;
		blobs) lost $lost blob ls ;;
		state)
			lost $lost state space ls
			lost $lost state space get name
			;;
		esac
		[ ! -e "$storage/$lost" ] || fail "$lost was made again"
		mv "$dir/away" "$storage/$lost"
		expect 0 verify
	done
	rm -r "$storage/job_graphs" "$storage/state"
	expect 0 restore "$dir/good.tar.gz"
	matches "$out" '^restored 2 values, 12 bytes$'
	equal "$(get $one)" graph
	equal "$("$FSHA" state space get name --election somebody)" value
	expect 0 verify
}

test_a_backup_that_fails_leaves_no_file() {
	expect 124 backup "$dir/backup.tar.gz"
	put $one graph
	expect 126 backup "$dir/none/backup.tar.gz"
	printf rubbish >"$(echo "$dir"/storage/default/job_graphs/$one~*)"
	expect 126 backup "$dir/backup.tar.gz"
	matches "$err" "$one"
	equal "$(find "$dir" -name 'backup.tar.gz*' | wc -l)" 0
	expect 0 backup --skip-damaged "$dir/backup.tar.gz"
	matches "$out" "left out 1 damaged"
}

test_a_backup_goes_through_a_pipe() {
	put $one graph
	"$FSHA" backup - 2>"$dir/said" | tar tzf - >"$dir/list"
	matches "$(<"$dir/list")" "MANIFEST.json"
	matches "$(<"$dir/said")" "saved 1 values"
}

test_restore_takes_the_standard_input() {
	put $one graph
	expect 0 backup "$dir/backup.tar.gz"
	put $one changed
	expect 0 restore - <"$dir/backup.tar.gz"
	matches "$out" '^restored 1 values'
	equal "$(get $one)" graph
	put $one changed
	# shellcheck disable=SC2002 # a pipe is meant
	cat "$dir/backup.tar.gz" | "$FSHA" --json restore - >"$dir/said" || fail "from a pipe"
	matches "$(<"$dir/said")" '"values": 1'
	equal "$(get $one)" graph
	expect 126 restore - </dev/null
	matches "$err" "'standard input' is no sound tar.gz"
}

test_what_cannot_be_read_or_written_is_named_with_the_cause() {
	put $one graph
	expect 124 restore "$dir/none"
	equal "$err" "fsha: cannot read '$dir/none': No such file or directory"
	expect 126 restore "$dir"
	equal "$err" "fsha: cannot read '$dir': Is a directory"
	expect 126 backup "$dir/none/b"
	equal "$err" "fsha: cannot write '$dir/none/b': No such file or directory"
	code=0
	"$FSHA" backup - >/dev/full 2>"$dir/err" || code=$?
	equal $code 126
	equal "$(<"$dir/err")" "fsha: cannot write 'standard output': No space left on device"
	expect 126 metrics --output "$dir/none/m"
	equal "$err" "fsha: cannot write '$dir/none/m': No such file or directory"
	mkdir "$dir/m"
	expect 126 metrics --output "$dir/m"
	equal "$err" "fsha: cannot write '$dir/m': Is a directory"
	equal "$(echo "$dir"/m*)" "$dir/m"
}

# A large value, so that there is time to interrupt it.
test_a_backup_that_is_interrupted_leaves_no_file() {
	head -c 70000000 /dev/urandom | "$FSHA" state space put large >/dev/null || fail "put"
	for pair in INT:130 TERM:143 HUP:129; do
		# A shell starts what is in the background with INT ignored.
		start env --default-signal="${pair%:*}" "$FSHA" backup "$dir/backup.tar.gz"
		saving=$!
		wait_until 10 is_begun
		kill -"${pair%:*}" $saving
		code=0
		wait $saving || code=$?
		equal $code "${pair#*:}"
		equal "$(find "$dir" -name 'backup.tar.gz*')" ""
	done
}

is_begun() {
	compgen -G "$dir/backup.tar.gz.*" >/dev/null
}

# In a container a process has the number of the one that was killed before it.
test_what_a_backup_that_was_killed_left_stops_no_other_one() {
	put $one graph
	# shellcheck disable=SC2016 # the inner shell's own number
	bash -c 'touch "$1.$$.tmp" && exec "$2" backup "$1"' bash "$dir/backup.tar.gz" "$FSHA" >"$dir/told" 2>&1 ||
		fail "$(<"$dir/told")"
	expect 0 restore --dry-run "$dir/backup.tar.gz"
}

# Each namespace has a directory, and each election two, which stay open for as long as it takes.
test_a_cluster_may_have_more_stores_than_a_shell_allows_descriptors() {
	local i

	for ((i = 0; i < 16; i++)); do
		"$FSHA" state "space$i" put name --election "election$i" <<<"$i" >"$dir/told" 2>&1 || fail "$(<"$dir/told")"
	done
	ulimit -Sn 28
	expect 0 backup "$dir/backup.tar.gz"
	export FSHA_CLUSTER_ID=/another
	expect 0 restore "$dir/backup.tar.gz"
	matches "$out" "restored 16 values"
}

test_a_timeout_of_nothing_is_refused() {
	put $one graph
	expect 120 backup --timeout 0 "$dir/backup.tar.gz"
	matches "$err" "0.001 at least; without it, it is 30"
	expect 0 backup --timeout 5 "$dir/backup.tar.gz"
}

test_wrong_usage_is_told() {
	expect 120 backup
	expect 120 backup a b
	expect 120 restore
	expect 120 restore --nonsense
	expect 0 backup --help
	matches "$out" "Usage: fsha backup"
	expect 0 restore --help
	matches "$out" "Usage: fsha restore"
}

# `fsha run` and the library stay small: libarchive is in the program that needs it.
test_only_the_archive_program_has_libarchive() {
	ldd "$BUILD/fsha-archive" >"$dir/archive" 2>&1
	ldd "$FSHA" >"$dir/fsha" 2>&1
	matches "$(<"$dir/archive")" libarchive
	! grep -q libarchive "$dir/fsha" || fail "fsha has libarchive"
}

run_tests "$@"
