package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/microhq/monitor-srv/text"
	"github.com/microhq/monitor-srv/web"
)

// maxChecks bounds how many checks a command lists.
const maxChecks = 100_000

// runChecks prints the health checks, of all services or of one.
func runChecks(ctx context.Context, inv *invocation) error {
	checks, err := listChecks(ctx, inv, url.Values{"missing": {"true"}})
	if err != nil {
		return err
	}
	return inv.answer(checkTable(checks), checks)
}

// runStatus prints the health checks that are not OK, and fails if there are any.
func runStatus(ctx context.Context, inv *invocation) error {
	checks, err := listChecks(ctx, inv, url.Values{"missing": {"true"}, "status": {"ERROR,WARNING,UNKNOWN"}})
	if err != nil {
		return err
	}
	if checks.Total == 0 {
		return inv.answer("all checks are OK\n", checks)
	}
	if err := inv.answer(checkTable(checks), checks); err != nil {
		return err
	}
	return notOK(checks.Total)
}

// notOK is the error that so many checks are not OK.
func notOK(n int) error {
	if n == 1 {
		return errors.New("1 check is not OK")
	}
	return fmt.Errorf("%d checks are not OK", n)
}

// listChecks asks for all pages of the health checks that parameters select.
func listChecks(ctx context.Context, inv *invocation, parameters url.Values) (web.Checks, error) {
	if len(inv.words) > 0 {
		parameters.Set("service", inv.words[0])
	}
	all := web.Checks{HealthChecks: []web.Check{}}
	for {
		answer, err := inv.ask(ctx, request{method: http.MethodGet, path: "/api/v1/healthchecks?" + parameters.Encode()})
		if err != nil {
			return all, err
		}
		var page web.Checks
		if err := json.Unmarshal([]byte(answer.text), &page); err != nil {
			return all, fmt.Errorf("reading the checks: %w", err)
		}
		all.HealthChecks = append(all.HealthChecks, page.HealthChecks...)
		all.Total, all.More, all.Cursor = page.Total, page.More, page.Cursor
		if !page.More || len(all.HealthChecks) >= maxChecks {
			return all, nil
		}
		parameters.Set("cursor", page.Cursor)
	}
}

// checkTable returns checks as a table.
func checkTable(checks web.Checks) string {
	rows := [][]string{{"Status", "Service", "Node", "Check", "Since", "Error"}}
	for _, c := range checks.HealthChecks {
		rows = append(rows, []string{
			wordOf(c), text.Line(c.Service, 64), text.Line(c.Node, 64), text.Line(c.ID, 64),
			c.Since.Format(time.RFC3339), text.Line(c.Error, 256),
		})
	}
	table := text.Table(nil, rows...)
	if checks.More {
		table += fmt.Sprintf("and %d more; name a service to see its checks\n", checks.Total-len(checks.HealthChecks))
	}
	return table
}

// wordOf returns the status of a check, or why it has none.
func wordOf(c web.Check) string {
	switch {
	case c.Stopped:
		return "STOPPED"
	case c.Missing:
		return "MISSING"
	}
	return c.Status
}
