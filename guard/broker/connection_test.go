package broker

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/broker"
)

// linkFake is an inner broker whose connection the test breaks by hand.
type linkFake struct {
	broker.Broker
	link  *link
	calls []string
}

func (f *linkFake) String() string { return "fake" }

func (f *linkFake) Connect() error {
	f.calls = append(f.calls, "connect")
	f.link.up()
	return nil
}

func (f *linkFake) Disconnect() error {
	f.calls = append(f.calls, "disconnect")
	return nil
}

func (f *linkFake) Subscribe(topic string, _ broker.Handler, _ ...broker.SubscribeOption) (broker.Subscriber, error) {
	f.calls = append(f.calls, "subscribe "+topic)
	return linkFakeSub(topic), nil
}

type linkFakeSub string

func (s linkFakeSub) Options() broker.SubscribeOptions { return broker.SubscribeOptions{} }
func (s linkFakeSub) Topic() string                    { return string(s) }
func (s linkFakeSub) Unsubscribe() error               { return nil }

func TestBrokerConnectsAndSubscribesAgainAfterALossForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &linkFake{link: newLink("fake")}
		b := newBroker(f, Config{Logger: slog.New(slog.DiscardHandler)}, f.link)
		done := make(chan error, 1)
		ctx := t.Context()
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		_ = b.Connect()
		if _, err := b.Subscribe("t", func(broker.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.link.down(errors.New("cable cut"))
		if s := b.State(); s.OK || s.Reason != "broker fake: cable cut" || b.Subscriptions()[0].State.Reason != s.Reason {
			t.Errorf("while it is down: %+v, %+v", s, b.Subscriptions())
		}
		f.link.up()
		if !b.State().OK || !b.Subscriptions()[0].State.OK {
			t.Errorf("after it came back: %+v, %+v", b.State(), b.Subscriptions())
		}
		time.Sleep(time.Second)
		f.link.gone(nil)
		synctest.Wait()
		want := []string{"connect", "subscribe t", "disconnect", "connect", "subscribe t"}
		if !slices.Equal(f.calls, want) {
			t.Errorf("calls %q, want %q", f.calls, want)
		}
		if s := b.State(); !s.OK || time.Since(s.Since) != 0 || !b.Subscriptions()[0].State.OK {
			t.Errorf("after the loss: %+v, %+v", s, b.Subscriptions())
		}
	})
}
