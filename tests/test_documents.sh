#!/usr/bin/env bash
# What the documents show works, and what they name exists.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

cd "$(dirname "$0")/.." || exit 1
documents=(README.md NEWS doc/*.md)

# shown COMMAND: the lines of README.md that show it; a comment behind three spaces is cut off.
shown() {
	perl -ne 'print "$1\n" if /^    (\Q'"$1"'\E .*?)(?: {3,}.*)?$/' README.md
}

# in_readme LINE: as a person would, but in a directory of this test.
in_readme() {
	local line=${1//\/tmp\/ha/$dir/storage}
	PATH=${BUILD}:$PATH bash -c "$line" || fail "README.md: '$1' ends with $?"
}

leads() {
	grep -q -x "$2 leads" "$dir/$1"
}

leader_is() {
	"$FSHA" status --json dispatcher 2>/dev/null | grep -q "\"address\": \"$1\""
}

# In the order of the page: two contend, the leader is killed, the other one follows; then the stores.
test_what_the_readme_shows_of_first_use_works() {
	local contenders line pids=() shown=0
	[[ $(shown export) == "export FSHA_STORAGE_DIR=/tmp/ha FSHA_LEASE='2 s' PATH="* ]] || fail "$(shown export)"
	in_readme "$(shown mkdir)"
	mapfile -t contenders < <(shown 'fsha run' | grep -v -e /mnt)
	equal ${#contenders[@]} 2
	for line in "${contenders[@]}"; do
		PATH=${BUILD}:$PATH start bash -c "exec $line" >"$dir/run.${#pids[@]}" 2>&1
		pids+=($!)
		wait_until 20 leads run.0 one:8081
	done
	in_readme "$(shown 'fsha status')" >"$dir/out"
	grep -q one:8081 "$dir/out" || fail "$(cat "$dir/out")"
	in_readme "$(shown 'fsha watch') --count 1 --timeout 20" >"$dir/out"
	grep -q one:8081 "$dir/out" || fail "$(cat "$dir/out")"
	kill_now "${pids[0]}"
	wait_until 20 leads run.1 two:8081
	wait_until 20 leader_is two:8081
	in_readme "$(shown 'fsha history')" >"$dir/out"
	kill -TERM "${pids[1]}"
	wait_until 20 gone "${pids[1]}"
	while read -r line; do
		in_readme "$line" >"$dir/out"
		shown=$((shown + 1))
	done < <(perl -ne 'print "$1\n" if /^    ((?:echo \w+ \| )?fsha .*)/ && !/fsha (run|status|watch|history) /' README.md)
	[ $shown -ge 8 ] || fail "only $shown commands were found"
	equal "$("$FSHA" state greetings get hello)" hello
}

test_the_program_in_the_readme_is_the_example() {
	perl -ne 'print if /^```c$/ .. /^```$/ and !/^```/' README.md | diff - examples/leader.c ||
		fail "they differ"
}

test_every_example_and_command_is_in_the_readme() {
	local example command count=0
	for example in examples/*.c; do
		grep -q -w "${example##*/}" README.md || fail "README.md: nothing of $example"
	done
	while read -r command; do
		grep -q -w "fsha $command" README.md || fail "README.md: nothing of fsha $command"
		count=$((count + 1))
	done < <(grep -o '{ "[a-z]*", [a-z]*_main }' src/cli/main.c | cut -d'"' -f2)
	[ $count -ge 18 ] || fail "only $count commands were found"
}

