#!/bin/sh
# clang-tidy over files, two at a time.  usage: tidy.sh BUILD_DIR FILE...
set -eu
build=$1
shift
printf '%s\n' "$@" | xargs -P 2 -n 4 clang-tidy -p "$build" --quiet 2>/dev/null
