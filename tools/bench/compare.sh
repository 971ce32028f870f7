#!/usr/bin/env bash
# compare.sh OLD_REV [ROUNDS [PATTERN]]: runs the benchmarks of an old revision and
# of this tree in turn, and fails if one has become worse. OLD_REV is checked out
# below bin/ for as long as that takes. PATTERN chooses functions by their name.
set -euo pipefail
cd "$(dirname "$0")/../.."

old=$1 rounds=${2:-10} pattern=${3:-}
tree=bin/compare-old
remove() {
	rm -rf "$tree"
	git worktree prune
}
remove
trap remove EXIT
git worktree add --quiet --detach "$tree" "$old"
bin/bench compare -rounds "$rounds" -bench "$pattern" "$tree" .
