#!/usr/bin/env bash
# The command fsha config: what is in effect, where it is from, and what is wrong with it.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

# row KEY: its line of the table, blanks squeezed.
row() {
	sed -n "s/^$1  */$1 /p" <<<"$out" | tr -s ' '
}

test_every_source_is_named() {
	unset FSHA_LEASE
	cat >"$dir/config.yaml" <<-YAML
		high-availability:
		  type: filesystem
		  cluster-id: /of/the/file
		rest:
		  port: 9999
	YAML
	export FSHA_REST_PORT=1234
	expect 0 config --config "$dir" -D rest.address=here
	equal "$(row high-availability.type)" "high-availability.type filesystem $dir/config.yaml:2"
	equal "$(row high-availability.cluster-id)" \
		"high-availability.cluster-id /of/the/file $dir/config.yaml:3"
	equal "$(row high-availability.storageDir)" \
		"high-availability.storageDir $dir/storage environment FSHA_STORAGE_DIR"
	equal "$(row rest.port)" "rest.port 1234 environment FSHA_REST_PORT"
	equal "$(row rest.address)" "rest.address here command line"
	equal "$(row high-availability.filesystem.lease)" \
		"high-availability.filesystem.lease 10 s default"
	equal "$(row jobmanager.rpc.address)" "jobmanager.rpc.address - not set"
	equal "$err" ""
}

test_the_command_line_beats_the_environment_and_that_the_file() {
	echo 'high-availability.filesystem.lease: 3 s' >"$dir/flink-conf.yaml"
	expect 0 config -f "$dir"
	matches "$(row high-availability.filesystem.lease)" ' 1 s environment FSHA_LEASE$'
	expect 0 config -f "$dir" --lease '5 s'
	matches "$(row high-availability.filesystem.lease)" ' 5 s command line$'
	unset FSHA_LEASE
	expect 0 config -f "$dir"
	matches "$(row high-availability.filesystem.lease)" ' 3 s .*flink-conf.yaml:1$'
}

test_an_option_of_its_own_beats_the_same_key_of_minus_d() {
	expect 0 config -D high-availability.cluster-id=a -c b -D high-availability.cluster-id=c
	matches "$(row high-availability.cluster-id)" ' b command line$'
	expect 0 -D high-availability.cluster-id=a config -D high-availability.cluster-id=c=d
	matches "$(row high-availability.cluster-id)" ' c=d command line$'
}

test_all_also_tells_what_does_not_apply() {
	expect 0 config
	[ -z "$(row high-availability.zookeeper.quorum)" ] || fail "not without --all: $out"
	expect 0 config --all
	matches "$(row high-availability.zookeeper.quorum)" 'does not apply: .*storageDir'
}

test_warnings_are_told_and_are_no_errors() {
	export FSHA_HIGH_AVAILABILITY_STORAGE_DIR=/x
	expect 0 config -D high-availability.zookeeper.quorum=a:2181 -D recovery.mode=filesystem \
		-D high-availability.filesystem.leese=3 -D execution.checkpointing.num-retained=0
	equal "$(grep -c '^fsha: warning: ' <<<"$err")" 5
	matches "$err" 'FSHA_HIGH_AVAILABILITY_STORAGE_DIR .*did you mean FSHA_HIGH_AVAILABILITY_STORAGEDIR\?'
	matches "$err" "quorum \(command line\) does not apply here"
	matches "$err" "recovery.mode \(command line\) is an old name"
	matches "$err" "did you mean 'high-availability.filesystem.lease'\?"
	matches "$err" "num-retained '0' \(command line\) is less than 1"
}

test_a_variable_that_is_known_empty_or_far_from_any_is_no_riddle() {
	local long
	long=FSHA_HIGH_AVAILABILITY_$(printf 'X%.0s' {1..200})
	export FSHA_HIGH_AVAILABILITY_CLUSTER_ID=/of/a/variable FSHA_HIGH_AVAILABILITY_NOTHING=
	export FSHA_CLEANUP_STRATEGY_WHATEVER=1 "$long=1"
	expect 0 config
	matches "$(row high-availability.cluster-id)" 'environment FSHA_HIGH_AVAILABILITY_CLUSTER_ID$'
	equal "$err" "fsha: warning: the environment variable FSHA_CLEANUP_STRATEGY_WHATEVER belongs to\
 no key, and has no effect"
}

