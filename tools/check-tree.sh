#!/usr/bin/env bash
# check-tree.sh [REVISION]: fails on a tracked file above 500 kB, which is most
# likely a program that was committed by mistake, and on a Go file at the root
# beside main.go: code belongs into a room. Without REVISION it checks what the next
# commit would hold.
set -euo pipefail

limit=500000
tree=${1:-$(git write-tree)}

stray=$(git ls-tree --full-tree --name-only "$tree" | grep '\.go$' | grep -vx main.go || true)
if [ -n "$stray" ]; then
	echo "check-tree: Go files at the root: $stray; move them to a package, see CONTRIBUTING.md" >&2
	exit 1
fi

# ls-tree -l prints: mode, type, object, size, a tab, the path.
large=$(git ls-tree -r -l --full-tree "$tree" | awk -v limit=$limit '$4 > limit' | cut -d ' ' -f 4-)
if [ -z "$large" ]; then
	echo "check-tree: no tracked file is above $limit bytes"
	exit 0
fi
while IFS=$'\t' read -r size path; do
	echo "check-tree: $path has $((size)) bytes, the limit is $limit" >&2
done <<<"$large"
echo 'check-tree: remove each with "git rm --cached FILE" and add it to .gitignore' >&2
exit 1
