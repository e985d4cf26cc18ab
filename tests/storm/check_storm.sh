#!/usr/bin/env bash
# Storms: clusters of real processes on filesystems of their own, disturbed in every way. Needs root.
#
#   BUILD=DIR tests/storm/check_storm.sh [TEST...]      kills stops space inodes shutdown clocks
#
# FSHA_TEST_LONG says how much, as for all tests (tests/lib/run.h); SEED=N repeats the choices of a
# run, as far as real processes do; STORM_DIR is where images and histories lie (a tmpfs is fast;
# /dev/shm by default). STORM_WRAPPER is put before the command of each process, such as valgrind;
# then, and with a sanitizer in the build, there are 200 kills and 4 stops, and what it finds fails.
#
# One line for each storm, with its figures. All must hold: the storm itself ends well (tests/storm/
# crowd.h), its history breaks no rule (tests/lib/ops_history.h), no id was given out twice, `fsha
# verify` finds nothing, and no process, mount or loop device is left. What failed keeps its history.
set -u

: "${BUILD:=build}"
BUILD=$(cd "$BUILD" && pwd) || exit 2
all_tests=(kills stops space inodes shutdown clocks)

# ---- What it needs ---------------------------------------------------------------------------------

missing=()
[ "$(id -u)" -eq 0 ] || missing+=("root (it mounts filesystems)")
for command in mkfs.ext4 mkfs.xfs mkfs.btrfs losetup mount umount unshare pgrep; do
	command -v "$command" >/dev/null || missing+=("the command $command (tools/install-deps proof)")
done
[ -e /dev/loop-control ] || missing+=("loop devices (/dev/loop-control)")
for program in storm_run storm_member process_check_history; do
	[ -x "$BUILD/tests/$program" ] || missing+=("$BUILD/tests/$program (make check-programs)")
done
faketime=
for place in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1; do
	[ ! -e "$place" ] || faketime=$place
done
[ -n "$faketime" ] || missing+=("libfaketime (tools/install-deps proof)")
[ -e /proc/self/timens_offsets ] || missing+=("time namespaces (CONFIG_TIME_NS)")
if [ ${#missing[@]} -gt 0 ]; then
	echo "check-storm cannot run here; it lacks:" >&2
	printf '  %s\n' "${missing[@]}" >&2
	exit 1
fi

# Mounts of its own: a namespace that somebody else makes meanwhile would hold a copy of each, and a
# filesystem that was shut down would be mounted again as it is.
if [ -z "${STORM_UNSHARED-}" ]; then
	STORM_UNSHARED=1 exec unshare --mount --propagation private "$0" "$@"
fi

# size CHECK PART ALL, as test_size in tests/lib/run.h.
size() {
	case ${FSHA_TEST_LONG-unset} in
	unset) echo "$1" ;;
	part) echo "$2" ;;
	*) echo "$3" ;;
	esac
}

slow=false
if grep -q -e -fsanitize "$BUILD/flags" || [ -n "${STORM_WRAPPER-}" ]; then
	slow=true
fi

# ---- Filesystems -----------------------------------------------------------------------------------

parent=${STORM_DIR:-/dev/shm}
[ -w "$parent" ] || parent=${TMPDIR:-/tmp}
work=$(mktemp -d "$parent/fsha-storm.XXXXXX") || exit 2
runners=()
failed=0
quiet=false