test_a_value_that_is_no_utf_8_is_still_json() {
	expect 0 config --json -D "rest.address=$(printf 'a\377b')"
	equal "$(json '.settings[8].value')" 'a?b'
}

test_errors_are_all_told_and_give_121() {
	expect 121 config -D high-availability.filesystem.lease=soon -D rest.port=x \
		-D high-availability.type=zookeeper -D cleanup-strategy.type=x
	matches "$err" "'soon' \(environment FSHA_LEASE\)|lease 'soon'"
	matches "$err" "rest.port 'x'"
	matches "$err" "high-availability.type 'zookeeper'"
	matches "$err" "no such strategy"
	matches "$(row rest.port)" ' x command line$'
	unset FSHA_STORAGE_DIR
	echo 'high-availability.storageDir: /of/a/file' >"$dir/untyped.yaml"
	expect 121 config --config "$dir/untyped.yaml"
	matches "$err" 'high-availability.type is not set'
	matches "$(row high-availability.cluster-id)" '/default default'
}

test_nothing_configured_is_standalone_and_no_error() {
	unset FSHA_STORAGE_DIR
	expect 0 config
	expect 121 status
	expect 121 status -D high-availability.type=NONE
	matches "$err" "'NONE'.*a command cannot see it"
}

test_json_has_settings_and_findings() {
	expect 121 config --json -D rest.port=x -D high-availability.zookeeper.quorum=a
	equal "$(json '.settings[0].key')" high-availability.type
	equal "$(json '.settings[1].value')" "$dir/storage"
	equal "$(json '.settings[1].origin')" "environment FSHA_STORAGE_DIR"
	equal "$(json '.settings[1].variable')" FSHA_HIGH_AVAILABILITY_STORAGEDIR
	equal "$(json '.findings[0].level')" warning
	equal "$(json '.findings[0].kind')" not-applying
	equal "$(json '.findings[1].level')" error
	equal "$(json '.findings[1].key')" rest.port
}

test_a_file_that_cannot_be_read_is_121_by_line() {
	printf 'a: 1\nnonsense\n' >"$dir/flink-conf.yaml"
	expect 121 config -f "$dir"
	matches "$err" 'flink-conf.yaml:2: not a setting'
	expect 121 config -f "$dir/none"
	expect 121 config -f "$dir/none" --json
	equal "$(json '.error.result')" CONFIG
}

test_wrong_usage_is_120() {
	expect 120 config x
	expect 120 config -D
	expect 120 config -D nothing
	matches "$err" 'write -D KEY=VALUE'
	expect 120 config -D =x
	mapfile -t many < <(for i in {1..65}; do printf -- '-D\nk%s=v\n' "$i"; done)
	expect 120 config "${many[@]}"
	matches "$err" 'more than 64'
	expect 0 config "${many[@]:0:128}"
}

test_control_characters_of_values_do_not_reach_the_terminal() {
	expect 121 config -D "rest.port=$(printf 'a\033[31m')"
	[[ $out$err != *$'\033'* ]] || fail "an escape character was printed"
}

test_a_long_value_is_cut_in_the_table_and_whole_in_json() {
	local long
	long=$(printf 'x%.0s' {1..4000})
	expect 0 config -D "rest.address=h$long"
	matches "$(row rest.address)" 'x\.\.\. command line$'
	expect 0 config --json -D "rest.address=h$long"
	equal "$(json '.settings[8].value')" "h$long"
}

test_it_touches_no_storage() {
	expect 0 config -d "$dir/none"
	[ ! -e "$dir/none" ] || fail "it made a directory"
	[ -z "$(ls -A "$dir/storage")" ] || fail "it wrote into the storage directory"
}

test_a_key_without_effect_is_told_by_every_command_with_verbose() {
	expect 0 job rm 00000000000000000000000000000001 # makes the cluster
	expect 0 status -v -D high-availability.zookeeper.quorum=a -D high-availability.leese=3
	matches "$err" '^fsha: setting key=high-availability.leese message=.*no key that is known'
	matches "$err" 'setting key=high-availability.zookeeper.quorum message=.*does not apply'
	expect 0 status -D high-availability.leese=3
	equal "$err" ""
	expect 0 status -v
	equal "$err" ""
}

test_output_that_cannot_be_written_is_126() {
	[ -w /dev/full ] || return 0
	code=0
	"$FSHA" config >/dev/full 2>"$dir/.err" || code=$?
	equal "$code" 126
}

run_tests "$@"
