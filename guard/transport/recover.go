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

// Recover returns the wrapper that handlers behind a Transport need. It must be the
// first wrapper of the server.
//
// It ends the handler's context after the caller's timeout. It returns a panic as an
// internal server error without details, and logs panic and stack, at most once in
// ten seconds. A nil log means slog.Default().
func Recover(log *slog.Logger) server.HandlerWrapper {
	if log == nil {
		log = slog.Default()
	}
	return recoverer(&limitedLog{log: log}, func() {})
}

// Recover is like the function Recover with the log of t. It also counts the panics in
// t's Counters, and all calls.
func (t *Transport) Recover() server.HandlerWrapper {
	inner := recoverer(t.log, func() { t.counts.panics.Add(1) })
	return func(next server.HandlerFunc) server.HandlerFunc { return t.calls.wrap(inner(next)) }
}

func recoverer(log *limitedLog, count func()) server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) (err error) {
			defer func() {
				if cause := recover(); cause != nil {
					count()
					log.warn("handler panicked", func() []any {
						return []any{"endpoint", req.Endpoint(), "panic", fmt.Sprint(cause), "stack", string(debug.Stack())}
					})
					err = panicError(req)
				}
			}()
			ctx, cancel := withTimeout(ctx, req.Header())
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
	return errors.InternalServerError(id, "%s failed: see the log of the service", req.Endpoint())
}

// withTimeout returns ctx with the timeout that the Transport has set, if any.
func withTimeout(ctx context.Context, header map[string]string) (context.Context, context.CancelFunc) {
	n, err := strconv.ParseInt(header[timeoutHeader], 10, 64)
	if err != nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(n))
}
