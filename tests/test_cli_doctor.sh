#!/usr/bin/env bash
# fsha doctor: exit codes, what it prints, and that it leaves a running cluster and the directory alone.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

# Names, but those that a leader changes by itself.
tree() {
	find "$dir/storage" -printf '%P\n' |
		grep -v -e /beat- -e /leaders/ -e @history -e '/tenure-[^/]*/' -e /trash/ | sort
}

# expect_sound ARGUMENT...: nothing failed. A warning may be right: in memory nothing lasts, and on a busy
# host a commit is slow for a lease of 1 s.
expect_sound() {
	fsha "$@"
	[ "$code" -le 1 ] || fail "fsha $*: exit code $code: $out $err"
}

test_a_local_directory_is_all_right() {
	unset FSHA_LEASE
	expect_sound doctor "$dir/storage"
	matches "$out" 'ok   rename: '
	matches "$out" '[0-9]+ ok, [0-9]+ warnings, 0 failed$'
	[ "$(grep -c -E '^(ok  |warn|FAIL) [a-z-]+: ' <<<"$out")" -ge 30 ] || fail "$out"
	equal "$(ls -A "$dir/storage")" ""
}

test_the_directory_is_that_of_the_settings() {
	expect_sound doctor
	cd "$dir" || fail cd
	unset FSHA_STORAGE_DIR
	expect_sound doctor storage
	expect 121 doctor
	matches "$err" "no storage directory"
}

test_what_is_no_directory_is_121() {
	touch "$dir/file"
	expect 121 doctor "$dir/file"
	matches "$err" "cannot open directory '$dir/file'"
	expect 121 doctor --json "$dir/nothing"
	equal "$(json .error.result)" CONFIG
}

test_json_has_every_check() {
	local lines
	expect_sound doctor
	lines=$(grep -c -E '^(ok  |warn|FAIL) ' <<<"$out")
	expect_sound doctor --json
	equal "$(json '.checks | length')" "$lines"
	equal "$(json '.ok + .warn + .fail')" "$lines"
	equal "$(json .fail)" 0
	equal "$(json .directory)" "$dir/storage"
	equal "$(json '[.checks[] | keys[]] | unique | join(" ")')" "advice check grade text"
	equal "$(json '[.checks[] | select(.check == "rename") | .grade] | join(" ")')" ok
}

test_warnings_are_1_and_failures_are_2() {
	chmod 1777 "$dir/storage"
	expect 1 doctor
	matches "$out" 'warn directory-mode: everybody'
	chmod 0777 "$dir/storage"
	expect 2 doctor
	matches "$out" 'FAIL directory-mode: everybody'
	matches "$out" 'chmod o-w'
	expect 2 doctor --json
	equal "$(json .fail)" 1
}

test_a_running_cluster_is_left_alone() {
	local before
	start "$FSHA" run --election dispatcher --address here:1 -- sleep 1000
	wait_until 20 leads dispatcher
	before=$(tree)
	expect_sound doctor
	matches "$out" "ok   cluster: cluster '.*default' of format 1"
	matches "$out" 'ok   lease: 1 s'
	matches "$out" ' 0 failed$'
	matches "$out" 'ok   members: 1 members'
	equal "$(tree)" "$before"
	expect 0 status dispatcher
	expect 0 verify
	expect 2 doctor --lease '7 s'
	matches "$out" 'FAIL lease: a lease of 7 s is configured, but the cluster has 1 s'
}

test_a_signal_ends_it_and_leaves_nothing() {
	local pid signal
	for signal in INT TERM HUP; do
		# A shell ignores INT for what it starts in the background.
		start env --default-signal=INT "$FSHA" doctor "$dir/storage" >/dev/null
		pid=$!
		sleep 0.05
		kill -"$signal" "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		equal "$(ls -A "$dir/storage")" ""
	done
}

test_what_a_killed_doctor_left_is_removed_by_the_next() {
	mkdir "$dir/storage/.fsha-doctor-0123456789abcdef0123456789abcdef"
	touch "$dir/storage/.fsha-doctor-0123456789abcdef0123456789abcdef/alive"
	expect_sound doctor
	matches "$out" 'ok   former-doctors: 1 directories of killed doctors were removed'
	equal "$(ls -A "$dir/storage")" ""
}

test_several_at_once_do_not_disturb_each_other() {
	local pids=() pid code i
	for i in 1 2 3 4; do
		"$FSHA" doctor >"$dir/out.$i" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
		code=$?
		[ $code -le 1 ] || fail "exit code $code: $(grep -h FAIL "$dir"/out.*)"
	done
	equal "$(ls -A "$dir/storage")" ""
}

test_a_name_cannot_change_the_terminal() {
	fsha doctor -c $'evil\e[31m\nok   x: y'
	[[ $out != *$'\e'* ]] || fail "an escape came through"
	[[ $out != *$'\nok   x: y'* ]] || fail "a line was forged"
}

test_usage_of_doctor() {
	expect 0 doctor --help
	matches "$out" "Exit code: 0"
	expect 120 doctor a b
	expect 120 doctor --nonsense
}

test_each_check_is_in_the_manual() {
	local root check count=0
	root=$(dirname "$0")/..
	while read -r check; do
		grep -q -x "\.It Cm $check" "$root/man/fsha.1" || fail "man/fsha.1: nothing of $check"
		count=$((count + 1))
	done < <(cat "$root"/src/doctor/*.c | tr '\n\t' '  ' |
		grep -o -E '\{ "[a-z-]+", [a-z_]+, (true|false) \}|doctor_begin\((m->)?d, "[a-z-]+"\)|tell_delay\(d, "[a-z-]+"' |
		cut -d'"' -f2 | sort -u)
	[ $count -ge 50 ] || fail "only $count checks were found"
}

run_tests "$@"
