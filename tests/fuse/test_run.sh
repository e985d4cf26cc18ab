#!/usr/bin/env bash
# fsha run on a filesystem that does not answer: COMMAND is gone before the lease ends, another host
# leads, and when the filesystem answers again the first one contends as before. The lease is 1 s.
#
# Each test runs in a subshell of its own, so what it exports is its own too.
# shellcheck disable=SC2030,SC2031
set -u
# In a mount namespace of its own, so that no mount is left whatever becomes of it.
if [ -z "${FUSE_NAMESPACE-}" ]; then
	FUSE_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/../lib/shell.sh"
# shellcheck source=tests/lib/stamper.sh
. "$(dirname "$0")/../lib/stamper.sh"

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

# contend_on HOST ADDRESS [ARGUMENT...]
contend_on() {
	export FSHA_STORAGE_DIR=$dir/$1
	shift
	contend "$@"
}

hang_and_follow() {
	start_faultfs
	make_stamper
	STAMPER=${STAMPER-} contend_on 0 b
	first=$!
	wait_until 5 stamped 1
	contend_on 1 c
	second=$!
	wait_until 5 stands_by
	fault rule hang client=0 "$@"
	hung=${EPOCHREALTIME/[.,]/}
	wait_until 10 stamped 2
	no_overlap
	lived=$(($(last_of 1) - hung))
	[ $lived -lt 1250000 ] || fail "the command lived $lived us after everything hung"
	fault heal
	wait_until 10 stands_by
	kill_now $second
	wait_until 10 stamped 3
	no_overlap
	gone "$first" && fail "the first one has ended"
	return 0
}

stands_by() {
	"$FSHA" status a | grep -q '(standby)'
}

test_when_everything_hangs_the_command_is_ended_within_the_lease() {
	hang_and_follow
}

test_when_renames_hang_the_command_is_ended_within_the_lease() {
	hang_and_follow kind=renameat
}

test_a_process_in_another_session_is_ended_too() {
	STAMPER=apart hang_and_follow
}

test_of_two_on_one_host_only_the_one_that_hangs_loses() {
	start_faultfs
	make_stamper
	contend_on 0 b
	first=$!
	wait_until 5 stamped 1
	contend_on 1 c
	wait_until 5 stands_by
	# Calls that read, of one process: they hold no lock in the kernel that others wait for.
	fault rule hang pid=$first kind=pread,getdents
	sleep 1.5
	stamped 2 && fail "it lost the leadership"
	fault rule hang pid=$first kind=renameat
	wait_until 10 stamped 2
	no_overlap
	fault heal
	wait_until 10 stands_by
}

run_tests "$@"
