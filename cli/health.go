package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/microhq/monitor-srv/web"
)

// healthTimeout bounds how long "health" waits for an answer, in all.
const healthTimeout = 3 * time.Second

// runHealth prints the components of an instance that fail, and fails unless it is
// ready.
func runHealth(ctx context.Context, inv *invocation) error {
	address, _ := splitToken(inv.options.address) // it needs none
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	report, ready, err := readiness(ctx, address)
	if err != nil {
		return err
	}
	fmt.Fprintf(inv.Stdout, "%s %s\n", report.Status, report.Version)
	for _, c := range report.Components {
		if !c.OK {
			fmt.Fprintf(inv.Stdout, "%s: failing since %s: %s\n", c.Name, c.Since.UTC().Format(time.RFC3339), c.Reason)
		}
	}
	if !ready {
		return fmt.Errorf("the instance at %q is not ready", address)
	}
	return nil
}

// readiness asks the instance at address.
func readiness(ctx context.Context, address string) (report web.Report, ready bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return report, false, usageError{fmt.Errorf("--%s %q: %w", flagHTTPAddress, address, err)}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return report, false, fmt.Errorf("asking %q: %w; is it running, and is --%s right?", address, errors.Unwrap(err), flagHTTPAddress)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&report); err != nil {
		return report, false, fmt.Errorf("reading the answer of %q: %w", address, err)
	}
	return report, resp.StatusCode == http.StatusOK, nil
}