# tree: the patterns of doc/FORMAT.md's tree, one for each kind of file.
tree() {
	perl -ne '
		next unless /^<storageDir>/ .. /^```$/ and /^( +)(\S.*?)(?: {2,}|$)/;
		my ($depth, $name) = (length($1), $2);
		pop @above while @above && $above[-1][0] >= $depth;
		if ($name =~ m{/$}) { # a directory, with its files below it
			push @above, [ $depth, $name ];
			next;
		}
		$_ = quotemeta(join("", map { $_->[1] } @above) . $name);
		s{^\\\.\\\.\\\.}{.+};         # in any directory
		s{\\\.\\\.\\\.$}{.+};         # the same as before
		s/\\<v\\>/[0-9a-f]{16}\\.[0-9a-f]{16}\\.[0-9a-f]{4}(\\.gone|\\.mark)?/g;
		s/\\<(\d+)\\ hex\\>/[0-9a-f]{$1}/g;
		s/\\<(\d+)\\ digits\\>/[0-9]{$1}/g;
		s/\\<hex\\>/[0-9a-f]+/g;
		s/\\<member\\\|vacant\\>/([0-9a-f]{32}|vacant)/g;
		s/\\<(job|session|member)\\>/[0-9a-f]{32}/g;
		s/\\<blob\\ key\\>/[pt]-[0-9a-f]{40}-[0-9a-f]{32}/g;
		s/\\<[a-z ]+\\>/[A-Za-z0-9_.%-]+/g;
		s/\(\\\.gone\|\\\.mark\)\?\\\.json/\\.(gone|json)/;
		print "$_\n";' doc/FORMAT.md
}

# look: every file of the cluster that is not just being built is in that tree; what was seen goes to $dir/seen.
look() {
	local strange
	(cd "$dir/storage/default" && find . -type f -printf '%P\n' | grep -v '/~') >"$dir/files"
	strange=$(perl -e '
		open(my $tree, "<", $ARGV[0]); chomp(my @tree = <$tree>);
		open(my $seen, ">>", $ARGV[1]);
		while (my $file = <STDIN>) {
			chomp $file;
			my @fits = grep { $file =~ /^$_$/ } @tree;
			print "$file\n" unless @fits;
			print $seen "$_\n" for @fits;
		}' "$dir/tree" "$dir/seen" <"$dir/files")
	[ -z "$strange" ] || fail "doc/FORMAT.md knows nothing of $strange"
}

test_what_lies_on_disk_is_in_the_tree_of_format_md() {
	local job=0123456789abcdef0123456789abcdef unseen
	tree >"$dir/tree"
	start "$FSHA" run --election dispatcher --address one:1 -- sleep 1000
	wait_until 20 leader_is one:1
	look
	end_started
	expect 0 job put $job examples/jobs/word-count.json
	expect 0 state name.space put key README.md
	expect 0 blob put README.md
	expect 0 blob put --job $job README.md
	expect 0 running set $job RUNNING
	expect 0 result put tests/data/job_result/flink.json
	expect 0 worker put worker-1 README.md
	expect 0 worker framework-id set framework
	expect 0 worker next-id
	"$BUILD/examples/checkpoint_recovery" "$dir/storage" $job 3 >/dev/null || fail "no checkpoints"
	expect 0 running rm $job
	look
	# Of what is always there none is missing: the others are of rare moments.
	unseen=$(sort -u "$dir/seen" | comm -13 - <(sort -u "$dir/tree") |
		grep -v -E 'pack|history|retired|expelled|quarantine|seat|trash|tenure|_DIRTY|job_results|write')
	[ -z "$unseen" ] || fail "nothing was there of $unseen"
}

# words FILE...: what stands there in `backticks`.
words() {
	perl -ne 'print "$1\n" while /`([^`]+)`/g' "$@" | sort -u
}

test_every_file_that_the_documents_name_exists() {
	local file count=0
	while read -r file; do
		compgen -G "$file" >/dev/null || fail "there is no $file"
		count=$((count + 1))
	done < <(words "${documents[@]}" | grep -E '^(src|fsutil|include|tests|tools|doc|examples|man|\.ci)/[a-zA-Z0-9_./*-]*$' |
		grep -v '\*\.\*')
	[ $count -gt 30 ] || fail "only $count files were found"
	while read -r file; do
		[ -e "${file%%#*}" ] || [ -e "doc/${file%%#*}" ] || fail "a link leads to $file"
	done < <(perl -ne 'print "$1\n" while /\]\(([^):]+)\)/g' "${documents[@]}")
}

# A function of ours has an underscore; one that stands there stands in the sources too. What is in the
# table of interfaces is looked at by test_interfaces.sh, and session_timeout is an option of CephFS.
test_every_function_that_the_documents_name_exists() {
	local name count=0
	cat src/*/*.[ch] fsutil/*.[ch] include/fsha/*.h tests/*.[ch] tests/*/*.[ch] tests/*.sh >"$dir/sources"
	ls tests tests/* examples >>"$dir/sources"
	tr -c 'A-Za-z0-9_' '\n' <"$dir/sources" | sort -u >"$dir/known"
	while read -r name; do
		grep -q -x -e "$name" "$dir/known" || fail "there is no $name"
		count=$((count + 1))
	done < <(words README.md NEWS doc/[^I]*.md | grep -v -x session_timeout | sed 's/()$//' | grep -x -E '[a-z][a-z0-9]*(_[a-z0-9]+)+|FSHA_[A-Z_]+')
	[ $count -gt 100 ] || fail "only $count functions were found"
}

test_every_target_and_command_that_the_documents_name_exists() {
	local word
	while read -r word; do
		grep -q "^$word:" Makefile || fail "make $word: there is no such target"
	done < <(grep -h -o -E '(`|^    )make( -j[0-9]+| [A-Z]+=[^ ]+)* [a-z][a-z-]*(/|\b)' "${documents[@]}" |
		awk '!/\/$/ { print $NF }' | sort -u)
	while read -r word; do
		"$FSHA" "$word" --help >/dev/null 2>&1 || fail "there is no fsha $word"
	done < <(grep -h -o -E '(`|^    )fsha [a-z]+' "${documents[@]}" man/fsha.1 | awk '{ print $NF }' | sort -u)
}

test_nothing_is_promised_for_later() {
	local found
	found=$(grep -n -i -E '\b(not yet|not there yet|TODO|FIXME)\b' README.md doc/*.md man/* || :)
	[ -z "$found" ] || fail "$found"
}

run_tests "$@"
