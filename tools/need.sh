#!/bin/sh
# need.sh COMMAND PACKAGE... [+ COMMAND PACKAGE...]...: makes sure that every COMMAND
# is there. On Debian, as root, it installs the packages that bring those that are
# missing; anywhere else it says in one line what is missing and how to install it,
# and fails.
set -eu

PATH=$PATH:/usr/sbin:/sbin # where users other than root do not look
missing= packages=
while [ $# -gt 0 ]; do
	command=$1 of=
	shift
	while [ $# -gt 0 ] && [ "$1" != + ]; do
		of="$of $1"
		shift
	done
	[ $# = 0 ] || shift
	if ! command -v "$command" >/dev/null; then
		missing="$missing $command" packages="$packages$of"
	fi
done
if [ -z "$missing" ]; then
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing:$missing; install them first (on Debian: sudo apt-get install --no-install-recommends$packages)" >&2
	exit 1
fi
echo "missing:$missing; installing$packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $packages >/dev/null
for command in $missing; do
	command -v "$command" >/dev/null || {
		echo "$command is still missing after installing$packages" >&2
		exit 1
	}
done
