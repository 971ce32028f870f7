#!/usr/bin/env bash
# run.sh [PATTERN]: runs the benchmarks of every package that has some, and prints
# what go test prints. Each runs three times for 0.3 s, to take the median of; those
# that fill the store with a million entries and need many seconds run once.
set -euo pipefail
cd "$(dirname "$0")/../.."

pattern=${1:-.}
once='^Benchmark(Memory|Lock|Restart)$'
packages=$(git ls-files '*_test.go' ':!tools' | xargs grep -l '^func Benchmark' | xargs -n 1 dirname | sort -u)

# In the folder of the package, which may belong to a module of its own.
bench() {
	(cd "$package" && go test -run '^$' -benchmem -timeout 20m "$@")
}

echo "# The benchmarks began at $(date -u '+%F %R UTC'), load average $(cut -d ' ' -f 1-3 /proc/loadavg)."
for package in $packages; do
	if grep -qE '^func Benchmark(Memory|Lock|Restart)\(' "$package"/*_test.go; then
		bench -bench "$pattern" -skip "$once" -benchtime 300ms -count 3
		if [ "$pattern" = . ]; then
			bench -bench "$once" -benchtime 1x
		else
			bench -bench "$pattern" -skip '^Benchmark[^MLR]' -benchtime 1x
		fi
	else
		bench -bench "$pattern" -benchtime 300ms -count 3
	fi
done
