package cli

import (
	"context"
	"net/http"

	"github.com/microhq/monitor-srv/setting"
)

// verbosity is the log level of an instance.
type verbosity struct {
	Verbosity string `json:"verbosity"`
}

// levels are those that an instance knows.
func levels() []string { return setting.LevelNames() }

// runVerbosity prints the log level of an instance, or changes it.
func runVerbosity(ctx context.Context, inv *invocation) error {
	level := inv.word()
	if level == "" {
		a, err := inv.ask(ctx, request{method: http.MethodGet, path: "/verbosity"})
		if err != nil {
			return err
		}
		return inv.answer(a.text+"\n", verbosity{a.text})
	}
	if _, err := inv.ask(ctx, request{method: http.MethodPut, path: "/verbosity", contentType: "text/plain", body: level}); err != nil {
		return err
	}
	return inv.answer("success.\n", verbosity{level})
}
