package guard

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"
)

// Recover returns a wrapper that turns a panic of a handler into an internal
// server error, which tells the caller nothing of the inside. The panic and its
// stack go to log, a line in ten seconds. log may be nil for slog.Default().
func Recover(log *slog.Logger) server.HandlerWrapper {
	return recoverer(log, func() {})
}

// Recover is like the function Recover, with the transport's log, and counts
// the panics in t's Counters.
func (t *Transport) Recover() server.HandlerWrapper {
	return recoverer(t.cfg.Log, func() { t.count.panics.Add(1) })
}

func recoverer(log *slog.Logger, count func()) server.HandlerWrapper {
	if log == nil {
		log = slog.Default()
	}
	panicked := &rareLog{log: log}
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) (err error) {
			defer func() {
				cause := recover()
				if cause == nil {
					return
				}
				count()
				panicked.warn("a handler panicked", func() []any {
					return []any{"endpoint", req.Endpoint(), "panic", fmt.Sprint(cause), "stack", string(debug.Stack())}
				})
				id := req.Service()
				if id == "" {
					id = portID
				}
				err = errors.InternalServerError(id, "the service failed on %s, its log says why", req.Endpoint())
			}()
			return next(ctx, req, rsp)
		}
	}
}
