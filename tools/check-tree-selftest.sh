#!/usr/bin/env bash
# Proves that check-tree.sh reports a large file: it plants one beside a small one
# in a repository of its own, in the index and in a commit.
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
echo "check-tree-selftest: large files are reported"
