#!/bin/sh
# Fails when the pure core needs anything from outside but these: no I/O, clock, thread or lock can
# hide in it.  usage: check_pure.sh libcore.a [libbase.a ...]
set -eu
allowed='^(abort|calloc|malloc|realloc|free|mem(cpy|move|set|cmp|chr|mem)|str(len|cmp|ncmp|chr|rchr|nlen|str|spn|cspn)|v?snprintf|bcmp|qsort|qsort_r|bsearch|inet_(pton|ntop)|__errno_location|__assert_fail|__stack_chk_fail|__popcountdi2|__(mem|str|v?snprintf)[a-z]*_chk|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|gcov)_.*)$'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
nm --undefined-only --format=just-symbols "$1" 2>/dev/null | grep -v '^$\|:$' | sort -u >"$dir/needs"
nm --defined-only --format=just-symbols "$@" 2>/dev/null | grep -v '^$\|:$' | sort -u >"$dir/has"
bad=$(comm -23 "$dir/needs" "$dir/has" | grep -Ev "$allowed" || true)
[ -z "$bad" ] && echo "pure: $1" || { echo "$1 is not pure, it needs:" $bad; exit 1; }
