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
# that no import makes a cycle. The rule of guard covers the files of its own
# folder only, so its planted files are there. An empty WANT: nothing may be said
# about it.
plant() {
	local file=$1/planted${#names[@]}/planted.go package=planted
	[ "$1" = . ] && file=planted${#names[@]}.go package=main
	[ "$1" = guard ] && file=guard/planted${#names[@]}.go package=guard
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

for p in access action cli clock command config connlimit delivery discovery document guard guard/broker guard/registry guard/transport handler health incident ingest internal/sample internal/testkit loglimit monitor probe replica safefile service setting state store text web wire; do
	mkdir -p "$work/$p"
	printf '// Package %s is there to be imported.\npackage %s\n' "${p##*/}" "${p##*/}" >"$work/$p/doc.go"
done
printf 'package main\n\nfunc main() {}\n' >"$work/main.go"

# By room: what it must not import, each with its reason, and what it may.
imports .         github.com/spf13/cobra             "only cli knows flags"
imports .         $module/store                      "cli and service do the rest"
imports .         go-micro.dev/v4/client             "service wires it"
imports .         $module/cli                        ""
imports .         $module/command                    ""
imports cli       $module/handler                    "service alone knows handler, ingest, guard and action"
imports cli       $module/action                     "service alone knows handler, ingest, guard and action"
imports cli       go-micro.dev/v4/client             "cli knows nothing of go-micro"
imports cli       $module/service                    ""
imports cli       $module/text                       ""
imports cli       github.com/spf13/cobra             ""
imports cli       github.com/spf13/pflag             ""
imports cli       github.com/urfave/cli/v2           "the command line is cobra's"
imports service   github.com/spf13/pflag             "only cli knows flags"
imports service   $module/cli                        "service is an instance and knows no command line"
imports service   go-micro.dev/v4                    ""
imports service   $module/handler                    ""
imports config    $module/monitor                    "hands each section to a decoder"
imports config    go-micro.dev/v4/registry           "config knows nothing of go-micro"
imports config    $module/document                   ""
imports ingest    $module/handler                    "never handler or web"
imports ingest    go-micro.dev/v4/server             "the broker's messages only"
imports ingest    $module/store                      ""
imports ingest    $module/guard/registry             ""
imports store     $module/ingest                     "no broker, no RPC, no TOML and no HTTP"
imports store     $module/health                     "no broker, no RPC, no TOML and no HTTP"
imports store     $module/proto/monitor              "no broker, no RPC, no TOML and no HTTP"
imports store     go-micro.dev/v4/broker             "store knows nothing of brokers and RPC"
imports store     $module/wire                       ""
imports incident  $module/monitor                    "never monitor: service adapts what monitors report"
imports incident  $module/action                     "never monitor: service adapts what monitors report"
imports incident  go-micro.dev/v4/client             "incident knows nothing of go-micro"
imports incident  $module/store                      ""
imports incident  $module/delivery                   ""
imports delivery  $module/monitor                    "neither monitors nor incidents"
imports delivery  $module/incident                   "neither monitors nor incidents"
imports delivery  go-micro.dev/v4/broker             "delivery knows nothing of go-micro"
imports delivery  $module/action                     ""
imports delivery  $module/state                      ""
imports action    $module/delivery                   "an action takes notifications"
imports action    github.com/BurntSushi/toml         "it knows no TOML"
imports action    go-micro.dev/v4/broker             "service gives it a publish function"
imports action    $module/command                    ""
imports action    $module/text                       ""
imports monitor   $module/store                      "through interfaces of its own"
imports monitor   $module/delivery                   "through interfaces of its own"
imports monitor   $module/config                     "through interfaces of its own"
imports monitor   go-micro.dev/v4/client             "handler and web ask it"
imports monitor   $module/probe                      ""
imports monitor   $module/document                   ""
imports probe     $module/store                      "a probe is a function of a context"
imports probe     github.com/BurntSushi/toml         "it knows no TOML"
imports probe     go-micro.dev/v4/client             "discovery asks the fleet for it"
imports probe     $module/setting                    ""
imports discovery $module/service                    "never service or cli"
imports discovery go-micro.dev/v4/server             "the client, the registry and their errors only"
imports discovery $module/guard/registry             ""
imports discovery go-micro.dev/v4/client             ""
imports handler   $module/web                        "never ingest, web or guard"
imports handler   $module/ingest                     "never ingest, web or guard"
imports handler   $module/guard                      "never ingest, web or guard"
imports handler   go-micro.dev/v4/server             "handler knows errors, metadata and codecs only"
imports handler   $module/incident                   ""
imports handler   go-micro.dev/v4/errors             ""
imports web/goma  $module/handler                    "never ingest, handler, wire or guard"
imports web/api   $module/ingest                     "never ingest, handler, wire or guard"
imports web/page  $module/wire                       "never ingest, handler, wire or guard"
imports web/metrics go-micro.dev/v4/client           "handler and web answer from the same store"
imports web/api   $module/web                        ""
imports state     $module/monitor                    "each room encodes its own"
imports state     go-micro.dev/v4/errors             "state knows nothing of go-micro"
imports state     $module/safefile                   ""
imports monitor   $module/clock                      ""
imports replica   $module/monitor                    "replica copies the view"
imports replica   go-micro.dev/v4/client             "replica knows nothing of go-micro"
imports replica   $module/store                      ""
imports guard/registry  $module/guard/broker         "do not know each other"
imports guard/broker    $module/guard/transport      "do not know each other"
imports guard/transport $module/guard/registry       "do not know each other"
imports guard/registry  $module/health               "nothing of health checks"
imports guard/broker    $module/store                "nothing of health checks"
imports guard/transport $module/ingest               "nothing of health checks"
imports guard/broker    go-micro.dev/v4              "only service, which wires everything, names it"
imports guard/registry  $module/guard                ""
imports guard/broker    github.com/nats-io/nats.go   ""
imports guard/transport go-micro.dev/v4/transport    ""
imports health    go-micro.dev/v4                    "of go-micro it may import the client and server packages only"
imports health    go-micro.dev/v4/broker             "of go-micro it may import the client and server packages only"
imports health    $module/store                      "of ours it may import proto/health only"
imports health    $module/text                       "of ours it may import proto/health only"
imports health    golang.org/x/sync/errgroup         "it brings no dependency of its own"
test_imports health go.uber.org/goleak               "the requirements of a library reach its users"
test_imports health github.com/google/go-cmp/cmp     "the requirements of a library reach its users"
test_imports health google.golang.org/protobuf/testing/protocmp "the requirements of a library reach its users"
test_imports health go-micro.dev/v4                  "the requirements of a library reach its users"
test_imports health $module/internal/testkit         "the requirements of a library reach its users"
test_imports proto/health $module/store              "the requirements of a library reach its users"
test_imports health go-micro.dev/v4/broker           ""
test_imports store  go.uber.org/goleak               ""
imports health    $module/proto/health               ""
imports health    go-micro.dev/v4/server             ""
imports proto/health  github.com/google/uuid         "without anything but protobuf"
imports proto/health  go-micro.dev/v4/client         "importable without go-micro"
imports proto/monitor $module/store                  "callable without anything of the server"
imports proto/monitor go-micro.dev/v4/broker         "client, server and api only"
imports access    $module/setting                    "are leaves"
imports command   $module/document                   "are leaves"
imports document  $module/config                     "are leaves"
imports document  $module/setting                    "are leaves"
imports setting   $module/command                    "are leaves"
imports command   go-micro.dev/v4/client             "leaves know nothing of go-micro"
imports command   $module/text                       ""
imports wire      $module/store                      "of ours it may import proto/health and the ground only"
imports wire      go-micro.dev/v4/codec              "wire knows bytes"
imports wire      $module/proto/health               ""
imports text      $module/setting                    "the ground that all stand on"
imports loglimit  $module/text                       "the ground that all stand on"
imports clock     $module/text                       "the ground that all stand on"
imports safefile  $module/access                     "the ground that all stand on"
imports connlimit go-micro.dev/v4/transport          "knows nothing of go-micro"
imports internal/sample $module/store                "of ours it knows health only"
imports examples  $module/store                      "of ours it knows health and the sample publisher"
imports examples  go-micro.dev/v4                    ""
imports other     go-micro.dev/v4                    "only service, which wires everything, names it"
imports other     go.uber.org/goleak                 "a tool for tests"
imports web       $module/internal/testkit           "a tool for tests"
imports service   github.com/nats-io/nats-server/v2/server "a tool for tests"

calls store  time     '_ = time.Now().Unix()'                        "judges by the monotonic clock"
calls web    time     '_ = time.Now().Unix()'                        ""
calls web    net/http '_ = http.DefaultClient'                       "it has no deadline"
calls web    os/exec  '_ = exec.Command("true")'                     "processes are started by command, probe and action only"
calls guard/broker os/exec '_ = exec.CommandContext(nil, "true")'         "processes are started by command, probe and action only"
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
