package ingest

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

// Deliver takes an event that does not come over the bus, such as one of this
// instance about itself, which must be known here also while the broker is
// away. It goes the way of every event. If the bus brings it again, that changes
// nothing.
func (e *Events) Inject(topic string, event proto.Message) error {
	for kind, t := range topics {
		if t != topic {
			continue
		}
		body, err := proto.Marshal(event)
		if err != nil {
			return fmt.Errorf("encoding an event for %q: %w", topic, err)
		}
		e.receive(store.Kind(kind), map[string]string{"Content-Type": health.ContentType}, body)
		return nil
	}
	return fmt.Errorf("delivering an event: no topic %q", topic)
}
