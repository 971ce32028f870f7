package cli

import (
	"context"
	"net/http"
	"strings"
)

// runUnregister stops a monitor and removes it.
func runUnregister(ctx context.Context, inv *invocation) error {
	return change(ctx, inv, request{method: http.MethodDelete, path: monitorPath(inv.word())}, "unregistered")
}

// changed says what was done to a monitor.
type changed struct {
	ID     string `json:"id"`
	Result string `json:"result"` // started, stopped or unregistered
}

// change sends a request about a monitor, and prints its result.
func change(ctx context.Context, inv *invocation, r request, result string) error {
	if _, err := inv.ask(ctx, r); err != nil {
		return err
	}
	return inv.answer(strings.ToUpper(result[:1])+result[1:]+".\n", changed{inv.word(), result})
}
