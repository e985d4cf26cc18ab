#!/usr/bin/env bash
# doc/INTERFACES.md is whole and true: every name of Flink's documents stands in it, what it names
# here exists, and so does each test that it calls a proof, in the file that it names.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

cd "$(dirname "$0")/.." || exit 1
table=doc/INTERFACES.md
names=tests/data/seed_names.txt

# column N [FILE]: that cell of each row that is no head of a table.
column() {
	awk -F'|' -v n="$1" '/^\|/ && !/^\| *(Seed name|---)/ { print $(n + 1) }' "${2-$table}"
}

# missing_names NAMES TABLE: those of which no row has its first cell. A name without its type, `stop`,
# is enough where no other type has one of that name; (arguments) count for nothing.
missing_names() {
	column 1 "$2" | perl -e '
		open(my $names, "<", $ARGV[0]) or die "$ARGV[0]: $!\n";
		my (%is_there, %times, @wanted);
		while (<STDIN>) {
			$is_there{$1 // $2} = 1 while /`([^`(]+)[^`]*`|"([^"]+)"/g;
		}
		while (<$names>) {
			chomp;
			next if /^(#|$)/;
			push @wanted, $_;
			$times{$1}++ if /([^.]+)$/;
		}
		for my $name (@wanted) {
			my ($last) = $name =~ /^[A-Z].*\.([^.]+)$/;
			next if $is_there{$name} || ($last && $times{$last} == 1 && $is_there{$last});
			print "$name\n";
		}' "$1"
}

# named: "<header or -> <name>" for each function, type and constant of ours in the second cells. What
# follows a header is in it.
named() {
	column 2 | perl -ne '
		my $header = "-";
		for my $code (/`([^`]+)`/g) {
			$header = $code if $code =~ m{^fsha/\w+\.h$};
			print "$header $1\n" while $code =~ /\b((?:fsha|FSHA)_\w+)/g;
		}' | sort -u
}

# proofs: "<file> <test>" of the third cells; a file without a test ends in "-".
proofs() {
	column 3 | perl -ne '
		my ($file, $tests);
		for my $code (/`([^`]+)`/g, "end.c") {
			if ($code =~ /\.(c|sh)$/) {
				print "$file -\n" if defined $file && !$tests;
				($file, $tests) = ($code, 0);
			} else {
				print $file // "-", " $code\n";
				$tests++;
			}
		}' | sort -u
}

# is_a_test FILE NAME: it is defined there, and run.
is_a_test() {
	case $1 in
	*.sh) grep -q "^$2() {$" "$1" && grep -q '^run_tests "\$@"' "$1" ;;
	*) grep -q "^static void $2(void \*\*" "$1" &&
		grep -q -E "^[[:space:]].*\<[A-Za-z_]+\($2[,)]" "$1" ;;
	esac
}

test_every_name_of_flinks_documents_has_a_row() {
	local missing
	missing=$(missing_names $names $table)
	[ -z "$missing" ] || fail "$table has no row for: ${missing//$'\n'/, }"
	[ "$(grep -c -v -E '^(#|$)' $names)" -gt 200 ] || fail "$names has lost names"
}

test_a_name_without_a_row_is_found() {
	printf '%s\n' '# A head' A A.start B.start B.only 'a heading' 'k.e.y' >"$dir/names"
	# shellcheck disable=SC2016
	printf '%s\n' '| Seed name | B |' '| --- | --- |' '| `A(x)`, `A.start(y)`, "a heading" | `B.start` |' \
		'| `only`, `k.e.y` | C |' >"$dir/table"
	equal "$(missing_names "$dir/names" "$dir/table")" B.start
}

test_no_row_lacks_a_proof() {
	local rows
	rows=$(awk -F'|' '/^\|/ && !/^\| *(Seed name|---)/ && (NF != 5 || $4 !~ /`.*`/) { print NR ": " $2 }' $table)
	[ -z "$rows" ] || fail "$table: rows without three cells, or without a test: $rows"
}

test_every_function_and_constant_that_is_named_is_in_its_header() {
	local header name count=0
	while read -r header name; do
		if [ "$header" = - ]; then
			cat include/fsha/*.h | grep -q -w -e "$name" || fail "no header has $name"
		else
			[ -e "include/$header" ] || fail "there is no $header"
			grep -q -w -e "$name" "include/$header" || fail "$header has no $name"
		fi
		count=$((count + 1))
	done < <(named)
	[ $count -gt 100 ] || fail "only $count names were found"
}

test_every_file_and_command_that_is_named_exists() {
	local file command help
	while read -r file; do
		[ -e "$file" ] || [ -e "include/$file" ] || fail "there is no $file"
	done < <(column 2 | perl -ne 'print "$1\n" while /`([\w.\/-]+\.(?:c|h|yml))`/g')
	help=$("$FSHA" --help)
	while read -r command; do
		grep -q -E "^  ([a-z]+, )*$command\b|^  .*, $command " <<<"$help" || fail "there is no fsha $command"
	done < <(column 2 | grep -o -E '`fsha [a-z]+' | cut -d' ' -f2)
}

test_every_test_that_is_called_a_proof_is_run_by_the_file_that_is_named() {
	local file name path count=0
	while read -r file name; do
		path=tests/$file
		[ -e "$path" ] || path=$file
		[ -e "$path" ] || fail "there is no test $file"
		[ "$name" != - ] || fail "$file stands there without a test of it"
		is_a_test "$path" "$name" || fail "$file runs no test $name"
		count=$((count + 1))
	done < <(proofs)
	[ $count -gt 150 ] || fail "only $count tests were found"
}

test_a_test_that_is_not_run_is_no_proof() {
	printf '%s\n' 'static void one(void **state)' '{' '}' 'static void two(void **state)' \
		'	TEST(one),' >"$dir/a.c"
	is_a_test "$dir/a.c" one || fail "one is run"
	is_a_test "$dir/a.c" two && fail "two is not run"
	is_a_test "$dir/a.c" three && fail "there is no three"
	return 0
}

run_tests "$@"
