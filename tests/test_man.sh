#!/usr/bin/env bash
# The manual pages are whole: every function, every key, every command, every event.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

cd "$(dirname "$0")/.." || exit 1

# says PAGE TEXT: somewhere in it.
says() {
	grep -q -F -e "$2" "$1" || fail "$1 says nothing of $2"
}

test_every_exported_function_has_a_page_that_explains_it() {
	local count=0
	tools/man-page --check include/fsha/*.h || fail "add what is missing to the header"
	while read -r function; do
		grep -q -x -E "\.Nm $function( ,)?" "$BUILD"/man/*.3 || fail "no page names $function"
		grep -q -x "\.Fo $function" "$BUILD"/man/*.3 || fail "no page declares $function"
		grep -q -x "\.Ss $function" "$BUILD"/man/*.3 || fail "no page explains $function"
		count=$((count + 1))
	done < <(nm -D --defined-only "$BUILD/libfsha.so" | sed -n 's/.* [TDBR] \(fsha_[a-z0-9_]*\).*/\1/p')
	[ $count -gt 50 ] || fail "only $count functions were found"
}

test_a_function_that_no_comment_explains_is_found() {
	printf '/* A head. */\n/** What. Since 0.1. */\nFSHA_API int fsha_a(void);\n' >"$dir/a.h"
	tools/man-page --check "$dir/a.h" || fail "it was explained"
	printf 'FSHA_API int fsha_b(int (*f)(int, int), int x);\n' >>"$dir/a.h"
	matches "$(tools/man-page --check "$dir/a.h")" 'fsha_b: no comment'
	tools/man-page "$dir/a.h" >"$dir/a.3"
	says "$dir/a.3" '.Fa "int (*f)(int, int)"'
	says "$dir/a.3" '.Fa "int x"'
}

test_every_key_its_default_and_its_old_names_are_in_fsha_config_5() {
	local page=man/fsha-config.5 key entry
	expect 0 config --all --json
	while read -r key; do
		grep -q -x "\.It Cm $key" $page ||
			fail "$page: write '.It Cm $key' and what 'fsha config --all --json' says of it"
	done < <(sed -n 's/^ *"key": "\(.*\)",$/\1/p' <<<"$out")
	while IFS=$'\t' read -r key text; do
		entry=$(sed -n "/^\.It Cm $key\$/,/^\.\(It\|El\)/p" $page | tail -n +2)
		[[ $entry == *"$text"* ]] || fail "$page: $key: nothing of '$text'"
	done < <(awk -F'"' -v OFS='\t' '
		$2 == "key" { key = $4 }
		$2 == "default" && $4 != "" { print key, $4 }
		$2 == "old_keys" { old = /\[$/; next }
		/\]/ { old = 0 }
		old && NF == 3 { print key, $2 }
		$2 == "instead" && $4 != "" { print key, "Instead: " $4 }' <<<"$out")
}

test_no_key_is_in_fsha_config_5_that_is_none() {
	expect 0 config --all --json
	while read -r key; do
		[[ $out == *"\"key\": \"$key\""* ]] || fail "there is no key $key"
	done < <(sed -n 's/^\.It Cm //p' man/fsha-config.5)
}

test_every_command_option_and_exit_code_is_in_fsha_1() {
	local command code option
	expect 0 --help
	while read -r command; do
		says man/fsha.1 ".Ss fsha $command"
		fsha "$command" --help
		while read -r option; do
			says man/fsha.1 "$option"
		done < <(grep -o -E -e '^ +(-., +)?--[a-z-]+' <<<"$out" | sed 's/.*--/-/' | sort -u)
	done < <(sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$out")
	for code in 0 119 120 121 122 123 124 125 126 127; do
		grep -q -x "\.It $code" man/fsha.1 || fail "man/fsha.1 does not explain $code"
	done
}

test_every_event_of_the_log_is_in_fsha_7() {
	local event count=0
	while read -r event; do
		grep -q -x "\.It Sy $event" man/fsha.7 || fail "man/fsha.7: no event $event"
		grep -q -F "\`$event\`" doc/ARCHITECTURE.md || fail "ARCHITECTURE.md: no event $event"
		count=$((count + 1))
	done < <(cat src/*/*.c | tr '\n' ' ' |
		grep -o -E '(services_log\([^;"]*|report\(e, )"[a-z_]+"' | sed 's/.*"\(.*\)"/\1/' | sort -u)
	[ "$count" -ge 12 ] || fail "only $count events were found"
}

test_pages_have_no_errors_for_mandoc() {
	command -v mandoc >/dev/null || return 0
	mandoc -T lint -W warning man/*.[157] "$BUILD"/man/*.3 || fail "see above"
}

run_tests "$@"
