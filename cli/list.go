package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// listed is one monitor of goma's list; its id is a number in a string.
type listed struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Running bool   `json:"running"`
	Failing bool   `json:"failing"`
}

// runList prints a table of the monitors.
func runList(ctx context.Context, inv *invocation) error {
	all, err := listMonitors(ctx, inv)
	if err != nil {
		return err
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-8s  %-32s  Running  Failing\n", "ID", "Name")
	for _, m := range all {
		fmt.Fprintf(&table, "%-8s  %-32s  %-7v  %v\n", m.ID, m.Name, m.Running, m.Failing)
	}
	return inv.answer(table.String(), all)
}

func listMonitors(ctx context.Context, inv *invocation) ([]listed, error) {
	text, err := inv.ask(ctx, request{method: http.MethodGet, path: "/list"})
	if err != nil {
		return nil, err
	}
	all := []listed{}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	return all, nil
}

// completionTimeout bounds how long a shell waits for the ids of monitors.
const completionTimeout = time.Second

// monitorIDs lists the ids of the monitors for the shell, with their names.
func monitorIDs(ctx context.Context, inv *invocation) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	all, err := listMonitors(ctx, inv)
	if err != nil {
		return nil
	}
	var ids []string
	for _, m := range all {
		ids = append(ids, m.ID+"\t"+m.Name)
	}
	return ids
}
