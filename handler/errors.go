package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/store"
)

// errorID is the id of all errors that Monitor answers with.
const errorID = "go.micro.srv.monitor"

// argumentError says what is wrong with one field of a request.
type argumentError struct{ field, problem string }

func (e *argumentError) Error() string { return e.field + ": " + e.problem }

func badArgument(field, format string, args ...any) error {
	return &argumentError{field, fmt.Sprintf(format, args...)}
}

// notFound says what was asked for and is not known.
func notFound(q store.Query) error {
	var what []string
	for _, p := range []struct{ name, value string }{
		{"service", q.Service}, {"node", q.Node}, {"id", q.ID},
	} {
		if p.value != "" {
			what = append(what, fmt.Sprintf("%s %s", p.name, quote(p.value)))
		}
	}
	return fmt.Errorf("%w: %s", store.ErrNotFound, strings.Join(what, ", "))
}

// quote quotes what a caller sent, cut to what one can read.
func quote(s string) string {
	const enough = 256
	if len(s) > enough {
		return fmt.Sprintf("%q...", s[:enough])
	}
	return fmt.Sprintf("%q", s)
}

// fail turns an error of this package or of the store into one that go-micro
// carries to the caller. It is the only place that does. What the caller can
// neither cause nor mend is logged and not told.
func fail(log *slog.Logger, err error) error {
	var argument *argumentError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &argument):
		return merrors.BadRequest(errorID, "%s", argument)
	case errors.Is(err, store.ErrBadCursor):
		return merrors.BadRequest(errorID, "cursor: %v", err)
	case errors.Is(err, store.ErrNotFound):
		return merrors.NotFound(errorID, "%v", err)
	}
	log.Error("answering failed", "error", err)
	return merrors.InternalServerError(errorID, "internal error")
}
