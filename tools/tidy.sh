#!/usr/bin/env bash
# tidy.sh [check]: tidies go.mod and go.sum of proto, health and the root. With
# "check" it changes nothing, and fails if there is something to tidy.
#
# "go mod tidy" alone cannot do this: it ignores go.work and looks for our own
# modules on the network, where the version that go.mod requires may not be released
# yet. So each go.mod is tidied in a copy that replaces them by their folders. (A
# committed replace would make "go install" of a version refuse the server.)
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
module=github.com/microhq/monitor-srv
work=$root/bin/tidy
rm -rf "$work"

# tidy DIR writes the tidy files of one module below bin/tidy/DIR.
tidy() {
	local dir=$1 ours name
	local copy=$work/$dir/go.mod
	mkdir -p "$work/$dir"
	cp "$dir/go.mod" "$dir/go.sum" "$work/$dir"
	ours=$(go list -m -f '{{if .Main}}{{.Path}}{{end}}' all | grep "^$module/")
	for name in $ours; do
		go mod edit -replace "$name=$root/${name#"$module/"}" "$copy"
	done
	(cd "$dir" && GOWORK=off go mod tidy -modfile="$copy")
	for name in $ours; do
		go mod edit -dropreplace "$name" "$copy"
	done
}

for dir in proto health .; do
	tidy "$dir"
done
if [ "${1:-}" != check ]; then
	for dir in proto health .; do
		cp "$work/$dir/go.mod" "$work/$dir/go.sum" "$dir"
	done
	rm -f go.work.sum
	go mod download # writes the checksums of go.work.sum that no go.sum has
	exit
fi

failed=0
for file in proto/go.mod proto/go.sum health/go.mod health/go.sum go.mod go.sum; do
	diff -u "$file" "$work/$file" || failed=1
done
before=$(cat go.work.sum)
go mod download
if [ "$(cat go.work.sum)" != "$before" ]; then
	echo "go.work.sum lacks checksums"
	failed=1
fi
if [ "$failed" != 0 ]; then
	echo 'tidy: run "make tidy" and commit what it changes' >&2
	exit 1
fi
echo "tidy: go.mod, go.sum and go.work.sum are tidy"
