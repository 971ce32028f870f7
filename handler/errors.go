package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/monitor"
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

// brief cuts what a caller may have sent to what one can read. An answer has it
// in a header.
func shorten(err error) string {
	const enough = 512
	text := err.Error()
	if len(text) > enough {
		return strings.ToValidUTF8(text[:enough], "") + "..."
	}
	return text
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
		return merrors.BadRequest(errorID, "%s", shorten(err))
	case errors.Is(err, store.ErrBadCursor):
		return merrors.BadRequest(errorID, "cursor: %s", shorten(err))
	case errors.Is(err, store.ErrNotFound), errors.Is(err, monitor.ErrNotFound):
		return merrors.NotFound(errorID, "%s", shorten(err))
	case errors.Is(err, monitor.ErrExists), errors.Is(err, monitor.ErrFull):
		return merrors.Conflict(errorID, "%s", shorten(err))
	case errors.Is(err, access.ErrUnauthorized):
		return merrors.Unauthorized(errorID, "%s", shorten(err))
	case errors.Is(err, access.ErrNoToken), errors.Is(err, access.ErrForbidden):
		return merrors.Forbidden(errorID, "%s", shorten(err))
	case errors.Is(err, access.ErrTooMany), errors.As(err, new(*monitor.RateError)):
		return merrors.New(errorID, shorten(err), http.StatusTooManyRequests)
	case errors.Is(err, monitor.ErrJournal):
		return merrors.New(errorID, shorten(err), http.StatusInsufficientStorage)
	}
	log.Error("answering failed", "error", err)
	return merrors.InternalServerError(errorID, "internal error")
}
