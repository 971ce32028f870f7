package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// runShow prints one monitor.
func runShow(ctx context.Context, inv *invocation) error {
	text, err := newClient(inv.options.address).do(ctx, request{method: http.MethodGet, path: monitorPath(inv.word())})
	if err != nil {
		return err
	}
	var m listed
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return fmt.Errorf("reading the monitor: %w", err)
	}
	_, err = fmt.Fprintf(inv.Stdout, "Name: %s\nRunning: %v\nFailing: %v\n", m.Name, m.Running, m.Failing)
	return err
}
