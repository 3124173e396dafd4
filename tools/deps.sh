#!/bin/sh
# Installs those packages of a list that are missing.  Idempotent and quiet when there is nothing to
# do.  usage: deps.sh apt-packages.txt
set -eu
missing=
for package in $(sed 's/#.*//' "$1"); do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true) in
    *' installed') ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "These Debian packages are missing; install them with: sudo make deps" >&2
    echo " $missing" >&2
    exit 1
fi
echo "Installing:$missing" >&2
# Servers that the tests start by themselves must not be started by their packages.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
log=$(mktemp)
if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    exit 1
fi
rm -f "$log"
