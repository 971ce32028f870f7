package broker_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
)

// Faults: T6, Trap6.
func TestBrokerSubscribesOnceNATSAppears(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.New(t, nil)
	b, stop := startNATS(t, n.Address(), nil)
	got := make(chan string, 10)
	subscribe(t, b, "t", func(e broker.Event) error { got <- string(e.Message().Body); return nil })
	testkit.Eventually(t, 3*time.Second, "the reason is told", func() bool {
		s := b.State()
		return !s.OK && s.Reason == "broker nats at "+n.URL()+": connection refused"
	})
	if subs := b.Subscriptions(); len(subs) != 1 || subs[0].State.OK || subs[0].State.Reason == "" {
		t.Errorf("subscriptions of an absent server: %+v", subs)
	}
	n.Start()
	took := testkit.Eventually(t, 6*time.Second, "subscribed", func() bool {
		subs := b.Subscriptions()
		return subs[0].State.OK && b.State().OK
	})
	t.Logf("subscribed %v after the server appeared", took.Round(time.Millisecond))
	for i := range 10 {
		if err := b.Publish("t", message(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if body := <-got; body != strconv.Itoa(i) {
			t.Errorf("event %d: %q", i, body)
		}
	}
	if took := stop(); took > 2*time.Second {
		t.Errorf("stop took %v", took)
	}
}

// Faults: T6.
func TestStopWithoutNATSIsQuick(t *testing.T) {
	testkit.NoLeaks(t)
	b, stop := startNATS(t, natstest.New(t, nil).Address(), nil)
	subscribe(t, b, "t", ignoreEvent)
	<-time.After(700 * time.Millisecond)
	stopsWithin(t, 2*time.Second, b, stop)
}

// silentServer accepts connections and says nothing. It tells of each connection.
func silentServer(t *testing.T, accepted chan<- struct{}) (address string) {
	return testkit.ServeConns(t, func(c net.Conn) {
		accepted <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
}

// A server that accepts and says nothing holds the client's lock for its time-out.
// Faults: T6.
func TestFrozenNATSBlocksNothing(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	accepted := make(chan struct{}, 100)
	b, stop := startNATS(t, silentServer(t, accepted), nil)
	subscribe(t, b, "t", ignoreEvent)
	testkit.Eventually(t, 6*time.Second, "the state is not OK", func() bool { s := b.State(); return !s.OK && strings.Contains(s.Reason, "timeout") })
	<-accepted // the first attempt, which has failed
	<-accepted // and the next
	start := time.Now()
	_ = b.Publish("t", message("x"))
	if took := time.Since(start); took > 2500*time.Millisecond {
		t.Errorf("publish took %v", took)
	}
	<-accepted
	if took := stop(); took > 1900*time.Millisecond {
		t.Errorf("stop took %v", took)
	}
}

// Faults: T7, Trap6.
func TestEventsArriveAfterALongNATSOutage(t *testing.T) {
	testkit.SkipIfShort(t)
	// The default gives up after 60 attempts: with 10 to 20 ms between them that is
	// 1.2 s at most, as it is 2 min 6 s with the default's 2 s.
	wait := testkit.Scale(10*time.Millisecond, 2*time.Second)
	away := testkit.Scale(3*time.Second, 150*time.Second)
	n, b, _ := connectNATS(t, func(cfg *guardbroker.NATSConfig) { cfg.ReconnectWait = wait })
	n2 := countEvents(t, b, "t")
	n.Stop()
	testkit.Eventually(t, 5*time.Second, "the state tells", func() bool {
		return !b.State().OK && !b.Subscriptions()[0].State.OK
	})
	<-time.After(away)
	n.Start()
	took := awaitConnected(t, b, 6*time.Second)
	<-time.After(2*time.Second - min(took, 2*time.Second))
	sent := int64(0)
	publisher, _ := startNATS(t, n.Address(), nil)
	awaitConnected(t, publisher, 5*time.Second)
	for range 100 {
		if err := publisher.Publish("t", message("x")); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	testkit.Eventually(t, 5*time.Second, "100 of 100 events", func() bool { return n2.Load() == sent })
	t.Logf("away %v, connected %v after the return, %d of %d events", away, took.Round(time.Millisecond), n2.Load(), sent)
}

// Faults: T8.
func TestNATSRestartUnderLoadLosesNoState(t *testing.T) {
	testkit.SkipIfShort(t)
	const keys, rate = 100, 1000
	var mu sync.Mutex
	newest := make(map[int]int) // the subscriber's state: by key, as events came
	n, b, _ := connectNATS(t, nil)
	subscribe(t, b, "t", func(e broker.Event) error {
		var key, value int
		if _, err := fmt.Sscan(string(e.Message().Body), &key, &value); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		newest[key] = value
		return nil
	})
	awaitSubscribed(t, b)
	publisher, _ := startNATS(t, n.Address(), nil)
	awaitConnected(t, publisher, 5*time.Second)

	model := make(map[int]int)
	stop, done := make(chan struct{}), make(chan struct{})
	failed, sent := 0, 0
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second / (rate / 10))
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			for range 10 {
				key := sent % keys
				model[key] = sent
				if publisher.Publish("t", message(fmt.Sprint(key, " ", sent))) != nil {
					failed++
				}
				sent++
			}
		}
	}()
	<-time.After(time.Second)
	n.Stop()
	<-time.After(2 * time.Second)
	n.Start()
	back := max(awaitConnected(t, b, 6*time.Second), awaitConnected(t, publisher, 6*time.Second))
	<-time.After(time.Second) // ten publish intervals of each key
	close(stop)
	<-done
	testkit.Eventually(t, 5*time.Second, "the state is the model's", func() bool {
		mu.Lock()
		defer mu.Unlock()
		if len(newest) != keys {
			return false
		}
		for key, value := range model {
			if newest[key] != value {
				return false
			}
		}
		return true
	})
	t.Logf("%d events sent, %d failed to go out, %d received; both were back after %v",
		sent, failed, b.Stats().Received, back.Round(time.Millisecond))
}

// Faults: I8.
func TestNATSDropsOfASlowHandlerAreCounted(t *testing.T) {
	n, b, _ := connectNATS(t, nil)
	release := make(chan struct{})
	subscribe(t, b, "t", func(broker.Event) error { <-release; return nil })
	awaitSubscribed(t, b)
	raw, err := natsgo.Connect("nats://" + n.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	// The first holds the handler. 64 MiB may wait, and the rest are 90 MB, which are
	// no events, only because decoding them would take long.
	if err := raw.Publish("t", []byte(`{"Body":"eA=="}`)); err != nil {
		t.Fatal(err)
	}
	const sent = 300
	for range sent {
		if err := raw.Publish("t", make([]byte, 300_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := raw.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "drops are counted", func() bool { return b.Stats().Dropped > 50 })
	close(release)
	testkit.Eventually(t, 10*time.Second, "what was taken and what was dropped is all that was sent", func() bool {
		s := b.Stats()
		return s.Received == 1 && s.Refused+s.Dropped == sent
	})
	t.Logf("%d dropped of %d", b.Stats().Dropped, sent)
}
