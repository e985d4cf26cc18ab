#!/usr/bin/env bash
# The command `fsha blob`: exit codes, what it prints, keys, who may write.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

job=000000000000000000000000000000a1
key=p-0000000000000000000000000000000000000001-00000000000000000000000000000001

one_line() {
	[[ $1 != *$'\n'* && $1 == "fsha: "* ]] || fail "not one line of fsha: '$1'"
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

test_wrong_usage_is_120_and_one_line() {
	while read -r -a arguments; do
		expect 120 blob "${arguments[@]}"
		one_line "$err"
		[[ "${arguments[*]}" == *--json* || $out == "" ]] || fail "something was printed: $out"
	done <<-LINES
		
		nonsense
		put
		put -
		put /dev/null x
		put /dev/null $key x
		put /dev/null $key --transient
		put /dev/null --all
		get
		get x
		get $key a b
		get $key --transient
		get $key --json
		ls x
		ls --job xyz
		ls --job $job --all
		rm
		rm x
		rm $key --all
		rm $key $key
	LINES
	equal "$(ls -A "$dir/storage")" ""
}

test_a_file_without_a_size_goes_in_to_its_end() {
	[ "$(stat -c %s /proc/version)" = 0 ] || fail "/proc/version has a size"
	expect 0 blob put /proc/version
	blob=$out
	matches "$blob" "^p-$(sha1sum </proc/version | cut -c 1-40)-"
	expect 0 blob get "$blob" "$dir/out"
	cmp /proc/version "$dir/out" || fail "another blob came out"
}

test_a_blob_goes_in_and_comes_out_under_the_key_of_its_content() {
	printf abc >"$dir/in"
	expect 0 blob put --job $job "$dir/in"
	blob=$out
	matches "$blob" '^p-a9993e364706816aba3e25717850c26c9cd0d89d-[0-9a-f]{32}$'
	expect 0 blob get --job $job "$blob"
	equal "$out" abc
	expect 0 blob get --job $job "$blob" "$dir/out"
	cmp "$dir/in" "$dir/out" || fail "another blob came out"
	expect 0 blob ls --job $job
	equal "$out" "$blob"
	expect 124 blob get "$blob"
	expect 0 blob put "$dir/in" --transient
	matches "$out" '^t-a9993e364706816aba3e25717850c26c9cd0d89d-'
	transient=$out
	expect 0 blob ls --all
	equal "$out" "$job  $blob
-                                 $transient"
	expect 0 blob rm --job $job "$blob"
	expect 0 blob rm --job $job "$blob"
	expect 124 blob get --job $job "$blob"
}

test_standard_input_needs_a_key_and_is_taken_to_its_end() {
	printf 'from a pipe' | "$FSHA" blob put - $key >"$dir/printed" || fail "put"
	equal "$(<"$dir/printed")" $key
	expect 0 blob get $key -
	equal "$out" 'from a pipe'
}

test_rm_all_takes_the_blobs_of_one_job_with_their_directory() {
	printf 1 >"$dir/1"
	expect 0 blob put --job $job "$dir/1" $key
	expect 0 blob put "$dir/1" $key
	expect 0 blob rm --job $job --all
	expect 0 blob ls --job $job
	equal "$out" ""
	expect 0 blob get $key
	equal "$out" 1
	[ ! -e "$dir/storage/default/blobs/job_$job" ] || fail "the directory is there"
	expect 0 blob rm --all
	expect 0 blob ls --all
	equal "$out" ""
}

test_a_large_blob_is_streamed_and_a_damaged_one_makes_no_file() {
	head -c 70000000 /dev/urandom >"$dir/in"
	expect 0 blob put "$dir/in" $key
	(
		limit_memory 200000
		"$FSHA" blob get $key "$dir/out"
	) || fail "get"
	cmp "$dir/in" "$dir/out" || fail "another blob came out"
	file=$(echo "$dir"/storage/default/blobs/no_job/blob_$key~*)
	truncate -s -1 "$file"
	expect 126 blob get $key "$dir/new"
	matches "$err" 'damaged'
	[ ! -e "$dir/new" ] || fail "a damaged blob made a file"
}

test_verify_and_backup_know_the_blobs_of_jobs_and_of_none() {
	printf 1 >"$dir/1"
	head -c 100000 /dev/urandom >"$dir/2"
	expect 0 blob put "$dir/2" $key
	expect 0 job put $job /dev/null
	expect 0 blob put --job $job "$dir/1" $key
	expect 0 verify
	expect 0 backup "$dir/backup"
	expect 0 blob rm --all
	expect 0 blob rm --job $job --all
	expect 0 restore "$dir/backup"
	expect 0 blob get $key "$dir/out"
	cmp "$dir/2" "$dir/out" || fail "another blob came back"
	expect 0 blob get --job $job $key
	equal "$out" 1
}

test_json_has_job_key_and_size() {
	printf abc >"$dir/in"
	expect 0 --json blob put --job $job "$dir/in" $key
	equal "$(json .job)" $job
	equal "$(json .key)" $key
	expect 0 --json blob get --job $job $key "$dir/out"
	equal "$(json .size)" 3
	expect 0 --json blob ls --all
	equal "$(json '.blobs[0].job')" $job
	equal "$(json '.blobs[0].key')" $key
	equal "$(json .skipped)" 0
	expect 124 --json blob get $key "$dir/out"
	equal "$(json .error.result)" NOT_FOUND
}

test_put_and_rm_are_refused_while_somebody_leads_and_reading_is_not() {
	printf 1 >"$dir/1"
	expect 0 blob put "$dir/1" $key
	start "$FSHA" run --election dispatcher --address here:1 -- sleep 1000
	wait_until 5 leads dispatcher
	expect 122 blob put "$dir/1" $key
	matches "$err" here:1
	expect 122 blob rm $key
	expect 122 blob rm --all
	expect 0 blob get $key
	equal "$out" 1
}

test_inside_of_run_it_writes_under_that_term() {
	printf 1 >"$dir/1"
	expect 0 run --election dispatcher --address here:1 -- "$FSHA" blob put "$dir/1" $key
	equal "$out" $key
	expect 0 blob get $key
	equal "$out" 1
}

test_gc_takes_the_blobs_of_unknown_jobs_and_none_of_no_job() {
	local running=000000000000000000000000000000a2
	printf 1 >"$dir/1"
	expect 0 blob put --job $job "$dir/1" $key
	expect 0 running set $running RUNNING
	expect 0 blob put --job $running "$dir/1" $key
	expect 0 blob put "$dir/1" $key
	expect 0 gc --unknown-jobs # in a later term
	matches "$out" "blobs/job_$job: removed"
	expect 124 blob get --job $job $key
	expect 0 blob get --job $running $key
	expect 0 blob get $key
	equal "$out" 1
}

test_files_that_cannot_be_read_or_written_are_named() {
	expect 124 blob put "$dir/none"
	matches "$err" "$dir/none"
	expect 126 blob put "$dir/none" $key
	expect 120 blob put "$dir"
	printf 1 >"$dir/1"
	expect 0 blob put "$dir/1" $key
	expect 126 blob get $key "$dir/none/out"
	matches "$err" "$dir/none/out"
}

run_tests "$@"
