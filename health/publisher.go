package health

import (
	"context"
	"time"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"
)

// Publisher publishes one event on a topic. Publish must not change msg.
//
// A Reporter calls Publish from one goroutine at a time. A call that does not return
// before its context ends is abandoned: it keeps its goroutine, and the Reporter goes
// on beside it, with at most four such calls at once (five while it closes). An error
// or a panic is logged and counted, and the event is retried.
//
// A Publisher that sends in the background may also have the method
//
//	Flush(ctx context.Context) error
//
// Reporter.Close calls it once, after the last event.
type Publisher interface {
	Publish(ctx context.Context, topic string, msg proto.Message) error
}

// PublisherFunc is a function that is a Publisher, for tests for example.
type PublisherFunc func(ctx context.Context, topic string, msg proto.Message) error

// Publish calls f.
func (f PublisherFunc) Publish(ctx context.Context, topic string, msg proto.Message) error {
	return f(ctx, topic, msg)
}

// flusher is the optional part of a Publisher.
type flusher interface {
	Flush(ctx context.Context) error
}

// flushDelay is how long Flush waits in the Publisher of a client. Both brokers of
// go-micro send in the background and do not say when they are done, and a process
// that ends loses what they hold. One request of the http broker takes a few
// milliseconds in a local network.
const flushDelay = 250 * time.Millisecond

// FromClient returns a Publisher that publishes through the broker of c, with the
// content type ContentType. Its Flush waits 250 ms, because the brokers of go-micro
// send in the background.
//
// The client of go-micro ignores the context while it waits for the registry or the
// broker. A Reporter bounds the wait.
func FromClient(c client.Client) Publisher { return clientPublisher{c} }

type clientPublisher struct{ client client.Client }

func (p clientPublisher) Publish(ctx context.Context, topic string, msg proto.Message) error {
	return p.client.Publish(ctx, p.client.NewMessage(topic, msg, client.WithMessageContentType(ContentType)))
}

func (p clientPublisher) Flush(ctx context.Context) error {
	timer := time.NewTimer(flushDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
