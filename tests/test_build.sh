#!/usr/bin/env bash
# The shared library exports exactly what the public headers declare: nothing that was forgotten in
# src/, and nothing by accident that a program could come to depend on.
set -eu
cd "$(dirname "$0")/.."

declared=$(cat include/fsha/*.h | tr '\n' ' ' | sed 's/FSHA_API/\nFSHA_API/g' |
	sed -n 's/^FSHA_API [^(;]*\b\(fsha_[a-z0-9_]*\)(.*/\1/p' | sort -u)
exported=$(nm -D --defined-only "$BUILD/libfsha.so" | sed -n 's/.* [TDBR] //p' | sed 's/@.*//' |
	sort -u)

[ -n "$declared" ]
if ! diff <(echo "$declared") <(echo "$exported"); then
	echo "< declared in include/fsha/ only, > exported by libfsha.so only"
	exit 1
fi

readelf -d "$BUILD/libfsha.so" | grep -q 'SONAME.*\[libfsha\.so\.0\]' ||
	{ echo "the SONAME is not libfsha.so.0" && exit 1; }
