#!/usr/bin/env bash
# Proves that the rules of .golangci.yml bite: plants forbidden imports and calls
# in a small module of the same shape, together with allowed ones as a control,
# and expects exactly the forbidden ones to be reported, each with its reason.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
linter=$root/bin/golangci-lint
module=github.com/microhq/monitor-srv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp "$root/.golangci.yml" "$root"/go.{work,work.sum,mod,sum} "$work"
cp -r "$root/proto" "$work"
mkdir "$work/health"
cp "$root"/health/go.{mod,sum} "$work/health"

names=() wants=() # the planted files, and what must be said about each

# plant FOLDER WANT BODY writes one file, below FOLDER in a package of its own so
# that no import makes a cycle. An empty WANT: nothing may be said about it.
plant() {
	local file=$1/planted${#names[@]}/planted.go package=planted
	[ "$1" = . ] && file=planted${#names[@]}.go package=main
	mkdir -p "$work/$(dirname "$file")"
	printf 'package %s\n\n%s\n' "$package" "$3" >"$work/$file"
	names+=("$file") wants+=("$2")
}

# imports FOLDER PATH WANT plants one import.
imports() { plant "$1" "$3" "import _ \"$2\""; }

# test_imports FOLDER PATH WANT plants one import in a test.
test_imports() {
	imports "$@"
	local file=${names[-1]}
	mv "$work/$file" "$work/${file%.go}_test.go"
	names[-1]=${file%.go}_test.go
}

# calls FOLDER PACKAGE CODE WANT plants one statement that uses a package.
calls() { plant "$1" "$4" "import \"$2\"

func planted${#names[@]}() { $3 }"; }

for p in health store command setting probe action monitor handler web guard; do
	mkdir -p "$work/$p"
	printf '// Package %s is there to be imported.\npackage %s\n' "$p" "$p" >"$work/$p/doc.go"
done
printf 'package main\n\nfunc main() {}\n' >"$work/main.go"

imports health   go-micro.dev/v4                    "of go-micro it may import the client and server packages only"
imports health   go-micro.dev/v4/broker             "of go-micro it may import the client and server packages only"
imports health   $module/store                      "of ours it may import proto/health only"
imports health   github.com/nats-io/nats.go         "of ours it may import proto/health only"
imports health   golang.org/x/sync/errgroup         "it brings no dependency of its own"
test_imports health go.uber.org/goleak              "the requirements of a library reach its users"
test_imports health github.com/google/go-cmp/cmp    "the requirements of a library reach its users"
test_imports health google.golang.org/protobuf/testing/protocmp "the requirements of a library reach its users"
test_imports health go-micro.dev/v4                 "the requirements of a library reach its users"
test_imports health $module/store                  "the requirements of a library reach its users"
test_imports proto  $module/store                   "the requirements of a library reach its users"
test_imports health go-micro.dev/v4/broker          ""
test_imports store  go.uber.org/goleak              ""
imports health   $module/proto/health               ""
imports health   go-micro.dev/v4/client             ""
imports health   go-micro.dev/v4/server             ""
imports store    $module/handler                    "no broker, no RPC, no TOML and no HTTP"
imports store    go-micro.dev/v4/broker             "store knows nothing of brokers and RPC"
imports store    $module/proto/monitor              "no broker, no RPC, no TOML and no HTTP"
imports store    $module/health                     ""
imports command  $module/setting                    "are leaves"
imports setting  $module/command                    "are leaves"
imports probe    $module/store                      "a probe is a function of a context"
imports probe    $module/setting                    ""
imports action   $module/monitor                    "an action hears a notice"
imports monitor  $module/store                      "its own one-method Recorder"
imports monitor  $module/probe                      ""
imports handler  $module/web                        "never web or guard"
imports handler  go-micro.dev/v4/server             "handler knows errors, metadata, codecs"
imports handler  go-micro.dev/v4/errors             ""
imports web      $module/handler                    "never handler or guard"
imports web      go-micro.dev/v4/client             "web knows nothing of go-micro"
imports web      $module/store                      ""
imports guard    $module/health                     "nothing of health checks"
imports guard    go-micro.dev/v4                    "only the main package, which wires everything, names it"
imports guard    go-micro.dev/v4/registry           ""
imports guard    github.com/nats-io/nats-server/v2/server "nothing of health checks"
imports .        github.com/nats-io/nats-server/v2/server "a tool for tests"
imports .        go-micro.dev/v4                    ""
imports other    go-micro.dev/v4                    "only the main package, which wires everything, names it"
imports other    go.uber.org/goleak                 "a tool for tests"
imports examples go-micro.dev/v4                    ""

calls store  time     '_ = time.Now().Unix()'                        "judges by the monotonic clock"
calls web    time     '_ = time.Now().Unix()'                        ""
calls web    net/http '_ = http.DefaultClient'                       "it has no deadline"
calls web    os/exec  '_ = exec.Command("true")'                     "processes are started by command, probe and action only"
calls guard  os/exec  '_ = exec.CommandContext(nil, "true")'         "processes are started by command, probe and action only"
calls probe  os/exec  '_ = exec.Command("true")'                     ""
calls store  errors   'panic(errors.ErrUnsupported)'                 "a monitor that panics watches nothing"
calls web    io       '_, _ = io.ReadAll(nil)'                       "nothing unbounded"
calls web    io       '_, _ = io.ReadAll(io.LimitReader(nil, 1))'    ""
calls web    os       'os.Exit(1)'                                   "only main exits"

(cd "$work" && GOLANGCI_LINT_CACHE="$work/.cache" "$linter" run --enable-only depguard,forbidigo ./... ./health/... ./proto/... >report 2>&1) && {
	echo "lint-selftest: the linter found nothing wrong with ${#names[@]} planted files" >&2
	exit 1
}

failed=0
for i in "${!names[@]}"; do
	said=$(grep -F "${names[$i]}:" "$work/report" || true)
	if [ -z "${wants[$i]}" ] && [ -n "$said" ]; then
		echo "lint-selftest: nothing should be said about this, got: $said" >&2
		failed=1
	elif [ -n "${wants[$i]}" ] && ! grep -qF "${wants[$i]}" <<<"$said"; then
		echo "lint-selftest: no report with \"${wants[$i]}\", got: ${said:-nothing} about:" >&2
		tail -n +3 "$work/${names[$i]}" >&2
		failed=1
	fi
done
if [ "$failed" != 0 ]; then
	cat "$work/report" >&2
	exit 1
fi
echo "lint-selftest: the rules hold for ${#names[@]} planted files"
