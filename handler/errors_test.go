package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/store"
)

func TestErrorsOfChangesHaveTheCodesOfREST(t *testing.T) {
	for err, want := range map[error]int32{
		access.ErrUnauthorized:          401,
		access.ErrNoToken:               403,
		access.ErrForbidden:             403,
		access.ErrTooMany:               429,
		&monitor.RateError{}:            429,
		monitor.ErrNotFound:             404,
		monitor.ErrExists:               409,
		monitor.ErrTooLarge:             413,
		monitor.ErrInvalid:              400,
		monitor.ErrFull:                 507,
		monitor.ErrJournal:              503,
		badArgument("limit", "too big"): 400,
		store.ErrBadCursor:              400,
		store.ErrNotFound:               404,
		errors.New("anything else"):     500,
	} {
		e := merrors.FromError(rpcError(slog.New(slog.DiscardHandler), fmt.Errorf("registering: %w", err)))
		if e.Code != want || e.Id != errorID {
			t.Errorf("%v: got %d of %q, want %d", err, e.Code, e.Id, want)
		}
		if want == 500 && strings.Contains(e.Detail, "anything") {
			t.Errorf("the caller is told what is ours: %q", e.Detail)
		}
	}
	if err := rpcError(nil, nil); err != nil {
		t.Errorf("got %v for no error", err)
	}
}

func TestDefinitionsAreBoundedAsOverREST(t *testing.T) {
	m := monitored(t, nil)
	for size, want := range map[int]int32{monitor.MaxDefinition: 200, monitor.MaxDefinition + 1: 413} {
		definition := plainDefinition + strings.Repeat(" ", size-len(plainDefinition))
		if err := registering(definition)(m, as("operator-token-long")); statusOf(err) != want {
			t.Errorf("%d bytes: %v, want %d", size, err, want)
		}
	}
}
