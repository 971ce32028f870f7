package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/web"
)

// healthTimeout bounds how long "health" waits for an answer, in all.
const healthTimeout = 3 * time.Second

// runHealth prints the components of an instance that fail, and fails unless it is
// ready.
func runHealth(ctx context.Context, inv *invocation) error {
	if !inv.given(flagHTTPAddress) {
		running, err := runningAddress("/proc")
		if err != nil {
			return err
		}
		inv.options.address = cmp.Or(running, inv.options.address)
	}
	c, err := inv.client()
	if err != nil {
		return err
	}
	c.token = "" // it needs none
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	a, err := c.send(ctx, request{method: http.MethodGet, path: "/readyz"})
	if err != nil {
		return err
	}
	var report web.Report
	if err := json.Unmarshal([]byte(a.text), &report); err != nil {
		return fmt.Errorf("reading the answer of %q: %w", c.address, err)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%s %s\n", report.Status, report.Version)
	for _, c := range report.Components {
		if !c.OK {
			fmt.Fprintf(&table, "%s: failing since %s: %s\n", c.Name, c.Since.UTC().Format(time.RFC3339), c.Reason)
		}
	}
	if err := inv.answer(table.String(), report); err != nil {
		return err
	}
	switch {
	case !a.good:
		return fmt.Errorf("the instance at %q is not ready", c.address)
	case inv.options.strict && report.Status != web.StatusOK:
		return fmt.Errorf("the instance at %q is %s, and --%s", c.address, report.Status, flagStrict)
	}
	return nil
}
