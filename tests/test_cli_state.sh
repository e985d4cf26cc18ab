#!/usr/bin/env bash
# The command `fsha state`: exit codes, what it prints, values of any size, who may write.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one_line() {
	[[ $1 != *$'\n'* && $1 == "fsha: "* ]] || fail "not one line of fsha: '$1'"
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

# large FILE: more than a record holds in one piece.
large() {
	head -c 70000000 /dev/zero | tr '\0' x >"$1"
}

test_wrong_usage_is_120_and_one_line() {
	while read -r -a arguments; do
		expect 120 state "${arguments[@]}"
		one_line "$err"
		equal "$out" ""
	done <<-LINES
		
		ns
		ns nonsense
		ns put
		ns put k a b
		ns put k --if-version x
		ns put k --if-version
		ns put k --new --if-version 0000000000000001.0000000000000001.0000
		ns get
		ns get k a b
		ns get k --new
		ns exists
		ns exists k x
		ns ls k
		ns rm
		ns rm k x
		ns ls --election
	LINES
	equal "$(ls -A "$dir/storage")" ""
}

test_a_value_goes_in_and_comes_out() {
	printf 'hello' >"$dir/in"
	expect 0 state ns put k "$dir/in"
	version=$out
	matches "$version" '^[0-9a-f]{16}\.[0-9a-f]{16}\.[0-9a-f]{4}$'
	expect 0 state ns exists k
	equal "$out" "$version"
	expect 0 state ns get k
	equal "$out" hello
	expect 0 state ns get k "$dir/out"
	equal "$out" ""
	cmp "$dir/in" "$dir/out" || fail "another value came out"
	expect 0 state ns ls
	equal "$out" k
	expect 0 state ns rm k
	expect 0 state ns rm k
	expect 124 state ns get k
	one_line "$err"
	expect 124 state ns exists k
	expect 0 state ns ls
	equal "$out" ""
}

test_standard_input_and_a_pipe_are_taken_to_their_end() {
	printf 'from a pipe' | "$FSHA" state ns put k >/dev/null || fail "put"
	expect 0 state ns get k -
	equal "$out" 'from a pipe'
	"$FSHA" state ns put k - </dev/null >/dev/null || fail "put"
	expect 0 state ns get k
	equal "$out" ''
}

test_put_with_a_version_replaces_only_that_one() {
	printf 1 >"$dir/1"
	printf 2 >"$dir/2"
	expect 0 state ns put k "$dir/1"
	first=$out
	expect 0 state ns put k "$dir/2" --if-version "$first"
	second=$out
	[[ $second > $first ]] || fail "'$second' is not newer than '$first'"
	expect 119 state ns put k "$dir/1" --if-version "$first"
	matches "$err" "$second"
	expect 119 --json state ns put k "$dir/1" --if-version "$first"
	equal "$(json .error.result)" VERSION
	equal "$(json .error.exit)" 119
	expect 119 state ns put k "$dir/1" --new
	matches "$err" 'exists already'
	expect 124 state ns put none "$dir/1" --if-version "$first"
	expect 0 state ns get k
	equal "$out" 2
	expect 0 state ns put n "$dir/1" --new
}

test_a_large_value_is_streamed_and_get_of_a_file_is_whole() {
	large "$dir/in"
	expect 0 state ns put k "$dir/in"
	(
		# As much address space as the value has.
		limit_memory 200000
		"$FSHA" state ns get k "$dir/out"
	) || fail "get"
	cmp "$dir/in" "$dir/out" || fail "another value came out"
	expect 120 --json state ns get k
	matches "$(json .error.message)" '70000000 bytes'
	file=$(echo "$dir"/storage/default/state/ns/k~*)
	printf y | dd of="$file" bs=1 seek=50000000 conv=notrunc status=none
	expect 126 state ns get k "$dir/new"
	matches "$err" 'damaged'
	[ ! -e "$dir/new" ] || fail "a damaged value made a file"
	equal "$(echo "$dir"/new.*)" "$dir/new.*"
	expect 126 state ns get k "$dir/out"
	cmp "$dir/in" "$dir/out" || fail "the file that was there before is gone"
}

