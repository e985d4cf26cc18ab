#!/usr/bin/env bash
# fsha metrics, and the alerts of examples/prometheus.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

prometheus=$(dirname "$0")/../examples/prometheus
alerts=$prometheus/alerts.yml
uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
# The label that every sample has.
in_cluster="cluster=\"$uuid\""

test_metrics_tell_who_leads() {
	start "$FSHA" run --election dispatcher --address here -- sleep 1000
	wait_until 5 "$FSHA" status dispatcher
	expect 0 metrics
	matches "$out" "fsha_cluster_has_leader\\{$in_cluster,election=\"dispatcher\"\\} 1"
	matches "$out" "fsha_cluster_members\\{$in_cluster,state=\"alive\"\\} 1"
	matches "$out" "fsha_cluster_storage_free_bytes\\{$in_cluster\\} [0-9]+"
}

test_metrics_go_whole_into_a_file() {
	"$FSHA" job put 00000000000000000000000000000001 <<<graph
	expect 0 metrics --output "$dir/fsha.prom"
	equal "$out" ""
	matches "$(<"$dir/fsha.prom")" "fsha_cluster_store_files\\{$in_cluster,store=\"job_graphs\"\\} 1"
	equal "$(find "$dir" -name 'fsha.prom*' | wc -l)" 1
	expect 126 metrics --output "$dir/none/fsha.prom"
	matches "$err" "none/fsha.prom"
}

test_metrics_tell_what_verify_finds() {
	"$FSHA" job put 00000000000000000000000000000001 <<<graph
	expect 0 metrics --verify
	[[ $out != *'severity="error"'* ]] || fail "a sound cluster has errors: $out"
	printf rubbish >"$(echo "$dir"/storage/default/job_graphs/0*)"
	expect 0 metrics --verify
	matches "$out" "fsha_cluster_findings\\{$in_cluster,severity=\"error\",code=\"record-damaged\"\\} 1"
}

test_metrics_count_results_that_lie_elsewhere() {
	local results=(-D "job-result-store.storage-path=$dir/storage/results")
	printf '{"result":{"id":"%032d","application-status":"SUCCEEDED","accumulator-results":{},"net-runtime":5},"version":1}' \
		1 | "$FSHA" "${results[@]}" result put
	expect 0 "${results[@]}" metrics
	# The result, and whose directory it is.
	matches "$out" "fsha_cluster_store_files\\{$in_cluster,store=\"job_results\"\\} 2"
}

test_metrics_of_nothing_are_an_error() {
	expect 124 metrics
	expect 120 metrics argument
	matches "$err" "argument"
	expect 120 metrics --observe x
}

# So that those of two clusters are told apart, also when both are called alike.
test_every_sample_names_its_cluster() {
	local cluster
	"$FSHA" job put 00000000000000000000000000000001 <<<graph
	printf rubbish >"$(echo "$dir"/storage/default/job_graphs/0*)"
	expect 0 status --json
	cluster=$(json .cluster)
	expect 0 metrics --verify
	matches "$out" "fsha_cluster_info\\{cluster=\"$cluster\",path=\"$dir/storage/default\"\\} 1"
	if grep -v -e '^#' -e "^fsha_[a-z_]*{cluster=\"$cluster\"[,}]" <<<"$out" >"$dir/others"; then
		fail "not of the cluster $cluster: $(<"$dir/others")"
	fi
}

# samples METRIC: its values, by their last label.
samples() {
	fsha metrics
	sed -n "s/^$1{.*[a-z]=\"\([^\"]*\)\"} /\1 /p" <<<"$out" | sort
}

# For FshaNoLeader: who resigned last, and nobody contends, is not missed; who died is.
test_metrics_tell_of_contenders_with_the_holder_that_died() {
	local leader
	expect 0 run --election dispatcher --address a -- sleep 0.2
	equal "$(samples fsha_cluster_contenders)" "dispatcher 0"
	start "$FSHA" run --election dispatcher --address a -- sleep 1000
	leader=$!
	wait_until 5 "$FSHA" status dispatcher >/dev/null
	equal "$(samples fsha_cluster_contenders)" "dispatcher 1"
	kill_now $leader
	wait_until 5 no_leader
	equal "$(samples fsha_cluster_contenders)" "dispatcher 1"
}

no_leader() {
	[ "$(samples fsha_cluster_has_leader)" = "dispatcher 0" ]
}

# For FshaLeaderFlaps: commands that write take terms, too.
test_epoch_of_the_leader_changes_with_leaders_alone() {
	for _ in 1 2 3; do
		"$FSHA" job put 00000000000000000000000000000001 <<<graph
		equal "$(samples fsha_cluster_leader_epoch)" ""
	done
	start "$FSHA" run --election dispatcher --address a -- sleep 1000
	wait_until 5 "$FSHA" status dispatcher >/dev/null
	equal "$(samples fsha_cluster_leader_epoch)" "dispatcher 4"
	equal "$(samples fsha_cluster_epoch)" "dispatcher 4"
}

# Every metric that an alert asks for is one that is told.
test_alerts_ask_for_metrics_that_exist() {
	local metric told
	told=$(cat "$(dirname "$0")"/../src/metrics/*.c "$(dirname "$0")"/../src/cli/metrics.c)
	while read -r metric; do
		# Those of a histogram are told by the name of the whole.
		metric=${metric%_bucket}
		metric=${metric%_count}
		grep -q "[\" ]${metric}[\" {]" <<<"$told" || fail "nothing tells $metric"
	done < <(grep -v -e '^ *#' -e description: -e summary: "$alerts" | grep -o 'fsha_[a-z_]*' | sort -u)
}

# Package prometheus has promtool; without it the format is checked by test_services_metrics alone.
has_promtool() {
	command -v promtool >/dev/null || {
		echo "there is no promtool, of Debian's package prometheus: nothing checks the rules of the alerts" >&2
		return 1
	}
}

test_each_alert_fires_and_does_not() {
	local alert
	while read -r alert; do
		grep -q "alertname: $alert\$" "$prometheus/alerts_test.yml" || fail "nothing makes $alert fire"
	done < <(sed -n 's/^ *- alert: //p' "$alerts")
	has_promtool || return 0
	(cd "$prometheus" && promtool test rules alerts_test.yml) >"$dir/rules" 2>&1 || fail "$(<"$dir/rules")"
}

test_promtool_accepts_alerts_and_metrics() {
	has_promtool || return 0
	promtool check rules "$alerts" >"$dir/rules" 2>&1 || fail "$(<"$dir/rules")"
	"$FSHA" job put 00000000000000000000000000000001 <<<graph
	expect 0 metrics --verify
	promtool check metrics <<<"$out" >"$dir/check" 2>&1 || fail "$(<"$dir/check")"
}

run_tests "$@"
