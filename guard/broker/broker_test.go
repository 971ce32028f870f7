package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/broker"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

func TestBrokerSubscribesUntilItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := 3
		f := &fakeBroker{connect: registrytest.ErrFake, subscribe: func(string) error {
			if fails--; fails >= 0 {
				return registrytest.ErrFake
			}
			return nil
		}}
		b := guarded(f, nil)
		got := make(chan string, 10)
		subscribe(t, b, "a", func(e broker.Event) error { got <- string(e.Message().Body); return nil })
		testkit.Run(t, b)
		synctest.Wait()
		if s := b.State(); s.OK || s.Reason != "broker fake at nats://<secret>@host:1: not connected" {
			t.Errorf("before Connect: %+v", s)
		}
		start := time.Now()
		if err := b.Connect(); err != nil || time.Since(start) != 0 {
			t.Errorf("Connect to an absent broker: %v after %v", err, time.Since(start))
		}
		if s := b.State(); s.OK || s.Reason != "broker fake at nats://<secret>@host:1: out of order" {
			t.Errorf("state %+v", s)
		}
		f.set(func() { f.connect = nil })
		time.Sleep(time.Second)
		synctest.Wait()
		if s := b.State(); !s.OK {
			t.Errorf("a second after the return: %+v", s)
		}
		subs := b.Subscriptions()
		if len(subs) != 1 || subs[0].State.OK || subs[0].State.Reason != `subscribing to "a": out of order` {
			t.Errorf("while it does not hold: %+v", subs)
		}
		time.Sleep(12 * time.Second) // 2, 4 and 5 s at most
		synctest.Wait()
		if subs := b.Subscriptions(); !subs[0].State.OK {
			t.Errorf("when it holds: %+v", subs)
		}
		if !f.send("a", "event") || <-got != "event" {
			t.Error("no event")
		}
	})
}

func TestBrokerRefusesASecondSubscription(t *testing.T) {
	b := guarded(&fakeBroker{}, nil)
	sub := subscribe(t, b, "a", ignoreEvent)
	_, err := b.Subscribe("a", ignoreEvent)
	if want := `subscribing to "a": it is already subscribed: unsubscribe first`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := errors.Join(sub.Unsubscribe(), sub.Unsubscribe()); err != nil {
		t.Error(err)
	}
	subscribe(t, b, "a", ignoreEvent)
	for i := 0; err == nil || strings.Contains(err.Error(), "unsubscribe first"); i++ {
		if _, err = b.Subscribe(fmt.Sprint("topic-", i), ignoreEvent); i > 1000 {
			t.Fatal("topics without end")
		}
	}
	if !strings.Contains(err.Error(), "256 topics are already subscribed") {
		t.Error(err)
	}
}

func TestBrokerUnsubscribeTakesEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeBroker{}
		b := guarded(f, nil)
		testkit.Run(t, b)
		_ = b.Connect()
		first, second := 0, 0
		sub := subscribe(t, b, "a", func(broker.Event) error { first++; return nil })
		synctest.Wait()
		old := f.subs["a"]
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "a", func(broker.Event) error { second++; return nil })
		synctest.Wait()
		_ = old(fakeEvent{topic: "a", m: &broker.Message{}}) // one that was on its way
		f.send("a", "")
		if first != 0 || second != 1 {
			t.Errorf("events: %d to the old handler, %d to the new; calls %v", first, second, f.calls)
		}
		want := "[connect subscribe a unsubscribe a subscribe a]"
		if got := fmt.Sprint(f.calls); got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
}

func TestBrokerHandlerErrorsAndPanicsAreCountedAndLoggedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := &fakeBroker{}, &testkit.LogBuffer{}
		b := guarded(f, func(cfg *guardbroker.Config) { cfg.Logger = log.Logger() })
		testkit.Run(t, b)
		_ = b.Connect()
		subscribe(t, b, "bad", func(e broker.Event) error {
			if string(e.Message().Body) == "panic" {
				panic("in a handler")
			}
			return errors.New("cannot use nats://user:hunter2@host")
		})
		synctest.Wait()
		for range 10000 {
			f.send("bad", "error")
			f.send("bad", "panic")
		}
		time.Sleep(11 * time.Second)
		f.send("bad", "error")
		want := guardbroker.Stats{Received: 20001, HandlerErrors: 10001, HandlerPanics: 10000}
		if got := b.Stats(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		text := log.String()
		if n := strings.Count(text, "\n"); n != 3 || !strings.Contains(text, "suppressed=9999") {
			t.Errorf("%d lines:\n%s", n, text)
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("a password is in the log:\n%s", text)
		}
	})
}

func TestBrokerPublishIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &fakeBroker{publish: func(*broker.Message) error { <-hang; return nil }}
		b := guarded(f, func(cfg *guardbroker.Config) { cfg.MaxPublishes = 3 })
		stop := testkit.Run(t, b)
		_ = b.Connect()
		msg := &broker.Message{Body: []byte("x")}
		start := time.Now()
		err := b.Publish("a", msg)
		if want := `publishing to "a": not done within 2s`; err == nil || err.Error() != want || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v, want %s", err, time.Since(start), want)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.Publish("a", msg, broker.PublishContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context: %v", err)
		}
		_ = b.Publish("a", msg)
		if err := b.Publish("a", msg); err == nil || !strings.Contains(err.Error(), "3 events are already in flight") {
			t.Errorf("past the limit: %v", err)
		}
		if got := b.Stats().PublishErrors; got != 4 {
			t.Errorf("counted %d, want 4", got)
		}
		close(hang)
		synctest.Wait()
		if err := b.Publish("a", msg); err != nil {
			t.Errorf("after the hang: %v", err)
		}
		f.set(func() { f.publish = func(*broker.Message) error { panic("inside") } })
		if err := b.Publish("a", msg); err == nil || !strings.Contains(err.Error(), "panic: inside") {
			t.Errorf("a panic inside: %v", err)
		}
		stop()
		if err := b.Publish("a", msg); err == nil || !strings.Contains(err.Error(), "stopped") {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestBrokerPublishNamesTheTopic(t *testing.T) {
	var got *broker.Message
	f := &fakeBroker{publish: func(m *broker.Message) error { got = m; return nil }}
	b := guarded(f, nil)
	msg := &broker.Message{Header: map[string]string{"k": "v"}}
	if err := b.Publish("a", msg); err != nil {
		t.Fatal(err)
	}
	if got.Header["Micro-Topic"] != "a" || got.Header["k"] != "v" || len(msg.Header) != 1 {
		t.Errorf("sent %v, caller's %v", got.Header, msg.Header)
	}
	if err := b.Publish("a", &broker.Message{Header: map[string]string{"Micro-Topic": "b"}}); err != nil || got.Header["Micro-Topic"] != "b" {
		t.Errorf("a topic in the header was overwritten: %v, %v", got.Header, err)
	}
}

func TestBrokerDisconnectIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &fakeBroker{disconnect: hang}
		b := guarded(f, nil)
		stop := testkit.Run(t, b)
		_ = b.Connect()
		subscribe(t, b, "a", ignoreEvent)
		synctest.Wait()
		start := time.Now()
		err := b.Disconnect()
		if want := "broker fake at nats://<secret>@host:1: disconnecting took longer than 2s"; err == nil || err.Error() != want || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v, want %s", err, time.Since(start), want)
		}
		close(hang)
		synctest.Wait()
		if s := b.State(); s.OK || s.Reason != "broker fake at nats://<secret>@host:1: disconnected" || b.Subscriptions()[0].State.OK {
			t.Errorf("after it: %+v, %+v", s, b.Subscriptions())
		}
		_ = b.Connect()
		synctest.Wait()
		if !b.State().OK || !b.Subscriptions()[0].State.OK || !f.send("a", "") {
			t.Errorf("connected again: %+v, %+v", b.State(), b.Subscriptions())
		}
		stop()
		if f.connected || len(f.subs) != 0 {
			t.Error("the end of Run left a connection or a subscription")
		}
		if err := b.Disconnect(); err != nil {
			t.Errorf("Disconnect after the end: %v", err)
		}
	})
}

func TestBrokerWithoutRunDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := guarded(&fakeBroker{}, nil)
		start := time.Now()
		if err := errors.Join(b.Connect(), b.Disconnect(), b.Connect()); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		testkit.Run(t, b)
		synctest.Wait()
		if !b.State().OK {
			t.Error("the request was lost")
		}
		if got := b.Address(); got != "nats://<secret>@host:1" {
			t.Errorf("address %q", got)
		}
	})
}
