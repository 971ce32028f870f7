#!/usr/bin/env bash
# Proves that check-tree.sh reports a large file and a Go file at the root: it plants
# them in a repository of its own.
set -euo pipefail

check=$(cd "$(dirname "$0")" && pwd)/check-tree.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset "${!GIT_@}"
cd "$work"
git init -q

fail() {
	echo "check-tree-selftest: $1" >&2
	exit 1
}

head -c 500000 /dev/zero >small
git add small
"$check" >/dev/null || fail "a file of 500000 bytes is refused"
head -c 500001 /dev/zero >'a program'
git add 'a program'
git -c user.name=test -c user.email=test@localhost commit -q -m large
for revision in "" HEAD; do
	if said=$("$check" $revision 2>&1); then
		fail "a file of 500001 bytes is accepted"
	fi
	[[ $said == *"check-tree: a program has 500001 bytes"*"git rm --cached"* ]] || fail "it says: $said"
	[[ $said != *small* ]] || fail "it names the small file: $said"
done
git rm -q --cached 'a program'
"$check" >/dev/null || fail "a removed file is still refused"
echo 'package main' >stray.go
git add stray.go
if said=$("$check" 2>&1); then
	fail "a second Go file at the root is accepted"
fi
[[ $said == *"stray.go; move them to a package"* ]] || fail "it says: $said"
echo "check-tree-selftest: large files and Go files at the root are reported"