test_json_has_name_version_size_and_value() {
	printf hello >"$dir/in"
	expect 0 --json state ns put 'a b' "$dir/in"
	equal "$(json .name)" 'a b'
	version=$(json .version)
	expect 0 --json state ns get 'a b'
	equal "$(json .version)" "$version"
	equal "$(json .size)" 5
	equal "$(json .value.data)" hello
	expect 0 --json state ns get 'a b' "$dir/out"
	equal "$(json .size)" 5
	expect 0 --json state ns ls
	equal "$(json '.names[0]')" 'a b'
	expect 0 --json state ns exists 'a b'
	equal "$(json .version)" "$version"
	expect 124 --json state ns get none
	equal "$(json .error.result)" NOT_FOUND
}

# What --json prints of a name that is no text can be given back, as fsha(1) tells.
test_a_name_of_any_bytes_is_told_so_that_it_can_be_given_back() {
	local odd=$'.a%\377 \n\\b' encoded
	printf 1 >"$dir/1"
	expect 0 --json state ns put "$odd" "$dir/1"
	equal "$(json .name_encoded)" '%2Ea%25%FF%20%0A%5Cb'
	expect 0 --json state ns put plain "$dir/1"
	[[ $out != *encoded* ]] || fail "this name is text: $out"
	expect 0 --json state ns put $'a\001b' "$dir/1" # as \u0001
	equal "$(json .name)" $'a\001b'
	expect 0 --json state ns ls
	encoded=$(json '.encoded[0]')
	equal "$encoded" '%2Ea%25%FF%20%0A%5Cb'
	equal "$(json '.names[2]')" plain
	compgen -G "$dir/storage/default/state/ns/$encoded~*" >/dev/null || fail "it has another name on disk"
	expect 0 --json state ns rm "$(printf %b "${encoded//%/\\x}")"
	expect 0 state ns ls
	equal "$out" $'a?b\nplain'
	expect 0 --json state ns ls
	[[ $out != *encoded* ]] || fail "these names are text: $out"
	expect 0 run --election $'e\377' --address a -- true
	expect 0 --json status
	equal "$(json '.elections[1].name_encoded')" 'e%FF'
}

test_a_namespace_belongs_to_the_election_of_its_first_writer() {
	printf 1 >"$dir/1"
	expect 0 state ns put k "$dir/1" --election mine
	expect 121 state ns put k "$dir/1"
	matches "$err" "belongs to election 'mine'"
	expect 121 state ns rm k
	expect 121 state ns ls --election other
	expect 0 state ns get k --election mine
	equal "$out" 1
}

test_who_reads_need_not_know_whose_the_namespace_is() {
	printf 1 >"$dir/1"
	expect 0 state ns put k "$dir/1" --election 'mine, too'
	expect 0 state ns get k
	equal "$out" 1
	expect 0 state ns ls
	equal "$out" k
	expect 0 state ns exists k
	FSHA_ELECTION=other expect 0 state ns get k
	expect 124 state none get k
	expect 0 state none ls
}

test_put_and_rm_are_refused_while_somebody_leads_and_reading_is_not() {
	printf 1 >"$dir/1"
	expect 0 state ns put k "$dir/1"
	start "$FSHA" run --election dispatcher --address here:1 -- sleep 1000
	wait_until 5 leads dispatcher
	expect 122 state ns put k "$dir/1"
	matches "$err" here:1
	expect 122 state ns rm k
	expect 0 state ns get k
	equal "$out" 1
}

test_inside_of_run_it_writes_under_that_term() {
	printf 1 >"$dir/1"
	expect 0 run --election boss --address here:1 -- "$FSHA" state ns put k "$dir/1"
	expect 0 state ns get k --election boss
	equal "$out" 1
}

test_files_that_cannot_be_read_or_written_are_named() {
	expect 126 state ns put k "$dir/none"
	matches "$err" "$dir/none"
	expect 120 state ns put '' /dev/null
	expect 0 state ns put k /dev/null
	expect 126 state ns get k "$dir/none/out"
	matches "$err" "$dir/none/out"
}

run_tests "$@"
