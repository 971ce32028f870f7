package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go-micro.dev/v4/broker"
	"go-micro.dev/v4/registry"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

// olderEvents are the bodies that the publisher of 2019 sends, by content type. The one
// of protobuf is a HealthCheck with the id "x".
var olderEvents = map[string]string{
	"application/json":     `{"id":"x"}`,
	"application/protobuf": "\n\x01x",
}

// publishOlder publishes an event by go-micro v1.0.0.
func publishOlder(t *testing.T, agent *consultest.Agent, topic, contentType string) {
	t.Helper()
	cmd := exec.Command(testkit.Tool(t, "micro1", "MICRO1_BIN"), "publish", "-registry", agent.Address(), "-type", contentType, topic)
	cmd.Stdin = strings.NewReader(olderEvents[contentType])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// Faults: M1.
func TestPublishersOf2019AndOfTodayAreEachHeardOnce(t *testing.T) {
	testkit.SkipIfShort(t)
	agent := consultest.Start(t)
	b, _ := startHTTP(t, guardedConsul(t, agent), nil)
	got := make(chan string, 100)
	subscribe(t, b, "t.x", func(e broker.Event) error {
		m := e.Message()
		got <- fmt.Sprint(e.Topic(), " ", m.Header["Content-Type"], " ", m.Header["Micro-Topic"], m.Header[":topic"], " ", strings.TrimSpace(string(m.Body)))
		return nil
	})
	awaitSubscribed(t, b)
	testkit.Eventually(t, 10*time.Second, "registered for all publishers", func() bool {
		for _, name := range []string{"micro.http.broker", "topic:t.x", "t.x", "go.micro.http.broker"} {
			if len(agent.Nodes(name)) != 1 {
				return false
			}
		}
		return true
	})
	want := []string{"t.x application/json t.x today"}
	stock := stockBroker(t, consultest.Open(t, guardregistry.ConsulConfig{Address: agent.Address()}))
	if err := stock.Publish("t.x", message("today")); err != nil {
		t.Fatal(err)
	}
	for contentType, body := range olderEvents {
		publishOlder(t, agent, "t.x", contentType)
		want = append(want, fmt.Sprint("t.x ", contentType, " t.x ", strings.TrimSpace(body)))
	}
	testkit.Eventually(t, 10*time.Second, "three events", func() bool { return len(got) >= len(want) })
	<-time.After(500 * time.Millisecond) // for a second copy
	var all []string
	for len(got) > 0 {
		all = append(all, <-got)
	}
	slices.Sort(all)
	if slices.Sort(want); !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
}

// ids of messages differ each time.
var messageID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// recordOlder returns the request of the publisher of 2019, with the same id of message
// each time.
func recordOlder(t *testing.T, agent *consultest.Agent, contentType string) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reg := consultest.Open(t, guardregistry.ConsulConfig{Address: agent.Address()})
	service := &registry.Service{Name: "topic:t", Version: "ff.http.broadcast", Nodes: []*registry.Node{{Id: "ID", Address: l.Addr().String()}}}
	if err := reg.Register(service); err != nil {
		t.Fatal(err)
	}
	defer reg.Deregister(service)
	recorded := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var all bytes.Buffer
		buffer := make([]byte, 64<<10)
		for !bytes.Contains(all.Bytes(), []byte(`"}`)) {
			n, err := conn.Read(buffer)
			if err != nil {
				break
			}
			all.Write(buffer[:n])
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		recorded <- all.Bytes()
	}()
	publishOlder(t, agent, "t", contentType)
	request := bytes.ReplaceAll(<-recorded, []byte(l.Addr().String()), []byte("127.0.0.1:12345"))
	return messageID.ReplaceAll(request, []byte("00000000-0000-0000-0000-000000000000"))
}

func recordedRequest(contentType string) string {
	return "testdata/" + strings.TrimPrefix(contentType, "application/") + ".v1.0.0.http"
}

// Faults: M1.
func TestRecordedRequestsAreThoseOfTheProgramOf2019(t *testing.T) {
	testkit.SkipIfShort(t)
	agent := consultest.Start(t)
	for contentType := range olderEvents {
		got := recordOlder(t, agent, contentType)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(recordedRequest(contentType), got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(recordedRequest(contentType)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v\n got %q\nwant %q", err, got, want)
		}
	}
}

// nodesOf returns the nodes that a publisher finds in a service. Since v1.13 they have
// to name broker and topic.
func nodesOf(t *testing.T, reg registry.Registry, service, topic string, named bool) (nodes []*registry.Node) {
	t.Helper()
	services, err := reg.GetService(service)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		for _, n := range s.Nodes {
			if s.Version == "ff.http.broadcast" && (!named || n.Metadata["broker"] == "http" && n.Metadata["topic"] == topic) {
				nodes = append(nodes, n)
			}
		}
	}
	return nodes
}

