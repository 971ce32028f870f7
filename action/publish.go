package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/microhq/monitor-srv/text"
)

// DefaultTopic is the topic of publish actions that name none.
const DefaultTopic = "micro.monitor.transition"

// publishKeys are the keys of a publish action.
type publishKeys struct {
	// Topic is where the event is published; micro.monitor.transition.
	Topic string `toml:"topic"`
	// NotifyInit publishes starts of monitors too; default false.
	NotifyInit bool `toml:"notify_init"`
}

// publishAction publishes each notification as an event on the bus.
type publishAction struct {
	topic   string
	inits   bool
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
	return &publishAction{topic: keys.Topic, inits: keys.NotifyInit, publish: env.Publish}, nil
}

// Kind returns "publish".
func (a *publishAction) Kind() string { return "publish" }

// Inits says that starts are published on request.
func (a *publishAction) Inits() (atOnce, onceGood bool) { return false, a.inits }

// String names the action.
func (a *publishAction) String() string { return "publish to " + a.topic }

// Notify publishes the first notification as JSON.
func (a *publishAction) Notify(ctx context.Context, ns []Notification) error {
	if len(ns) == 0 {
		return errNoNotification
	}
	if a.publish == nil {
		return &Permanent{errors.New("publishing: this process is not connected to a bus")}
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
