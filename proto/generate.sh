#!/bin/sh
# Writes the Go code of the .proto files into the folder given (default: the
# module itself). The plugins come from bin/, where `make proto` builds them
# from tools/proto. protoc must be the version below, because each generated
# file names it and CI compares the files byte by byte.
set -eu

protoc_version=3.21.12 # of Debian 12 and 13: apt-get install protobuf-compiler

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root}

if ! command -v protoc >/dev/null; then
	echo "generate.sh: protoc is not installed: apt-get install protobuf-compiler (version $protoc_version)" >&2
	exit 1
fi
have=$(protoc --version | cut -d' ' -f2)
if [ "$have" != "$protoc_version" ]; then
	echo "generate.sh: protoc is version $have, but the generated files are pinned to $protoc_version" >&2
	exit 1
fi

cd "$root"
protoc --proto_path=. \
	--plugin=bin/protoc-gen-go --go_out="$out" --go_opt=paths=source_relative \
	proto/health/health.proto proto/monitor/monitor.proto
protoc --proto_path=. \
	--plugin=bin/protoc-gen-micro --micro_out="$out" --micro_opt=paths=source_relative \
	proto/monitor/monitor.proto

# protoc-gen-micro gives every service a list of endpoints for go-micro's API
# gateway, empty here. The three pieces that name that package are dropped:
# importing it would link an ACME client, a websocket library and some twenty
# packages more that nothing calls.
micro=$out/proto/monitor/monitor.pb.micro.go
sed -i \
	-e '/^\tapi "go-micro.dev\/v4\/api"$/d' \
	-e '/^var _ api\.Endpoint$/d' \
	-e '/^\/\/ Api Endpoints for /,/^}$/d' \
	"$micro"
gofmt -w "$micro"
if grep -n '\bapi\.' "$micro"; then
	echo "generate.sh: $micro still uses go-micro.dev/v4/api: the service has endpoints for the gateway, or the generator changed" >&2
	exit 1
fi
