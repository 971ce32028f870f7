package broker_test

import (
	"bytes"
	"os"
	"reflect"
	"testing"
	"time"

	natsplugin "github.com/go-micro/plugins/v4/broker/nats"
	natsgo "github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
)

// wireEvents are events whose messages testdata holds, a line each, as go-micro's NATS
// plugin v1.2.0 sends them.
var wireEvents = []broker.Message{
	{Header: map[string]string{"Micro-Topic": "t"}},
	{Header: map[string]string{"Micro-Topic": "t"}, Body: []byte{}},
	{Header: map[string]string{"Micro-Topic": "t", "Content-Type": "application/protobuf"}, Body: []byte("\x00\x01\xfe\xff\n\r")},
	{Header: map[string]string{"Micro-Topic": "t", "b": "<&>\u2028\"", "ä": "\xff"}, Body: []byte(`{"id":"x"}`)},
}

const wireFile = "testdata/nats.v1.2.0.jsonl"

// connectPlugin connects go-micro's NATS plugin.
func connectPlugin(t *testing.T, n *natstest.Server) broker.Broker {
	t.Helper()
	b := natsplugin.NewBroker(broker.Addrs(n.Address()))
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	return b
}

// connectRaw connects a client of nats.go.
func connectRaw(t *testing.T, n *natstest.Server) *natsgo.Conn {
	t.Helper()
	conn, err := natsgo.Connect(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func TestNATSMessagesAreThoseOfThePlugin(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, nil)
	raw := connectRaw(t, n)
	messages, err := raw.SubscribeSync("t")
	if err == nil {
		err = raw.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	plugin := connectPlugin(t, n)
	b, _ := startNATS(t, n.Address(), nil)
	awaitConnected(t, b, 5*time.Second)
	var lines [2]bytes.Buffer
	for i, publisher := range []broker.Broker{plugin, b} {
		for _, e := range wireEvents {
			if err := publisher.Publish("t", &e); err != nil {
				t.Fatal(err)
			}
			m, err := messages.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			lines[i].Write(append(m.Data, '\n'))
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(wireFile, lines[0].Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(wireFile)
	if err != nil || !bytes.Equal(lines[0].Bytes(), want) {
		t.Errorf("the plugin, %v:\n got %q\nwant %q", err, lines[0].Bytes(), want)
	}
	if !bytes.Equal(lines[1].Bytes(), want) {
		t.Errorf("ours:\n got %q\nwant %q", lines[1].Bytes(), want)
	}
}

func TestNATSMessagesAreReadAsThePluginReadsThem(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, nil)
	plugin := connectPlugin(t, n)
	b, _ := startNATS(t, n.Address(), nil)
	awaitConnected(t, b, 5*time.Second)
	type read struct {
		topic string
		m     broker.Message
	}
	var got [2]chan read
	for i, subscriber := range []broker.Broker{plugin, b} {
		got[i] = make(chan read, 10)
		if _, err := subscriber.Subscribe("t", func(e broker.Event) error { got[i] <- read{e.Topic(), *e.Message()}; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	awaitSubscribed(t, b)
	recorded, err := os.ReadFile(wireFile)
	if err != nil {
		t.Fatal(err)
	}
	raw := connectRaw(t, n)
	for _, line := range append(bytes.Split(bytes.TrimSpace(recorded), []byte("\n")), []byte("null"), []byte(`{"header":{"k":"v"},"BODY":"eA==","other":1}`)) {
		if err := raw.Publish("t", line); err != nil {
			t.Fatal(err)
		}
		if theirs, ours := <-got[0], <-got[1]; !reflect.DeepEqual(theirs, ours) {
			t.Errorf("%s: the plugin read %q, ours %q", line, theirs, ours)
		}
	}
}
