#!/usr/bin/env bash
# fsha history: which terms it knows, and how each of them ended.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

one=00000000000000000000000000000001

# lead ELECTION ADDRESS: somebody leads until the test ends; returns when that is published.
lead() {
	start "$FSHA" run --election "$1" --address "$2" -- sleep 1000
	wait_until 5 leads "$1"
}

leads() {
	"$FSHA" status "$1" >/dev/null 2>&1
}

# has_terms ELECTION NUMBER: the history knows so many.
has_terms() {
	[ "$("$FSHA" history "$1" | grep -c 'T.*Z')" -eq "$2" ]
}

test_history_tells_the_terms() {
	lead a a
	wait_until 5 has_terms a 1
	kill_now "${started[0]}"
	lead a b
	wait_until 5 has_terms a 2
	wait_until 5 knows_end
	expect 0 history a --json
	equal "$(json '.terms[0].epoch')" 1
	equal "$(json '.terms[0].end')" "lock released"
	equal "$(json '.terms[0].pid')" "${started[0]}"
	equal "$(json '.terms[0].ended_wall_ns')" "$(json '.terms[1].granted_wall_ns')"
	equal "$(json '.terms[1].epoch')" 2
	equal "$(json '.terms[1].end | length')" 0
	expect 124 history b
	matches "$err" "no election 'b'"
}

# knows_end: of the term that was killed.
knows_end() {
	"$FSHA" history a | grep -q 'lock released'
}

# ends: how the terms of the dispatcher ended, of which all but the first that runs tell when.
ends() {
	expect 0 history dispatcher --json
	json '.terms[] | [.epoch, .end, (.ended_wall_ns // 0) >= .granted_wall_ns, .pid > 0] | join(" ")'
}

test_history_tells_every_command_that_wrote() {
	for _ in 1 2 3 4; do
		echo graph | "$FSHA" job put $one || fail "cannot put"
	done
	equal "$(ends)" "1 resigned true true
2 resigned true true
3 resigned true true
4 resigned true true"
	expect 0 history dispatcher
	matches "$out" 'ENDED +HOW +HOST:PID
1 +[0-9a-f]{8}  [-0-9]+T[0-9:.]+Z  [-0-9]+T[0-9:.]+Z  resigned  [^ ]+:[0-9]+'
}

# Of terms that end each in its own way, some too short to write a history, each has its own end.
test_history_tells_each_term_its_own_end() {
	local told
	expect 0 run --election dispatcher --address a -- sleep 0.5
	for _ in 1 2 3; do
		echo graph | "$FSHA" job put $one || fail "cannot put"
	done
	lead dispatcher b
	kill_now "${started[0]}"
	lead dispatcher c
	told="1 resigned true true
2 resigned true true
3 resigned true true
4 resigned true true
5 lock released true true
6  false true"
	# Until the successor is known, the one that was killed seems to lead.
	wait_until 10 has_ends "$told"
	# The same when its leader has taken the records of former ones away.
	records=$dir/storage/default/leaders/dispatcher~
	wait_until 10 gone_files "${records}0000000000000005."
	equal "$(ends)" "$told"
}

has_ends() {
	[ "$(ends)" = "$1" ]
}

# gone_files PREFIX: no file begins so.
gone_files() {
	! compgen -G "$1*" >/dev/null
}

run_tests "$@"
