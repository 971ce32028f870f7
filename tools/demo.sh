#!/usr/bin/env bash
# demo.sh CONSUL COMMAND...: starts the Consul agent CONSUL in dev mode, waits
# until it answers, and runs COMMAND against it. Ctrl-C ends both. A Consul that
# answers on its usual port already is used as it is, and left running.
set -euo pipefail

consul=$1
shift
address=127.0.0.1:8500
log=$(mktemp)
agent=

answers() { "$consul" catalog nodes -http-addr="$address" >/dev/null 2>&1; }

finish() {
	if [ -n "$agent" ]; then
		kill "$agent" 2>/dev/null || true
		wait "$agent" 2>/dev/null || true
	fi
	rm -f "$log"
}
trap finish EXIT

# Agent and command each run in a session of their own, so that Ctrl-C reaches
# this script only: it asks the command to end, once, and then the agent.
if answers; then
	echo "demo: using the Consul that answers on $address"
else
	setsid "$consul" agent -dev -log-level=warn >"$log" 2>&1 </dev/null &
	agent=$!
	for _ in $(seq 100); do
		answers && break
		kill -0 "$agent" 2>/dev/null || break
		sleep 0.1
	done
	if ! answers; then
		echo "demo: Consul did not start on $address:" >&2
		cat "$log" >&2
		exit 1
	fi
	echo "demo: Consul is on http://$address (pid $agent)"
fi

setsid "$@" &
command=$!
trap 'trap : INT TERM; kill -TERM "$command" 2>/dev/null || true' INT TERM

# A signal ends a wait before its time, so wait until the command is gone.
status=0
wait "$command" || status=$?
while kill -0 "$command" 2>/dev/null; do
	status=0
	wait "$command" || status=$?
done
exit "$status"
