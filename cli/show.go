package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// runShow prints one monitor.
func runShow(ctx context.Context, inv *invocation) error {
	text, err := inv.ask(ctx, request{method: http.MethodGet, path: monitorPath(inv.word())})
	if err != nil {
		return err
	}
	var m listed
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return fmt.Errorf("reading the monitor: %w", err)
	}
	return inv.answer(fmt.Sprintf("Name: %s\nRunning: %v\nFailing: %v\n", m.Name, m.Running, m.Failing), m)
}