# Whatever is still there goes, in the order in which it can.
clean_up() {
	local mount image device
	trap '' INT TERM
	[ ${#runners[@]} -eq 0 ] || kill -KILL "${runners[@]}" 2>/dev/null
	wait
	for mount in "$work"/*/mount; do
		! mountpoint -q "$mount" || umount "$mount" || umount -l "$mount"
	done
	for image in "$work"/*/image; do
		[ -e "$image" ] || continue
		device=$(losetup -n -O NAME -j "$image")
		[ -z "$device" ] || losetup -d "$device"
	done
	if [ $failed -eq 0 ]; then
		rm -rf "$work"
	else
		rm -f "$work"/*/image
		echo "the histories of what failed are in $work"
	fi
}
trap clean_up EXIT
trap 'failed=1; exit 130' INT TERM

# make_fs NAME TYPE [OPTION...]: mounted at $work/NAME/mount; the options are those of mkfs, or, for
# a tmpfs, of mount. The images are sparse.
make_fs() {
	local name=$1 type=$2 dir=$work/$1 megabytes device
	shift 2
	mkdir -p "$dir/mount" "$dir/logs"
	echo "$type" >"$dir/type"
	if [ "$type" = tmpfs ]; then
		mount -t tmpfs -o "${1-size=256m}" tmpfs "$dir/mount" || exit 2
	else
		case $type in
		ext4) megabytes=96 ;;
		xfs) megabytes=320 ;;
		btrfs) megabytes=256 ;;
		esac
		truncate -s "${megabytes}M" "$dir/image" || exit 2
		"mkfs.$type" -q "$@" "$dir/image" >/dev/null || exit 2
		device=$(losetup --show -f "$dir/image") || exit 2
		echo "$device" >"$dir/device"
		mount -t "$type" "$device" "$dir/mount" || exit 2
	fi
}

# unmake_fs NAME: that it can be unmounted shows that nobody has anything open in it.
unmake_fs() {
	local dir=$work/$1 tries=0
	until umount "$dir/mount" 2>"$dir/umount"; do
		tries=$((tries + 1))
		if [ $tries -gt 20 ]; then
			fail "$1" "$(cat "$dir/umount")"
			return
		fi
		sleep 0.1
	done
	[ ! -e "$dir/device" ] || losetup -d "$(<"$dir/device")" || fail "$1" "its loop device stays"
	rm -f "$dir/image"
}

# ---- Storms ----------------------------------------------------------------------------------------

# fail NAME WHY
fail() {
	failed=1
	touch "$work/$1/failed"
	echo "FAIL $1: $2"
}

# storm NAME PLACE OPTION...: in the background, below $work/PLACE/mount; see judge.
storm() {
	local name=$1 place=$2 dir=$work/$2
	shift 2
	mkdir -p "$dir/mount/$name" "$work/$name/logs"
	echo "$place" >"$work/$name/place"
	"$BUILD/tests/storm_run" "storage=$dir/mount/$name" "logs=$work/$name/logs" \
		"type=$(<"$dir/type")" "device=$(cat "$dir/device" 2>/dev/null)" \
		"faketime=$faketime" "$@" >"$work/$name/output" 2>&1 &
	runners+=($!)
	echo $! >"$work/$name/pid"
}

# judge NAME...: waits for the storms, says what became of them.
judge() {
	local name dir code verdict twice
	for name; do
		dir=$work/$name
		code=0
		wait "$(<"$dir/pid")" || code=$?
		if [ $code -ne 0 ]; then
			fail "$name" "exit code $code: $(cat "$dir/output")"
			tail -q -n 3 "$dir"/logs/stderr.* 2>/dev/null | grep -v '^$' | head -n 40
		fi
		if ! verdict=$("$BUILD/tests/process_check_history" "$dir"/logs/history.* \
			2>"$dir/violations"); then
			fail "$name" "$verdict"
			head -n 5 "$dir/violations"
		fi
		# A process that is killed ends with no code of its own.
		if grep -hsE '^==[0-9]+==|Sanitizer|runtime error:' "$dir"/logs/stderr.* \
			>"$dir/reports"; then
			fail "$name" "$(head -n 40 "$dir/reports")"
		fi
		twice=$(sort "$dir/logs/ids" | uniq -d)
		[ -z "$twice" ] || fail "$name" "ids that were given out twice: $twice"
		FSHA_STORAGE_DIR=$work/$(<"$dir/place")/mount/$name "$BUILD/fsha" verify \
			>"$dir/verify" 2>&1 || fail "$name" "fsha verify: $(cat "$dir/verify")"
		! pgrep -f "$dir/logs" >/dev/null || fail "$name" "processes that stay"
		[ -e "$dir/failed" ] || rm -rf "$dir/logs"
		$quiet || echo "  $(<"$dir/output"); judged: $verdict"
		# With the figures, to be added up.
		sed -i "s/\$/, ${verdict##*, }/" "$dir/output"
	done
	runners=()
}

# sum_up TEST NAME...: the figures of all its storms together, in one line, without those that are 0.
sum_up() {
	local name=$1
	shift
	echo "$name: $(cd "$work" && cat "${@/%//output}" | awk -F'[:,;] ' '
		{ for (i = 2; i <= NF; i++) if (split($i, w, " ") == 2) {
			if (!(w[2] in sum)) order[++n] = w[2]
			sum[w[2]] += w[1] } }
		END { printf "%d storms", NR
			for (i = 1; i <= n; i++) if (order[i] != "s" && (sum[order[i]] ||
				order[i] == "violations")) printf ", %d %s", sum[order[i]], order[i] }')"
}

# at_least WORD NUMBER NAME...
at_least() {
	local word=$1 number=$2 name sum=0 n
	shift 2
	for name; do
		n=$(sed -n "s/.*[ :]\([0-9][0-9]*\) ${word},.*/\1/p" "$work/$name/output")
		sum=$((sum + ${n:-0}))
	done
	[ "$sum" -ge "$number" ] || fail "$1" "only $sum $word in all, not $number"
}

# ---- The tests -------------------------------------------------------------------------------------

# Eight contenders on each filesystem, that are killed as fast as they come to lead. Slow ones have
# their leases to keep: not all side by side.
test_kills() {
	local count types type names all=() together=('ext4 xfs btrfs tmpfs')
	count=$(size 60 120 2500)
	if $slow; then
		count=${STORM_KILLS:-50}
		together=('ext4 xfs' 'btrfs tmpfs')
	fi
	for types in "${together[@]}"; do
		names=()
		for type in $types; do
			make_fs "kills-$type" "$type"
			storm "kills-$type" "kills-$type" disturbance=kills members=8 \
				"count=$count" "lease_ms=$lease_ms" interval_us=100000 \
				pause_us=10000 "min_terms=$((count / 4))" \
				"min_writes=$((count / 10))"
			names+=("kills-$type")
		done
		judge "${names[@]}"
		for type in $types; do
			unmake_fs "kills-$type"
		done
		all+=("${names[@]}")
	done
	sum_up kills "${all[@]}"
	at_least kills $((4 * count)) "${all[@]}"
}

# Twenty clusters side by side, five on each filesystem. Leaders sleep for longer than their lease.
test_stops() {
	local count each=5 i type names=()
	count=$(size 2 3 50)
	! $slow || each=1
	for type in ext4 xfs btrfs tmpfs; do
		make_fs "stops-$type" "$type"
		for ((i = 0; i < each; i++)); do
			storm "stops-$type-$i" "stops-$type" disturbance=stops members=3 \
				"count=$count" lease_ms=1000 pause_us=30000 \
				"min_terms=$((count + 3))" "min_writes=$((count / 5))"
			names+=("stops-$type-$i")
		done
	done
	quiet=true
	judge "${names[@]}"
	quiet=false
	for type in ext4 xfs btrfs tmpfs; do
		unmake_fs "stops-$type"
	done
	sum_up stops "${names[@]}"
	at_least stops $((4 * each * count)) "${names[@]}"
}

# each_type NAME TYPES OPTION...: side by side, one on each.
each_type() {
	local name=$1 types=$2 type names=()
	shift 2
	for type in $types; do
		storm "$name-$type" "$name-$type" "disturbance=$name" "$@"
		names+=("$name-$type")
	done
	judge "${names[@]}"
	for type in $types; do
		unmake_fs "$name-$type"
	done
	sum_up "$name" "${names[@]}"
}

# Full, but for a few blocks; then not any more.
test_space() {
	local type count
	count=$(size 2 3 20)
	for type in ext4 xfs btrfs tmpfs; do
		make_fs "space-$type" "$type"
	done
	each_type space 'ext4 xfs btrfs tmpfs' members=3 "count=$count" lease_ms=2000 \
		pause_us=5000 "min_writes=$((2 * count))"
}

# No inode left. XFS and btrfs make them as they are needed.
test_inodes() {
	local count
	count=$(size 2 3 20)
	make_fs inodes-ext4 ext4 -N 8000
	make_fs inodes-tmpfs tmpfs size=256m,nr_inodes=8000
	each_type inodes 'ext4 tmpfs' members=3 "count=$count" lease_ms=2000 pause_us=5000 \
		"min_writes=$((2 * count))"
}

# FS_IOC_SHUTDOWN, which btrfs and tmpfs have not: what was acknowledged is there after the next mount.
test_shutdown() {
	local count
	count=$(size 3 3 60)
	make_fs shutdown-ext4 ext4
	make_fs shutdown-xfs xfs
	each_type shutdown 'ext4 xfs' members=3 "count=$count" lease_ms=2000 interval_us=500000 \
		"min_writes=$((2 * count))"
}

# Wall clocks that jump, boot times that differ.
test_clocks() {
	local count
	count=$(size 3 3 24)
	make_fs clocks-ext4 ext4
	each_type clocks ext4 members=4 "count=$count" lease_ms=4000 pause_us=5000 \
		"min_terms=$count" "min_writes=$count"
}

lease_ms=2000
tests=("$@")
if $slow; then
	lease_ms=6000
	[ ${#tests[@]} -gt 0 ] || tests=(kills stops)
fi
[ ${#tests[@]} -gt 0 ] || tests=("${all_tests[@]}")
: "${SEED:=$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}"
export SEED
echo "SEED=$SEED"
for name in "${tests[@]}"; do
	if ! declare -F "test_$name" >/dev/null; then
		echo "check_storm.sh: what is '$name'? One of: ${all_tests[*]}" >&2
		exit 2
	fi
	start=$SECONDS
	"test_$name"
	echo "$name: $((SECONDS - start)) s"
done
if [ $failed -ne 0 ]; then
	echo "check-storm: FAILED"
	exit 1
fi
echo "check-storm: ok"
