#!/usr/bin/env bash
# fsha doctor on a filesystem that does not answer, and on two hosts that share one: each has caches of
# its own.
set -u
# In a mount namespace of its own, so that no mount is left whatever becomes of it.
if [ -z "${FUSE_NAMESPACE-}" ]; then
	FUSE_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/../lib/shell.sh"

# Two hosts, $dir/0 and $dir/1. It ends with the test, since its input does.
start_faultfs() {
	mkdir "$dir/0" "$dir/1"
	coproc FAULTFS { exec "$BUILD/tests/fuse_faultfs" -t 60 "$dir/0" "$dir/1"; }
	started+=("$FAULTFS_PID")
	# When it is killed nothing hangs in the mounts any more.
	trap 'end_started; umount --lazy "$dir/0" "$dir/1"' EXIT
	answer
}

answer() {
	read -r -t 10 -u "${FAULTFS[0]}" got || fail "the filesystem does not answer"
	matches "$got" '^ok'
}

# fault COMMAND...: see faultfs.h.
fault() {
	echo "$*" >&"${FAULTFS[1]}"
	answer
}

test_a_filesystem_that_does_not_answer_is_a_failure_in_time() {
	local begun
	start_faultfs
	fault rule hang client=0
	begun=$SECONDS
	expect 2 doctor "$dir/0"
	[ $((SECONDS - begun)) -le 30 ] || fail "that took $((SECONDS - begun)) s"
	matches "$out" 'FAIL [a-z-]+: the filesystem does not answer: this check hangs since 20 s'
	fault heal
}

test_two_hosts_find_that_the_fence_holds() {
	local a b
	start_faultfs
	start "$FSHA" doctor --peer a "$dir/0" >"$dir/a" 2>&1
	a=$!
	start "$FSHA" doctor --peer b "$dir/1" >"$dir/b" 2>&1
	b=$!
	wait $a || [ $? = 1 ] || fail "$(cat "$dir/a")"
	wait $b || [ $? = 1 ] || fail "$(cat "$dir/b")"
	for check in peer-new-name peer-removed-name peer-listing peer-fence hand-over failover; do
		grep -q "^ok   $check: " "$dir/a" || fail "$(cat "$dir/a")"
	done
	equal "$(ls -A "$dir/0")" ""
}

run_tests "$@"
