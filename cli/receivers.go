package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/text"
)

// runReceivers prints a table of the receivers, and below it the last error of each
// that fails.
func runReceivers(ctx context.Context, inv *invocation) error {
	a, err := inv.ask(ctx, request{method: http.MethodGet, path: "/api/v1/receivers"})
	if err != nil {
		return err
	}
	var answer struct {
		Receivers []delivery.ReceiverStatus `json:"receivers"`
	}
	if err := json.Unmarshal([]byte(a.text), &answer); err != nil {
		return fmt.Errorf("reading the receivers: %w", err)
	}
	rows := [][]string{{"Name", "Kind", "State", "Since", "Pending", "Next attempt"}}
	var errs strings.Builder
	for _, r := range answer.Receivers {
		state, next := "OK", "-"
		if !r.OK {
			state = "FAILING"
			fmt.Fprintf(&errs, "%s: %s\n", r.Name, r.LastError)
		}
		if !r.Next.IsZero() {
			next = r.Next.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{r.Name, r.Kind, state, r.Since.UTC().Format(time.RFC3339), strconv.Itoa(r.Pending), next})
	}
	table := text.Table(nil, rows...)
	if errs.Len() > 0 {
		table += "\n" + errs.String()
	}
	return inv.answer(table, answer.Receivers)
}
