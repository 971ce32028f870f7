package cli

import (
	"context"
	"net/http"
)

// runStart starts a stopped monitor.
func runStart(ctx context.Context, inv *invocation) error {
	return control(ctx, inv, "start", "started")
}

// runStop stops a monitor.
func runStop(ctx context.Context, inv *invocation) error {
	return control(ctx, inv, "stop", "stopped")
}

// control sends an order about a monitor.
func control(ctx context.Context, inv *invocation, order, result string) error {
	return change(ctx, inv, request{method: http.MethodPost, path: monitorPath(inv.word()), contentType: "text/plain", body: order}, result)
}
