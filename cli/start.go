package cli

import (
	"context"
	"net/http"
)

// runStart starts a stopped monitor.
func runStart(ctx context.Context, inv *invocation) error {
	return control(ctx, inv, "start", "Started.")
}

// runStop stops a monitor.
func runStop(ctx context.Context, inv *invocation) error {
	return control(ctx, inv, "stop", "Stopped.")
}

// control sends an order about a monitor, and prints done.
func control(ctx context.Context, inv *invocation, order, done string) error {
	r := request{method: http.MethodPost, path: monitorPath(inv.word()), contentType: "text/plain", body: order}
	if _, err := newClient(inv.options.address).do(ctx, r); err != nil {
		return err
	}
	return inv.say(done)
}
