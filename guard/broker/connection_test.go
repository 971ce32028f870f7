package broker

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// fakeBroker is an inner broker whose connection the test breaks by hand.
type fakeBroker struct {
	broker.Broker
	conn  *connection
	calls []string
}

func (f *fakeBroker) String() string  { return "fake" }
func (f *fakeBroker) Address() string { return "there" }

func (f *fakeBroker) Connect() error {
	f.calls = append(f.calls, "connect")
	f.conn.setUp()
	return nil
}

func (f *fakeBroker) Disconnect() error {
	f.calls = append(f.calls, "disconnect")
	return nil
}

func (f *fakeBroker) Subscribe(topic string, _ broker.Handler, _ ...broker.SubscribeOption) (broker.Subscriber, error) {
	f.calls = append(f.calls, "subscribe "+topic)
	return fakeSubscriber(topic), nil
}

type fakeSubscriber string

func (s fakeSubscriber) Options() broker.SubscribeOptions { return broker.SubscribeOptions{} }
func (s fakeSubscriber) Topic() string                    { return string(s) }
func (s fakeSubscriber) Unsubscribe() error               { return nil }

func TestBrokerConnectsAndSubscribesAgainAfterALossForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{conn: &connection{}}
		b := newBroker(f, Config{Logger: testkit.QuietLog()}, f.conn)
		done := make(chan error, 1)
		ctx := t.Context()
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		_ = b.Connect()
		if _, err := b.Subscribe("t", func(broker.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.conn.setDown(errors.New("cable cut"))
		if s := b.State(); s.OK || s.Reason != "broker fake at there: cable cut" || b.Subscriptions()[0].State.Reason != s.Reason {
			t.Errorf("while it is down: %+v, %+v", s, b.Subscriptions())
		}
		f.conn.setUp()
		if !b.State().OK || !b.Subscriptions()[0].State.OK {
			t.Errorf("after it came back: %+v, %+v", b.State(), b.Subscriptions())
		}
		time.Sleep(time.Second)
		f.conn.setLost(nil)
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
