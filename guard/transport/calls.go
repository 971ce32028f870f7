package transport

import (
	"cmp"
	"context"
	stderrors "errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"go-micro.dev/v4/errors"
	"go-micro.dev/v4/server"
)

// Calls counts the calls of one endpoint with one code.
type Calls struct {
	Endpoint string
	// Code is 200, or that of the error.
	Code  int
	Count uint64
	// Took is the time of all of them in the handler.
	Took time.Duration
}

// maxCallKinds bounds the pairs of endpoint and code that are counted.
const maxCallKinds = 1000

type callKind struct {
	endpoint string
	code     int
}

type callSum struct {
	count uint64
	took  time.Duration
}

// calls are the live counts of Calls.
type calls struct {
	mu sync.Mutex
	of map[callKind]callSum // guarded by mu
}

// Calls returns the counts of the calls that reached a handler, by endpoint and code.
func (t *Transport) Calls() []Calls {
	t.calls.mu.Lock()
	defer t.calls.mu.Unlock()
	all := make([]Calls, 0, len(t.calls.of))
	for k, s := range t.calls.of {
		all = append(all, Calls{k.endpoint, k.code, s.count, s.took})
	}
	slices.SortFunc(all, func(a, b Calls) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Code, b.Code))
	})
	return all
}

// wrap counts the calls of a handler.
func (c *calls) wrap(next server.HandlerFunc) server.HandlerFunc {
	return func(ctx context.Context, req server.Request, rsp any) error {
		begin := time.Now()
		err := next(ctx, req, rsp)
		c.add(callKind{req.Endpoint(), codeOf(err)}, time.Since(begin))
		return err
	}
}

func (c *calls) add(k callKind, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, known := c.of[k]
	if !known && len(c.of) >= maxCallKinds {
		return
	}
	if c.of == nil {
		c.of = make(map[callKind]callSum)
	}
	c.of[k] = callSum{s.count + 1, s.took + took}
}

func codeOf(err error) int {
	var known *errors.Error
	switch {
	case err == nil:
		return http.StatusOK
	case stderrors.As(err, &known) && known.Code != 0:
		return int(known.Code)
	}
	return http.StatusInternalServerError
}
