#!/bin/sh
# need.sh COMMAND PACKAGE...: makes sure that COMMAND is there. On Debian, as
# root, it installs the packages that bring it; anywhere else it says what is
# missing and fails.
set -eu

command=$1
shift
if command -v "$command" >/dev/null; then
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "$command is missing; install it first (on Debian: apt-get install $*)" >&2
	exit 1
fi
echo "$command is missing; installing $*"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" >/dev/null
command -v "$command" >/dev/null || {
	echo "$command is still missing after installing $*" >&2
	exit 1
}
