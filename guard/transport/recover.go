package transport

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"
)

// Recover returns the wrapper that handlers behind a Transport need. Give it to
// the server as the first one.
//
// It ends the handler's context when the time that its caller allows is over.
// It also turns a panic into an internal server error, which tells the caller
// nothing of the inside; the panic and its stack go to log, one in ten seconds.
// log may be nil for slog.Default().
func Recover(log *slog.Logger) server.HandlerWrapper {
	if log == nil {
		log = slog.Default()
	}
	return recoverer(&rareLog{log: log}, func() {})
}

// Recover is like the function Recover, with the transport's log, and counts
// the panics in t's Counters.
func (t *Transport) Recover() server.HandlerWrapper {
	return recoverer(t.rare, func() { t.count.panics.Add(1) })
}

func recoverer(rare *rareLog, count func()) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) (err error) {
			defer func() {
				if cause := recover(); cause != nil {
					count()
					rare.warn("a handler panicked", func() []any {
						return []any{"endpoint", req.Endpoint(), "panic", fmt.Sprint(cause), "stack", string(debug.Stack())}
					})
					err = panicError(req)
				}
			}()
			ctx, cancel := withLimit(ctx, req.Header())
			defer cancel()
			return next(ctx, req, rsp)
		}
	}
}

func panicError(req server.Request) error {
	id := req.Service()
	if id == "" {
		id = portID
	}
	return errors.InternalServerError(id, "the service failed on %s, its log says why", req.Endpoint())
}

// withLimit returns ctx with the deadline that the Transport asks for, if any.
func withLimit(ctx context.Context, header map[string]string) (context.Context, context.CancelFunc) {
	n, err := strconv.ParseInt(header[limitHeader], 10, 64)
	if err != nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(n))
}
