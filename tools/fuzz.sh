#!/usr/bin/env bash
# fuzz.sh TIME [FLAG...]: runs every fuzz target of the modules in go.work for TIME each, one
# after the other, with the flags given to go test. No target at all is a failure.
# The targets that match the pattern FUZZ_FIRST get FUZZ_FIRST_TIME in its place.
set -euo pipefail

time=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Before Go 1.27 (golang.org/issue/75804) a target now and then fails at the very
# end of its time with nothing but this line, and with nothing found.
out_of_time() {
	grep -A1 '^--- FAIL: Fuzz' "$log" | grep -q '^    context deadline exceeded$' &&
		! grep -q 'Failing input written to' "$log"
}

fuzz() {
	local package=$1 target=$2 time=$time
	shift 2
	if [[ -n ${FUZZ_FIRST:-} && $target =~ ^($FUZZ_FIRST)$ ]]; then
		time=$FUZZ_FIRST_TIME
	fi
	go test "$@" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$package" </dev/null 2>&1 | tee "$log"
}

# go test -list prints the targets of a package above its "ok" line.
targets=$(go test "$@" -list '^Fuzz' work |
	awk '/^Fuzz/ { names[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [ -z "$targets" ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "fuzz: $(wc -l <<<"$targets") targets, $time each"
while read -r package target; do
	echo "fuzz: $package $target"
	if ! fuzz "$package" "$target" "$@"; then
		out_of_time || exit 1
		echo "fuzz: $target ran out of time and found nothing; once more"
		fuzz "$package" "$target" "$@" || out_of_time || exit 1
	fi
done <<<"$targets"
