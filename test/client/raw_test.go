package client_test

import (
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	natsbroker "github.com/go-micro/plugins/v4/broker/nats"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// bodyOfTheDocs is what the script of docs/publishing.md sends.
func bodyOfTheDocs(t *testing.T) []byte {
	t.Helper()
	script := regexp.MustCompile("(?ms)^```sh\n(event=.*?)^```$").FindStringSubmatch(page(t))
	if script == nil {
		t.Fatal("docs/publishing.md has no script that makes an event")
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-euc", script[1]+`printf %s "$body"`).Output()
	if err != nil {
		t.Fatalf("the script fails: %v", err)
	}
	return out
}

// compareRaw holds what came over a broker against the event of the docs.
func compareRaw(t *testing.T, heard <-chan *broker.Message) {
	t.Helper()
	select {
	case m := <-heard:
		if ct := m.Header["Content-Type"]; ct != "application/json" {
			t.Errorf("content type %q", ct)
		}
		var got healthpb.HealthCheck
		if err := protojson.Unmarshal(m.Body, &got); err != nil {
			t.Fatalf("body %q: %v", m.Body, err)
		}
		want := &healthpb.HealthCheck{
			Id: "backup.nightly", Description: "the backup of last night is there", Timestamp: got.GetTimestamp(),
			Interval: 3600, Ttl: 86400, Status: health.CheckOK, Results: map[string]string{"bytes": "52428800"},
			Service: &healthpb.Service{Name: "backup", Version: "1", Nodes: []*healthpb.Node{{Id: "backup-host7"}}},
		}
		if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
			t.Errorf("check (-want +got):\n%s", diff)
		}
		if age := time.Since(time.Unix(got.GetTimestamp(), 0)); age < -time.Second || age > time.Minute {
			t.Errorf("timestamp is %v old", age)
		}
	case <-time.After(patience):
		t.Fatal("the event does not arrive")
	}
}

func subscribeRaw(t *testing.T, b broker.Broker) <-chan *broker.Message {
	t.Helper()
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	heard := make(chan *broker.Message, 1000)
	sub, err := b.Subscribe(health.TopicHealthCheck, func(e broker.Event) error { heard <- e.Message(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return heard
}

func TestRawEventOfTheDocsOverNATS(t *testing.T) {
	server := natstest.Start(t, nil).URL()
	heard := subscribeRaw(t, natsbroker.NewBroker(broker.Addrs(server)))
	conn, err := nats.Connect(server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The subscriber's subscription may still be on its way to the server.
	deadline := time.Now().Add(patience)
	for len(heard) == 0 && time.Now().Before(deadline) {
		if err := conn.Publish(health.TopicHealthCheck, bodyOfTheDocs(t)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	compareRaw(t, heard)
}

func TestRawEventOfTheDocsOverTheHTTPBroker(t *testing.T) {
	reg := registry.NewMemoryRegistry()
	heard := subscribeRaw(t, broker.NewBroker(broker.Registry(reg), broker.Addrs("127.0.0.1:0")))
	services, err := reg.GetService("micro.http.broker")
	if err != nil || len(services) != 1 || len(services[0].Nodes) != 1 {
		t.Fatalf("the registry knows %v (%v), want one subscriber", services, err)
	}
	node := services[0].Nodes[0]
	if !strings.HasPrefix(node.Id, health.TopicHealthCheck+"-") {
		t.Errorf("the subscriber's id is %q, want it to begin with the topic as the docs rely on", node.Id)
	}
	to := "http://" + node.Address + "/?id=" + url.QueryEscape(node.Id)
	client := &http.Client{Timeout: patience}
	res, err := client.Post(to, "application/json", strings.NewReader(string(bodyOfTheDocs(t))))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	client.CloseIdleConnections()
	compareRaw(t, heard)
}
