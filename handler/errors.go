package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	merrors "go-micro.dev/v4/errors"

	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
)

// errorID is the id of all errors of Monitor.
const errorID = "go.micro.srv.monitor"

// argumentError is what is wrong with one field of a request.
type argumentError struct{ field, problem string }

func (e *argumentError) Error() string { return e.field + ": " + e.problem }

func badArgument(field, format string, args ...any) error {
	return &argumentError{field, fmt.Sprintf(format, args...)}
}

// shorten returns the text of an error, which may contain what the caller sent,
// cut to what a header of the answer may hold.
func shorten(err error) string {
	const enough = 512
	return text.Clip(err.Error(), enough, "...")
}

// rpcError turns an error of this package, of the store or of a change into one
// that go-micro carries to the caller. Any other error is ours: it is logged, and
// the caller gets 500 without details.
func rpcError(log *slog.Logger, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrBadCursor):
		err = badArgument("cursor", "%v", err)
	case errors.Is(err, monitor.ErrInvalid):
		err = badArgument("definition", "%v", err)
	}
	if code, known := statusCode(err); known {
		return merrors.New(errorID, shorten(err), int32(code))
	}
	log.Error("answering failed", "error", err)
	return merrors.InternalServerError(errorID, "internal error")
}

// statusCode returns the code of an error: for changes as REST has it, from the
// table in package monitor.
func statusCode(err error) (code int, known bool) {
	switch {
	case errors.As(err, new(*argumentError)):
		return http.StatusBadRequest, true
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, true
	}
	return monitor.StatusCode(err)
}
