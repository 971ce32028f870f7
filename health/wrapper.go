package health

import (
	"context"
	"errors"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// HandlerWrapper counts the requests the service answers, for
// micro.WrapHandler. A handler that panics counts as an error, a stream as one
// request of its whole duration.
func (r *Reporter) HandlerWrapper() server.HandlerWrapper {
	return func(next server.HandlerFunc) server.HandlerFunc {
		return func(ctx context.Context, req server.Request, rsp any) (err error) {
			start, returned := time.Now(), false
			defer func() {
				o := outcomeOf(err)
				if !returned {
					o = failed
				}
				key := endpointKey{healthpb.Endpoint_SERVER, req.Service(), req.Endpoint()}
				r.endpoints.record(key, o, time.Since(start))
			}()
			err = next(ctx, req, rsp)
			returned = true
			return err
		}
	}
}

// ClientWrapper counts the calls the service makes, retries included, for
// micro.WrapClient. Streams and events are not counted.
func (r *Reporter) ClientWrapper() client.Wrapper {
	return func(c client.Client) client.Client { return &countingClient{c, r.endpoints} }
}

type countingClient struct {
	client.Client
	endpoints *endpointTable
}

func (c *countingClient) Call(ctx context.Context, req client.Request, rsp any, opts ...client.CallOption) error {
	start := time.Now()
	err := c.Client.Call(ctx, req, rsp, opts...)
	key := endpointKey{healthpb.Endpoint_CLIENT, req.Service(), req.Endpoint()}
	c.endpoints.record(key, outcomeOf(err), time.Since(start))
	return err
}

// outcomeOf tells success from failure, and from requests that were given up:
// timed out or cancelled, which go-micro calls 408. The publishers of 2016 called
// those dropped.
func outcomeOf(err error) outcome {
	if err == nil {
		return succeeded
	}
	return failureOf(err)
}

// failureOf runs foreign code, the methods of err, in the path of a request.
func failureOf(err error) (o outcome) {
	o = failed
	defer func() { _ = recover() }()
	// errors.As would allocate.
	for e := err; e != nil; e = errors.Unwrap(e) {
		if coded, ok := e.(interface{ GetCode() int32 }); ok {
			if coded.GetCode() == 408 {
				return dropped
			}
			return failed
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return dropped
	}
	return failed
}
