package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/microhq/monitor-srv/text"
)

// DefaultTopic is where a publish action sends notices if it names no topic.
const DefaultTopic = "micro.monitor.transition"

// publishKeys are the keys of a publish action.
type publishKeys struct {
	// Topic is where the event goes; micro.monitor.transition.
	Topic string `toml:"topic"`
}

// publishAction sends each notice as an event on the bus.
type publishAction struct {
	topic   string
	publish func(ctx context.Context, topic string, header map[string]string, body []byte) error
}

func newPublish(decode func(any) error, env Env) (Action, error) {
	keys := publishKeys{Topic: DefaultTopic}
	if err := decode(&keys); err != nil {
		return nil, err
	}
	if keys.Topic == "" || text.Line(keys.Topic, len(keys.Topic)) != keys.Topic {
		return nil, fmt.Errorf("topic %q is not one printable word: leave it out for %q", keys.Topic, DefaultTopic)
	}
	return &publishAction{topic: keys.Topic, publish: env.Publish}, nil
}

// String names the action.
func (a *publishAction) String() string { return "publish to " + a.topic }

// Notify publishes the first notice as JSON.
func (a *publishAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	if a.publish == nil {
		return &Permanent{errors.New("publishing: this program has no bus")}
	}
	body, err := json.Marshal(ns[0])
	if err != nil {
		return &Permanent{fmt.Errorf("publishing: %w", err)}
	}
	header := map[string]string{
		"Content-Type":       "application/json",
		"Idempotency-Key":    headerToken(ns[0].Key()),
		"X-Monitor-Incident": headerToken(ns[0].Incident),
	}
	if err := a.publish(ctx, a.topic, header, body); err != nil {
		return fmt.Errorf("publishing to %q: %w", a.topic, err)
	}
	return nil
}
