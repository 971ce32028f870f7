package ingest

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

// Inject processes an event that did not come over the bus, such as one of this
// instance about itself, which must be in the store even if the broker is down. It
// is decoded and queued like any other event. Its echo on the bus is rejected.
func (e *Events) Inject(topic string, event proto.Message) error {
	for kind, t := range topics {
		if t != topic {
			continue
		}
		body, err := proto.Marshal(event)
		if err != nil {
			return fmt.Errorf("encoding an event for %q: %w", topic, err)
		}
		e.receive(store.Kind(kind), map[string]string{"Content-Type": health.ContentType}, body, true)
		return nil
	}
	return fmt.Errorf("injecting an event: unknown topic %q", topic)
}
