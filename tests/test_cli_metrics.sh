#!/usr/bin/env bash
# fsha metrics, and the alerts of examples/prometheus.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

alerts=$(dirname "$0")/../examples/prometheus/alerts.yml

test_metrics_tell_who_leads() {
	start "$FSHA" run --election dispatcher --address here -- sleep 1000
	wait_until 5 "$FSHA" status dispatcher
	expect 0 metrics
	matches "$out" 'fsha_cluster_has_leader\{election="dispatcher"\} 1'
	matches "$out" 'fsha_cluster_members\{state="alive"\} 1'
	matches "$out" 'fsha_cluster_storage_free_bytes [0-9]+'
}

test_metrics_go_whole_into_a_file() {
	"$FSHA" job put 00000000000000000000000000000001 <<<graph
	expect 0 metrics --output "$dir/fsha.prom"
	equal "$out" ""
	matches "$(<"$dir/fsha.prom")" 'fsha_cluster_store_files\{store="job_graphs"\} 1'
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
	matches "$out" 'fsha_cluster_findings\{severity="error",code="record-damaged"\} 1'
}

test_metrics_count_results_that_lie_elsewhere() {
	local results=(-D "job-result-store.storage-path=$dir/storage/results")
	printf '{"result":{"id":"%032d","application-status":"SUCCEEDED","accumulator-results":{},"net-runtime":5},"version":1}' \
		1 | "$FSHA" "${results[@]}" result put
	expect 0 "${results[@]}" metrics
	# The result, and whose directory it is.
	matches "$out" 'fsha_cluster_store_files\{store="job_results"\} 2'
}

test_metrics_of_nothing_are_an_error() {
	expect 124 metrics
	expect 120 metrics argument
	matches "$err" "argument"
	expect 120 metrics --observe x
}

# Every metric that an alert asks for is one that is told.
test_alerts_ask_for_metrics_that_exist() {
	local metric told
	told=$(cat "$(dirname "$0")"/../src/metrics/*.c "$(dirname "$0")"/../src/cli/metrics.c)
	while read -r metric; do
		grep -q "[\" ]${metric}[\" {]" <<<"$told" || fail "nothing tells $metric"
	done < <(sed -n 's/^ *expr: //p' "$alerts" | grep -o 'fsha_[a-z_]*' | sort -u)
}

# Package prometheus has promtool; without it the format is checked by test_services_metrics alone.
test_promtool_accepts_alerts_and_metrics() {
	command -v promtool >/dev/null || return 0
	promtool check rules "$alerts" >"$dir/rules" 2>&1 || fail "$(<"$dir/rules")"
	"$FSHA" job put 00000000000000000000000000000001 <<<graph
	expect 0 metrics --verify
	promtool check metrics <<<"$out" >"$dir/check" 2>&1 || fail "$(<"$dir/check")"
}

run_tests "$@"
