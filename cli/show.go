package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/text"
)

// shown is one monitor. All but the fields of listed are absent in an answer that has
// goma's fields only.
type shown struct {
	listed
	Value     *float64   `json:"value"`
	Error     string     `json:"error"`
	Detail    string     `json:"detail"`
	Since     *time.Time `json:"since"`
	LastProbe *time.Time `json:"last_probe"`
	NextProbe *time.Time `json:"next_probe"`
	StoppedAt *time.Time `json:"stopped_at"`
	Probe     string     `json:"probe"`
	Actions   []string   `json:"actions"`
	Origin    string     `json:"origin"`
}

// runShow prints one monitor.
func runShow(ctx context.Context, inv *invocation) error {
	a, err := inv.ask(ctx, request{method: http.MethodGet, path: monitorPath(inv.word()) + "?verbose=true"})
	if err != nil {
		return err
	}
	var m shown
	if err := json.Unmarshal([]byte(a.text), &m); err != nil {
		return fmt.Errorf("reading the monitor: %w", err)
	}
	return inv.answer(m.String(), json.RawMessage(a.text))
}

// String returns what goma prints, and for a monitor that is stopped or not OK a line
// for each thing that is known.
func (m shown) String() string {
	var all strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&all, "%s: %s\n", key, value)
		}
	}
	fmt.Fprintf(&all, "Name: %s\nRunning: %v\nFailing: %v\n", m.Name, m.Running, m.Failing)
	if !m.saysMore() && !m.Failing {
		return all.String()
	}
	line("State", withTime(m.State, " since ", m.Since))
	if m.StoppedAt != nil {
		line("Stopped", withTime("", "", m.StoppedAt)+"; it stays stopped until it is started")
	}
	if m.Value != nil && m.LastProbe != nil {
		line("Value", text.Number(*m.Value))
	}
	line("Error", m.Error)
	line("Detail", m.Detail)
	line("Probe", withTime(withTime(m.Probe, ", last at ", m.LastProbe), ", next at ", m.NextProbe))
	line("Actions", strings.Join(m.Actions, ", "))
	line("Defined in", m.Origin)
	return all.String()
}

// withTime returns a text with a time behind it, if there is one.
func withTime(text, between string, t *time.Time) string {
	if t == nil {
		return text
	}
	return text + between + t.UTC().Format(time.RFC3339)
}
