#!/bin/sh
# Fails when two of our object files define the same global name: libraries are linked by name, and
# whichever comes first would be called by both.  usage: check_names.sh BUILD_DIR
set -eu
bad=$(find "$1/src" -name '*.o' ! -name '*.bpf.o' -exec nm -g --defined-only --print-file-name {} + |
      awk '$(NF-1) ~ /^[TDBRC]$/ && $NF != "main" { sub(/:.*/, "", $1); print $NF, $1 }' | sort -u |
      awk '{ n[$1]++; where[$1] = where[$1] " " $2 } END { for (x in n) if (n[x] > 1) print x ":" where[x] }')
[ -z "$bad" ] && echo "names: each has one owner" || { echo "defined twice:"; echo "$bad"; exit 1; }
