package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/text"
)

// listed is one monitor of goma's list; its id is a number in a string.
type listed struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Running bool   `json:"running"`
	Failing bool   `json:"failing"`
	// State is empty in an answer that has goma's fields only.
	State string `json:"state,omitempty"`
}

// saysMore reports whether the state of a monitor is more than goma's two words say.
func (m listed) saysMore() bool {
	return m.State == monitor.Warning.String() || m.State == monitor.Stopped.String()
}

// runList prints a table of the monitors, as goma does. There is a column of states if
// one of them says more than goma's columns.
func runList(ctx context.Context, inv *invocation) error {
	all, err := listMonitors(ctx, inv)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "Name", "Running", "Failing"}}
	states := false
	for _, m := range all {
		states = states || m.saysMore()
		rows = append(rows, []string{m.ID, m.Name, strconv.FormatBool(m.Running), strconv.FormatBool(m.Failing)})
	}
	if states {
		rows[0] = append(rows[0], "State")
		for i, m := range all {
			rows[i+1] = append(rows[i+1], m.State)
		}
	}
	return inv.answer(text.Table([]int{8, 32, 7}, rows...), all)
}

func listMonitors(ctx context.Context, inv *invocation) ([]listed, error) {
	a, err := inv.ask(ctx, request{method: http.MethodGet, path: "/list?verbose=true"})
	if err != nil {
		return nil, err
	}
	all := []listed{}
	if err := json.Unmarshal([]byte(a.text), &all); err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	return all, nil
}

// completionTimeout bounds how long a shell waits for the names of monitors.
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
