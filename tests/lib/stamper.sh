# shellcheck shell=bash
# shellcheck disable=SC2154 # what shell.sh gives: dir, FSHA
# Contenders by `fsha run` whose COMMANDs tell when they ran. To be sourced after shell.sh; the
# election is "a", the storage directory that of the environment.

# A COMMAND that writes "<epoch> <microseconds>" to a file all the time, and takes TERM for a hint: so
# the file shows who ran when. With "apart" a process in a session of its own does that instead. Should
# nobody end it, it ends with the test's directory.
make_stamper() {
	cat >"$dir/stamper" <<-'SCRIPT'
		#!/usr/bin/env bash
		if [ "${2-}" = apart ]; then
			setsid "$0" "$1" &
			wait
			exit
		fi
		trap 'echo "$FSHA_EPOCH ${EPOCHREALTIME/[.,]/} TERM" >>"$1"' TERM
		while [ -d "${1%/*}" ]; do
			echo "$FSHA_EPOCH ${EPOCHREALTIME/[.,]/}" >>"$1"
			read -r -t 0.01 <> <(:)
		done
	SCRIPT
	chmod +x "$dir/stamper"
}

# contend ADDRESS [ARGUMENT...]: run the stamper; its pid in $!. STAMPER is passed to it.
contend() {
	local address=$1
	shift
	start "$FSHA" run --election a --address "$address" "$@" -- \
		"$dir/stamper" "$dir/stamps" ${STAMPER:+"$STAMPER"} 2>>"$dir/errors"
}

# stamped EPOCH: has COMMAND run in that epoch?
stamped() {
	grep -q "^$1 " "$dir/stamps" 2>/dev/null
}

last_of() {
	grep "^$1 " "$dir/stamps" | tail -1 | cut -d' ' -f2
}

first_of() {
	grep "^$1 " "$dir/stamps" | head -1 | cut -d' ' -f2
}

# No line of an epoch after one of a newer: nobody ran beside its successor.
no_overlap() {
	awk '$1 < newest { bad = 1 } $1 > newest { newest = $1 } END { exit bad }' "$dir/stamps" ||
		fail "two commands ran at the same time"
}
