package health

import (
	"context"
	"time"

	"go-micro.dev/v4/client"
	"google.golang.org/protobuf/proto"
)

// Publisher hands one event to the bus. A Reporter calls it from one goroutine
// at a time while it answers; a call that does not return by its deadline is
// left behind, and further ones are made beside it (four at most).
//
// A Publisher that sends in the background may also have the method
//
//	Flush(ctx context.Context) error
//
// which Close calls once, after the last event.
type Publisher interface {
	Publish(ctx context.Context, topic string, msg proto.Message) error
}

// PublisherFunc makes a Publisher of a function, as tests want it.
type PublisherFunc func(ctx context.Context, topic string, msg proto.Message) error

// Publish calls f.
func (f PublisherFunc) Publish(ctx context.Context, topic string, msg proto.Message) error {
	return f(ctx, topic, msg)
}

// flusher is what a Publisher that sends in the background may also be.
type flusher interface {
	Flush(ctx context.Context) error
}

// linger is how long the publisher of a client waits in Flush. Both stock
// brokers send in the background and tell nobody when they are done, and a
// process that ends at once takes what they hold with it. One post of the http
// broker takes a few milliseconds in a local network.
const linger = 250 * time.Millisecond

// FromClient publishes through the broker of c, as ContentType.
//
// The stock client does not obey the context while it waits for the registry or
// the broker; a Reporter bounds that.
func FromClient(c client.Client) Publisher { return clientPublisher{c} }

type clientPublisher struct{ client client.Client }

func (p clientPublisher) Publish(ctx context.Context, topic string, msg proto.Message) error {
	return p.client.Publish(ctx, p.client.NewMessage(topic, msg, client.WithMessageContentType(ContentType)))
}

func (p clientPublisher) Flush(ctx context.Context) error {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
