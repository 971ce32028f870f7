package cli

import (
	"context"
	"net/http"
)

// runUnregister stops a monitor and removes it.
func runUnregister(ctx context.Context, inv *invocation) error {
	r := request{method: http.MethodDelete, path: monitorPath(inv.word())}
	if _, err := newClient(inv.options.address).do(ctx, r); err != nil {
		return err
	}
	return inv.say("Unregistered.")
}
