package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// listed is one monitor of goma's list; its id is a number in a string.
type listed struct {
	ID               string `json:"id"`
	Name             string `json:"name"`
	Running, Failing bool
}

// runList prints a table of the monitors.
func runList(ctx context.Context, inv *invocation) error {
	text, err := newClient(inv.options.address).do(ctx, request{method: http.MethodGet, path: "/list"})
	if err != nil {
		return err
	}
	var all []listed
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("reading the list: %w", err)
	}
	fmt.Fprintf(inv.Stdout, "%-8s  %-32s  Running  Failing\n", "ID", "Name")
	for _, m := range all {
		fmt.Fprintf(inv.Stdout, "%-8s  %-32s  %-7v  %v\n", m.ID, m.Name, m.Running, m.Failing)
	}
	return nil
}
