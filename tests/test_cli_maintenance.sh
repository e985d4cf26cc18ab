#!/usr/bin/env bash
# fsha verify, repair and gc: exit codes, what they print, and that they leave a running cluster alone.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one=00000000000000000000000000000001

# lead ELECTION ADDRESS: somebody leads until the test ends; returns when that is published.
lead() {
	start "$FSHA" run --election "$1" --address "$2" -- sleep 1000
	wait_until 20 leads "$1"
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

# newest DIRECTORY PREFIX: the last name there, with its path.
newest() {
	local names=("$dir/storage/default/$1/$2"*)
	echo "${names[-1]}"
}

# damage FILE: one byte in its middle becomes another.
damage() {
	local at=$(($(stat -c %s "$1") / 2)) byte
	byte=$(dd if="$1" bs=1 skip=$at count=1 status=none | od -An -tu1)
	printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
		dd of="$1" bs=1 seek=$at conv=notrunc status=none
}

tree() {
	find "$dir/storage" -printf '%P %s\n' | sort
}

# ---- verify --------------------------------------------------------------------------------------

test_verify_of_a_sound_cluster_is_0_and_changes_nothing() {
	echo graph | "$FSHA" job put $one || fail "job put"
	before=$(tree)
	expect 0 verify
	matches "$out" '^[0-9]+ names, [0-9]+ records .* 0 critical, 0 errors, 0 warnings'
	equal "$(tree)" "$before"
}

test_verify_exits_with_the_worst_severity() {
	echo graph | "$FSHA" job put $one || fail "job put"
	touch "$dir/storage/default/README"
	expect 1 verify
	matches "$out" 'warning unknown-name: README'
	damage "$(newest job_graphs $one)"
	expect 2 verify
	matches "$out" 'error record-damaged: job_graphs/'
	matches "$out" 'fsha repair'
	rm "$dir"/storage/default/floor-*
	expect 3 verify
	matches "$out" 'critical floor-missing'
	expect 3 verify --json
	equal "$(json .critical)" 1
	equal "$(json .error)" 1
	equal "$(json '.findings[0].code')" floor-missing
}

# More than is read into memory at once, so it is read in another way.
test_verify_reads_values_of_any_size_to_their_last_byte() {
	head -c $(((64 << 20) + 1)) /dev/zero | "$FSHA" state space put large >/dev/null ||
		fail "state put"
	expect 0 verify
	matches "$out" ' 0 critical, 0 errors, 0 warnings'
	damage "$(newest state/space large)"
	expect 2 verify
	matches "$out" 'error record-damaged: state/space/large'
}

test_verify_works_where_settings_are_damaged() {
	echo graph | "$FSHA" job put $one || fail "job put"
	damage "$(newest . SETTINGS)"
	expect 3 verify
	matches "$out" settings-damaged
	[[ $out != *record-* ]] || fail "records are called damaged: $out"
}

test_verify_without_a_cluster_is_an_error() {
	expect 124 verify
	mkdir "$dir/storage/default"
	touch "$dir/storage/default/x"
	expect 121 verify
	unset FSHA_STORAGE_DIR
	expect 121 verify
}

test_verify_of_a_busy_cluster_finds_nothing_above_info() {
	local end=$((SECONDS + 6)) rounds=0
	lead rest_endpoint here:1
	start bash -c "until [ -e $dir/stop ]; do
		echo \$RANDOM | $FSHA job put $one; $FSHA job rm $one; done" >/dev/null 2>&1
	local writer=$!
	# Leaders come and go, and each command is a term and a member of its own.
	start bash -c "until [ -e $dir/stop ]; do
		$FSHA run --election resource_manager --address x:1 -- sleep 0.05; done" >/dev/null 2>&1
	while [ $SECONDS -lt $end ] || [ $rounds -lt 3 ]; do
		expect 0 verify --json
		equal "$(json .not_told)" 0
		rounds=$((rounds + 1))
	done
	touch "$dir/stop"
	wait $! "$writer"
}

test_each_code_is_in_the_manual() {
	local root
	root=$(dirname "$0")/..
	sed -n 's/.*{ "\([a-z-]*\)", FSHA_SEVERITY_\([A-Z]*\).*/\1 \L\2/p' \
		"$root/src/maintenance/finding.c" | sort >"$dir/codes"
	[ "$(wc -l <"$dir/codes")" -ge 30 ] || fail "only $(wc -l <"$dir/codes") codes in finding.c"
	# shellcheck disable=SC2016 # Markdown's backticks
	sed -n 's/^| \(`[a-z`, -]*\) | \(info\|warning\|error\|critical\) .*/\1 \2/p' \
		"$root/doc/MAINTENANCE.md" | tr -d '`,' |
		awk '{ for (i = 1; i < NF; i++) print $i, $NF }' | sort >"$dir/manual"
	diff "$dir/codes" "$dir/manual" || fail "< finding.c, > doc/MAINTENANCE.md"
}

# ---- repair --------------------------------------------------------------------------------------

test_repair_moves_what_is_damaged_to_quarantine_when_told_to() {
	local file
	echo graph | "$FSHA" job put $one || fail "job put"
	file=$(newest job_graphs $one)
	damage "$file"
	expect 126 job get $one
	matches "$err" "fsha repair"
	expect 0 repair
	matches "$out" "planned record-damaged: job_graphs/$one~"
	[ -e "$file" ] || fail "it is gone already"
	expect 0 repair --yes --json
	equal "$(json .done)" 1
	equal "$(json '.actions[0].code')" record-damaged
	[ ! -e "$file" ] || fail "it is there"
	matches "$(ls "$dir/storage/default/quarantine")" "^[0-9a-f]{32}~job_graphs%2F$one%7E"
	expect 124 job get $one
	expect 0 repair --yes
	equal "$out" "0 done, 0 planned, 0 left, 0 failed"
	expect 1 verify
	matches "$out" "warning quarantined"
	echo graph | "$FSHA" job put $one || fail "job put"
	expect 0 job get $one
}

test_repair_shows_an_older_version_only_when_that_is_accepted() {
	echo older | "$FSHA" job put $one || fail "job put"
	echo newer | "$FSHA" job put $one || fail "job put"
	damage "$(newest job_graphs $one)"
	expect 0 repair --yes
	matches "$out" "left record-damaged: job_graphs/$one~.* becomes visible"
	expect 126 job get $one
	expect 0 repair --yes --accept-older
	matches "$out" "done record-damaged: "
	expect 0 job get $one
	equal "$out" older
}

test_repair_is_refused_while_somebody_leads() {
	echo graph | "$FSHA" job put $one || fail "job put"
	lead dispatcher there:1
	damage "$(newest job_graphs $one)"
	expect 122 repair --yes
	matches "$err" there:1
	matches "$out" "left record-damaged: "
	equal "$(ls "$dir/storage/default/quarantine")" ""
}

# put_result ID OPTION...
put_result() {
	printf '{"result":{"id":"%s","application-status":"SUCCEEDED","accumulator-results":{},"net-runtime":1},"version":1}\n' \
		"$1" | "$FSHA" result put "${@:2}" || fail "result put"
}

# paths CODE: of the findings of this code in the JSON of verify.
paths() {
	json "[.findings[] | select(.code == \"$1\") | .path] | join(\" \")"
}

test_job_results_elsewhere_are_looked_at_as_well() {
	local file elsewhere=(-D "job-result-store.storage-path=$dir/results")
	put_result $one "${elsewhere[@]}"
	expect 0 verify "${elsewhere[@]}"
	file=$(echo "$dir/results/$one"*)
	[ -f "$file" ] || fail "it is not there: $(ls "$dir/results")"
	damage "$file"
	touch "$dir/results/notes.txt"
	expect 2 verify --json "${elsewhere[@]}"
	equal "$(paths record-damaged)" "$file"
	equal "$(paths unknown-name)" "$dir/results/notes.txt"
	expect 0 repair --yes "${elsewhere[@]}"
	matches "$out" "done record-damaged: $file"
	[ ! -e "$file" ] || fail "it is there"
	equal "$(find "$dir/storage/default/quarantine" -type f | wc -l)" 1
	rm "$dir/results/notes.txt"
	put_result $one "${elsewhere[@]}"
	"$FSHA" result rm $one "${elsewhere[@]}" || fail "result rm"
	expect 1 verify --all "${elsewhere[@]}"
	matches "$out" "info tombstones: $dir/results"
	expect 0 gc "${elsewhere[@]}"
	matches "$out" "done tombstones: $dir/results: "
	equal "$(find "$dir/results" -name "$one*" | wc -l)" 0
}

test_job_results_of_another_cluster_are_left_alone() {
	local before elsewhere=(-D "job-result-store.storage-path=$dir/results")
	put_result $one "${elsewhere[@]}"
	before=$(ls "$dir/results")
	elsewhere+=(-d "$dir/storage2")
	mkdir "$dir/storage2"
	echo graph | "$FSHA" job put $one -d "$dir/storage2" || fail "job put"
	expect 2 verify "${elsewhere[@]}"
	matches "$out" "error owner-wrong: $dir/results"
	[[ $out != *record-* ]] || fail "records are called damaged: $out"
	expect 0 repair --yes --accept-older "${elsewhere[@]}"
	equal "$out" "0 done, 0 planned, 0 left, 0 failed"
	expect 0 gc "${elsewhere[@]}"
	[[ $out != *results* ]] || fail "$out"
	equal "$(ls "$dir/results")" "$before"
}

test_verify_of_a_sound_cluster_gives_json() {
	echo graph | "$FSHA" job put $one || fail "job put"
	expect 0 verify --json
	equal "$(json .critical,.error,.warning | paste -sd ' ')" "0 0 0"
	equal "$(json '.findings | map(.severity) | unique - ["info"] | length')" 0
	equal "$(json '[.findings[] | keys[]] | unique | join(" ")')" "advice code message path severity"
}

# ---- gc ------------------------------------------------------------------------------------------

gc_leaves_no_member() {
	"$FSHA" gc >/dev/null && [ -z "$(ls "$dir/storage/default/members")" ]
}

test_gc_leaves_a_blob_that_comes_before_its_job() {
	echo content >"$dir/jar"
	expect 0 blob put --job $one "$dir/jar"
	blob=$out
	expect 0 gc
	matches "$out" "left blobs-orphaned: blobs/job_$one: .*--unknown-jobs"
	expect 0 blob get --job $one "$blob"
	equal "$out" content
	echo graph | "$FSHA" job put $one || fail "job put"
	expect 0 gc --unknown-jobs
	expect 0 blob get --job $one "$blob"
	"$FSHA" job rm $one || fail "job rm"
	expect 0 gc --unknown-jobs --dry-run
	matches "$out" "planned blobs-orphaned: blobs/job_$one: "
	expect 0 gc --unknown-jobs
	matches "$out" "done blobs-orphaned: blobs/job_$one: "
	expect 124 blob get --job $one "$blob"
}

test_gc_takes_away_what_a_killed_process_left() {
	echo graph | "$FSHA" job put $one || fail "job put"
	start "$FSHA" run --election rest_endpoint --address x:1 -- sleep 1000
	wait_until 20 leads rest_endpoint
	kill_now $!
	echo newer | "$FSHA" job put $one || fail "job put"
	touch "$dir/storage/default/elections/dispatcher/trash/x"
	expect 0 gc --dry-run
	matches "$out" 'planned old-versions: job_graphs: '
	matches "$out" ' 0 left, 0 failed$'
	# Once its guard has ended the command, which holds the lock too.
	wait_until 20 gc_leaves_no_member
	expect 0 gc --json
	equal "$(json .failed)" 0
	equal "$(find "$dir/storage/default/job_graphs" -type f | wc -l)" 1
	expect 0 job get $one
	equal "$out" newer
	expect 0 gc
	equal "$out" "0 done, 0 planned, 0 left, 0 failed"
	expect 0 verify
}

test_gc_leaves_a_leaders_work_to_him() {
	echo graph | "$FSHA" job put $one || fail "job put"
	echo newer | "$FSHA" job put $one || fail "job put"
	lead dispatcher there:1
	expect 0 gc --json
	equal "$(json .failed)" 0
	expect 0 status dispatcher
	expect 0 job get $one
	equal "$out" newer
}

test_gc_retires_elections_only_of_an_empty_cluster() {
	"$FSHA" run --election job-$one --address x:1 -- true || fail "run"
	[ -d "$dir/storage/default/elections/job-$one" ] || fail "no such election"
	lead rest_endpoint here:1
	expect 0 gc --retire
	matches "$out" 'left election-retired: elections: '
	[ -d "$dir/storage/default/elections/job-$one" ] || fail "it is gone"
	end_started
	started=()
	wait_until 20 bash -c "'$FSHA' gc --retire | grep -q 'done election-retired: elections/job-$one'"
	[ ! -e "$dir/storage/default/elections/job-$one" ] || fail "it is there"
	"$FSHA" run --election job-$one --address x:1 -- true || fail "run"
	matches "$("$FSHA" status job-$one 2>/dev/null)" '\(none\) +2'
	fsha verify
	[ "$code" = 0 ] || fail "$out"
}

test_usage_of_maintenance() {
	expect 0 gc --help
	matches "$out" "--dry-run"
	expect 120 gc x
	expect 0 repair --help
	matches "$out" "--accept-older"
	matches "$out" "--finish-removals"
	expect 120 repair x
	expect 124 gc
	expect 0 verify --help
	matches "$out" "120 and above"
	expect 120 verify x
	expect 120 verify --nonsense
}

run_tests "$@"
