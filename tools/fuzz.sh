#!/usr/bin/env bash
# fuzz.sh TIME [FLAG...]: runs every fuzz target of the module for TIME each, one
# after the other, with the flags given to go test. No target at all is a failure.
set -euo pipefail

time=$1
shift

# go test -list prints the targets of a package above its "ok" line.
targets=$(go test "$@" -list '^Fuzz' ./... |
	awk '/^Fuzz/ { names[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [ -z "$targets" ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "fuzz: $(wc -l <<<"$targets") targets, $time each"
while read -r package target; do
	echo "fuzz: $package $target"
	go test "$@" -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" </dev/null
done <<<"$targets"
