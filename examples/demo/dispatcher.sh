#!/usr/bin/env bash
# What the leader of the demonstration runs: it stores the example job graphs, or recovers what an
# earlier leader stored, says so in a report, and then does what it is ordered to.
#
#   dispatcher.sh NAME DIRECTORY     started by `fsha run`, with FSHA naming the command to use
#
# In DIRECTORY: report-<epoch> (name=value lines), orders-<name> (a pipe: "put ID FILE", "rm ID"),
# writer-<id> (the process that writes), done-<id> (its exit code), again-<epoch> (the exit codes of
# what a leader still tried after it was told that it is fenced).
set -u

name=$1
directory=$2
jobs=$(dirname "$0")/../jobs

# The id that a job graph says it has.
job_id() {
	sed -n 's/^ *"jobId": "\([0-9a-f]\{32\}\)".*/\1/p' "$1"
}

checksum() {
	sha256sum | cut -d' ' -f1
}

# A report is there whole or not at all.
write_file() {
	cat >"$directory/.$1" && mv "$directory/.$1" "$directory/$1"
}

store_all() {
	local file
	for file in "$jobs"/*.json; do
		"$FSHA" job put "$(job_id "$file")" "$file" || exit
		stored=$((stored + 1))
	done
}

# Whatever is in the store must be one of the examples, byte by byte.
recover_all() {
	local id file
	for id in $1; do
		recovered=$((recovered + 1))
		for file in "$jobs"/*.json; do
			[ "$(job_id "$file")" = "$id" ] || continue
			[ "$("$FSHA" job get "$id" | checksum)" = "$(checksum <"$file")" ] &&
				verified=$((verified + 1))
		done
	done
}

stored=0 recovered=0 verified=0
rm -f "$directory/orders-$name"
mkfifo "$directory/orders-$name" || exit
exec 3<>"$directory/orders-$name"

ids=$("$FSHA" job ls) || exit
if [ -z "$ids" ]; then
	store_all
else
	recover_all "$ids"
fi
write_file "report-$FSHA_EPOCH" <<REPORT
name=$name
stored=$stored
recovered=$recovered
verified=$verified
REPORT

while read -r order id file <&3; do
	case $order in
	put) "$FSHA" job put "$id" "$file" & ;;
	rm) "$FSHA" job rm "$id" & ;;
	*) exit 1 ;;
	esac
	write_file "writer-$id" <<<$!
	wait $!
	code=$?
	if [ $code -eq 123 ]; then
		# Fenced. An honest leader would stop now; this one tries to overwrite everything.
		for file in "$jobs"/*.json; do
			echo overwritten | "$FSHA" job put "$(job_id "$file")"
			echo $?
		done 2>/dev/null | write_file "again-$FSHA_EPOCH"
	fi
	write_file "done-$id" <<<$code
done
