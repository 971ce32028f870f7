package broker

import "go-micro.dev/v4/broker"

// event is an event that a handler gets. Neither http nor NATS acknowledges events.
type event struct {
	topic   string
	message *broker.Message
}

var _ broker.Event = event{}

func (e event) Topic() string            { return e.topic }
func (e event) Message() *broker.Message { return e.message }
func (e event) Ack() error               { return nil }
func (e event) Error() error             { return nil }

// active is a subscription that an inner broker holds.
type active struct {
	topic       string
	options     broker.SubscribeOptions
	unsubscribe func() error
}

var _ broker.Subscriber = (*active)(nil)

func (a *active) Options() broker.SubscribeOptions { return a.options }
func (a *active) Topic() string                    { return a.topic }
func (a *active) Unsubscribe() error               { return a.unsubscribe() }
