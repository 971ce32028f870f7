package cli

import (
	"context"
	"net/http"
)

// runVerbosity prints the log level of an instance, or changes it.
func runVerbosity(ctx context.Context, inv *invocation) error {
	c := newClient(inv.options.address)
	if inv.word() == "" {
		text, err := c.do(ctx, request{method: http.MethodGet, path: "/verbosity"})
		if err != nil {
			return err
		}
		return inv.say(text)
	}
	r := request{method: http.MethodPut, path: "/verbosity", contentType: "text/plain", body: inv.word()}
	if _, err := c.do(ctx, r); err != nil {
		return err
	}
	return inv.say("success.")
}
