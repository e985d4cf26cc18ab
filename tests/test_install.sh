#!/usr/bin/env bash
# make install puts there all that a program outside of the tree needs, and make uninstall takes it
# away again.
# shellcheck source=tests/lib/shell.sh
. "$(dirname "$0")/lib/shell.sh"

tree=$(cd "$(dirname "$0")/.." && pwd)
# The compiler and what a sanitizer or coverage needs, as the library was built.
read -r compiler _ <"$BUILD/flags"
instrument=$(grep -o -e '-fsanitize=[^ ]*' -e '--coverage' "$BUILD/flags" | sort -u | tr '\n' ' ')
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=0}

# run_make TARGET VARIABLE...: with what has been built already, whatever its flags; in silence.
run_make() {
	env -u MAKELEVEL -u MAKEFLAGS -u MFLAGS make -C "$tree" --no-print-directory -o all \
		BUILD="$BUILD" "$@" >"$dir/make.log" 2>&1 ||
		fail "make $*: $(tail -5 "$dir/make.log")"
}

# build PKG-CONFIG-OPTION... -- OUTPUT: the example, outside of the tree.
build() {
	local options=() libraries
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	libraries=$(pkg-config "${options[@]}" --cflags --libs fsha) || fail "pkg-config failed"
	[ "${options[0]-}" != --static ] || libraries=${libraries//-lfsha/-l:libfsha.a}
	cp "$tree/examples/leader.c" "$dir/leader.c"
	# shellcheck disable=SC2086
	(cd "$dir" && "$compiler" $instrument -Wall -Werror leader.c $libraries -pthread -o "$2") ||
		fail "cannot build with: $libraries"
}

leads() {
	matches "$("$@" 2>&1)" 'leading in term [1-9]'
}

files() {
	find "$1" -type f -o -type l | sort
}

nothing_left() {
	[ -z "$(files "$1")" ] || fail "left behind: $(files "$1" | head -3)"
}

test_a_program_is_built_against_what_is_installed_below_destdir() {
	run_make install DESTDIR="$dir/root" PREFIX=/opt/fsha
	export PKG_CONFIG_PATH=$dir/root/opt/fsha/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dir/root
	equal "$(pkg-config --modversion fsha)" "$("$FSHA" --version | cut -d' ' -f2)"
	build -- dynamic
	LD_LIBRARY_PATH=$dir/root/opt/fsha/lib leads "$dir/dynamic"
	readelf -d "$dir/dynamic" | grep -q 'NEEDED.*\[libfsha\.so\.0\]' || fail "not linked to it"
	if command -v g++ >/dev/null; then
		echo '#include <fsha/fsha.h>' >"$dir/a.cc"
		# shellcheck disable=SC2046
		g++ -std=c++11 -fsyntax-only -Wall -Werror $(pkg-config --cflags fsha) "$dir/a.cc" ||
			fail "the headers are no C++"
	fi
	matches "$("$dir/root/opt/fsha/bin/fsha" --version)" '^fsha '
	run_make uninstall DESTDIR="$dir/root" PREFIX=/opt/fsha
	nothing_left "$dir/root"
}

test_a_program_is_built_static_against_a_prefix() {
	run_make install PREFIX="$dir/prefix" DESTDIR=
	export PKG_CONFIG_PATH=$dir/prefix/lib/pkgconfig
	build --static -- static
	leads "$dir/static"
	if readelf -d "$dir/static" | grep -q 'NEEDED.*libfsha'; then
		fail "it needs the shared library"
	fi
	run_make uninstall PREFIX="$dir/prefix" DESTDIR=
	nothing_left "$dir/prefix"
}

test_what_the_readme_says_about_building_against_the_tree_is_true() {
	local line
	line=$(sed -n 's/^    \(gcc -Iinclude .*\)/\1/p' "$tree/README.md")
	matches "$line" 'examples/leader.c'
	grep -q -F "$(sed -n 's/^LIB_MODULES := //p' "$tree/Makefile")" <<<"$line" ||
		fail "README.md does not name all libraries: $line"
	line=${line/#gcc/$compiler $instrument}
	line=${line//build\//$BUILD/}
	(cd "$tree" && eval "${line% -o leader} -o '$dir/leader'") || fail "cannot build: $line"
	leads "$dir/leader"
}

test_every_header_and_page_is_installed_and_each_function_has_a_page_by_its_name() {
	run_make install DESTDIR="$dir/root" PREFIX=/usr
	equal "$(cd "$dir/root/usr/include/fsha" && ls)" "$(cd "$tree/include/fsha" && ls)"
	for page in "$tree"/man/* "$BUILD"/man/*; do
		cmp "$page" "$dir/root/usr/share/man/man${page##*.}/${page##*/}" || fail "$page"
	done
	while read -r function; do
		page=$dir/root/usr/share/man/man3/$function.3
		[ -s "$dir/root/usr/share/man/$(sed -n 's/^\.so //p' "$page")" ] ||
			fail "no page is found under the name $function"
	done < <(nm -D --defined-only "$BUILD/libfsha.so" | sed -n 's/.* [TDBR] \(fsha_[a-z0-9_]*\).*/\1/p')
	[ -s "$dir/root/usr/share/doc/fsha/COPYING" ] || fail "the licence is missing"
}

test_an_installation_over_an_older_one_replaces_it() {
	run_make install DESTDIR="$dir/root" PREFIX=/usr
	files "$dir/root" >"$dir/before"
	run_make install DESTDIR="$dir/root" PREFIX=/usr
	files "$dir/root" >"$dir/after"
	cmp "$dir/before" "$dir/after" || fail "other files than before"
}

run_tests "$@"