// Each generation of publishers looks into one service, and the requests of 2015 to 2019
// are alike.
// Faults: M1.
func TestRecordedRequestsOfOlderPublishersAreEvents(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	b, stop := startHTTP(t, reg, nil)
	others := countEvents(t, b, "other")
	got := make(chan string, 10)
	subscribe(t, b, "t", func(e broker.Event) error { got <- string(e.Message().Body); return nil })
	awaitSubscribed(t, b)
	for _, generation := range []struct {
		service string
		named   bool
	}{{"topic:t", false}, {"t", true}, {"go.micro.http.broker", true}} {
		nodes := nodesOf(t, reg, generation.service, "t", generation.named)
		if len(nodes) != 1 || nodes[0].Address != b.Address() || nodes[0].Metadata["secure"] != "false" {
			t.Fatalf("%s: found %+v, want one node at %s", generation.service, nodes, b.Address())
		}
		for contentType, body := range olderEvents {
			recorded, err := os.ReadFile(recordedRequest(contentType))
			if err != nil {
				t.Fatal(err)
			}
			request := strings.Replace(string(recorded), "id=ID", "id="+nodes[0].Id, 1)
			if code := send(t, b, request); code != http.StatusOK {
				t.Errorf("%s %s: status %d", generation.service, contentType, code)
			}
			if heard := <-got; strings.TrimSpace(heard) != strings.TrimSpace(body) {
				t.Errorf("%s %s: got %q, want %q", generation.service, contentType, heard, body)
			}
		}
	}
	if len(got) != 0 || others.Load() != 0 {
		t.Errorf("%d events twice, %d events of the other topic", len(got), others.Load())
	}
	stop()
	if len(reg.Services) != 0 {
		t.Errorf("left in the registry: %v", reg.Services)
	}
}

// send sends the bytes of a request and returns the status.
func send(t *testing.T, b *guardbroker.Broker, request string) int {
	t.Helper()
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	path := strings.Fields(head)[1]
	return post(t, b, path, "application/json", strings.NewReader(body))
}

func TestOlderPathTakesTheTopicOfItsTime(t *testing.T) {
	b, id, n := startCounting(t, "t")
	for _, c := range []struct {
		path, header string
		status       int
		events       int64
	}{
		{"/_sub", `{":topic":"t"}`, 200, 1},
		{"/_sub", `{":topic":"t","Micro-Topic":"other"}`, 200, 1}, // sent through an exchange
		{"/_sub", `{"Micro-Topic":"t"}`, 200, 1},
		{"/_sub", `{":topic":"other"}`, 200, 0},
		{"/_sub", `{}`, 400, 0},
		{"/", `{":topic":"t"}`, 400, 0},
		{"/_sub/", `{":topic":"t"}`, 404, 0},
	} {
		before := n.Load()
		status := post(t, b, c.path+"?id="+id, "application/json", strings.NewReader(`{"Header":`+c.header+`,"Body":"eA=="}`))
		if got := n.Load() - before; status != c.status || got != c.events {
			t.Errorf("%s %s: status %d and %d events, want %d and %d", c.path, c.header, status, got, c.status, c.events)
		}
	}
}

// Faults: M1.
func TestSubscriptionHoldsWhereOlderRegistrationsAreDenied(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{ErrOf: func(call string) error {
		if strings.HasSuffix(call, ".v1.0") || strings.HasSuffix(call, ".v1.13") || strings.HasSuffix(call, ".v1.18") {
			return registrytest.ErrFake
		}
		return nil
	}}
	guarded := guardregistry.New(guardregistry.Config{Logger: testkit.QuietLog(), Open: func(context.Context) (registry.Registry, error) { return reg, nil }})
	testkit.Run(t, guarded)
	b, _ := startHTTP(t, guarded, nil)
	n := countEvents(t, b, "t")
	if err := b.Publish("t", message("x")); err != nil || n.Load() != 1 {
		t.Errorf("%v, %d events", err, n.Load())
	}
	testkit.Eventually(t, 5*time.Second, "the registry is available", func() bool { return guarded.State().OK })
	<-time.After(100 * time.Millisecond) // for the denied ones
	if s := guarded.State(); !s.OK {
		t.Errorf("the registry is not available: %+v", s)
	}
}

// mdnsRegistry is a Fake that says that it is go-micro's mdns registry.
type mdnsRegistry struct{ *registrytest.Fake }

func (mdnsRegistry) String() string { return "mdns" }

func TestOlderRegistrationsAreNotMadeOverMDNS(t *testing.T) {
	testkit.NoLeaks(t)
	reg := &registrytest.Fake{}
	b, _ := startHTTP(t, mdnsRegistry{reg}, nil)
	countEvents(t, b, "t")
	if len(reg.Services) != 1 {
		t.Errorf("%d registrations, want that of today only", len(reg.Services))
	}
}
