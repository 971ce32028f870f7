package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"go-micro.dev/v4/broker"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/service"
)

// The fleet of the bus tests.
const (
	fleetServices = 20
	fleetNodes    = 10 // of each service
	fleetChecks   = 10 // of each node
	fleetSize     = fleetServices * fleetNodes * fleetChecks
)

// fleetCheck is check n of the fleet in round r; each fifth fails.
func fleetCheck(n, r int) *healthpb.HealthCheck {
	node, service := n/fleetChecks, n/fleetChecks/fleetNodes
	hc := &healthpb.HealthCheck{
		Id:          fmt.Sprintf("check.%d", n%fleetChecks),
		Description: "one of many",
		Timestamp:   time.Now().Unix() - 100 + int64(r),
		Interval:    60,
		Ttl:         3600,
		Service: &healthpb.Service{
			Name:    fmt.Sprintf("fleet.%02d", service),
			Version: "1.0.0",
			Nodes:   []*healthpb.Node{{Id: fmt.Sprintf("node-%03d", node)}},
		},
		Status:  healthpb.HealthCheck_OK,
		Results: map[string]string{"number": fmt.Sprint(n), "round": fmt.Sprint(r)},
	}
	if n%5 == 0 {
		hc.Status, hc.Error = healthpb.HealthCheck_ERROR, fmt.Sprintf("broken %d", n)
	}
	return hc
}

// publishFleet publishes rounds of the whole fleet at a rate per second.
func publishFleet(t *testing.T, b broker.Broker, rounds, rate int) {
	t.Helper()
	began := time.Now()
	for i := range rounds * fleetSize {
		body, err := proto.Marshal(fleetCheck(i%fleetSize, i/fleetSize))
		if err != nil {
			t.Fatal(err)
		}
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		msg := &broker.Message{Header: map[string]string{
			"Content-Type": "application/protobuf", "Micro-Topic": health.TopicHealthCheck,
		}, Body: body}
		if err := b.Publish(health.TopicHealthCheck, msg); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	n, took := rounds*fleetSize, time.Since(began)
	t.Logf("%d events in %v: %.0f/s", n, took, float64(n)/took.Seconds())
}

// wantFleet waits until the instance answers with every check of the fleet as
// it was published last.
func wantFleet(t *testing.T, m *subject, round int) {
	t.Helper()
	newest := func() int {
		n, cursor := 0, ""
		for {
			a := m.checks(fmt.Sprintf(`{"limit": 1000, "cursor": %q}`, cursor))
			for _, c := range a.HealthChecks {
				if strings.HasPrefix(c.Service.Name, "fleet.") && c.Results["round"] == fmt.Sprint(round) {
					n++
				}
			}
			if cursor = a.Cursor; cursor == "" {
				return n
			}
		}
	}
	testkit.Eventually(t, ample, fmt.Sprintf("%d checks of round %d are there", fleetSize, round), func() bool { return newest() == fleetSize })
	for service := range fleetServices {
		a := m.checks(fmt.Sprintf(`{"service": "fleet.%02d", "limit": 1000}`, service))
		if len(a.HealthChecks) != fleetNodes*fleetChecks || a.Total != fleetNodes*fleetChecks {
			t.Fatalf("service %d has %d checks of %d", service, len(a.HealthChecks), a.Total)
		}
		for i, c := range a.HealthChecks {
			want := fleetCheck(service*fleetNodes*fleetChecks+i, round)
			if c.ID != want.Id || c.Service.ID != want.Service.Nodes[0].Id || c.Status != int(want.Status) || c.Error != want.Error || c.Results["number"] != want.Results["number"] {
				t.Fatalf("got %+v, want %v", c, want)
			}
		}
	}
	failing := 0
	for _, c := range m.checks(`{"status": 2, "limit": 1000}`).HealthChecks {
		if strings.HasPrefix(c.Service.Name, "fleet.") {
			failing++
		}
	}
	if failing != fleetSize/5 {
		t.Errorf("%d checks fail, want %d", failing, fleetSize/5)
	}
}

// publisherOn returns a broker of the kind that the instance uses.
func publisherOn(t *testing.T, kind, registryAddress, brokerAddress string) broker.Broker {
	t.Helper()
	log := testkit.QuietLog()
	reg, err := service.NewRegistry(service.RegistryConfig{Name: "consul", Address: registryAddress}, 5*time.Second, log)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, reg)
	b, err := service.NewBroker(service.BrokerConfig{Name: kind, Address: brokerAddress}, "publisher-1", reg, log)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, b)
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Disconnect() })
	testkit.Eventually(t, ample, "the publisher is connected", func() bool { return b.State().OK && reg.State().OK })
	return b
}

func TestFleetOverHTTPBroker(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	testkit.Eventually(t, ample, "the subscriptions are in Consul", func() bool {
		return len(c.Nodes("micro.http.broker")) == 3
	})
	b := publisherOn(t, "http", c.Address(), "")
	publishFleet(t, b, 1, 200)
	wantFleet(t, m, 0)
}

func TestFleetOverNATS(t *testing.T) {
	testkit.SkipIfShort(t)
	t.Parallel()
	c := consultest.Start(t)
	address := natstest.Start(t, nil).Address()
	m := startMonitor(t, "--registry_address", c.Address(), "--broker", "nats", "--broker_address", address)
	m.ready(ample)
	b := publisherOn(t, "nats", c.Address(), address)
	publishFleet(t, b, 20, 20_000)
	wantFleet(t, m, 19)
}

// Without the NATS server the instance runs and says what is missing; it
// hears once the server appears.
// Faults: T6.
func TestInstanceStartsWithoutNATS(t *testing.T) {
	t.Parallel()
	c := consultest.Start(t)
	server := natstest.New(t, func(o *natsserver.Options) { o.Username, o.Password = "monitor", "hunter2" })
	address := "nats://monitor:hunter2@" + server.Address()
	m := startMonitor(t, "--registry_address", c.Address(), "--broker", "nats", "--broker_address", address)
	testkit.Eventually(t, ample, "/healthz answers", func() bool { code, _ := m.ask("/healthz"); return code == 200 })
	testkit.Eventually(t, ample, "RPC answers", func() bool { return m.call("Monitor.Services", "{}", &answer{}) == nil })
	if code, report := m.ask("/readyz"); code != 503 || report.Status != "not ready" || m.component("broker").OK {
		t.Errorf("/readyz is %d %q, the broker %+v", code, report.Status, m.component("broker"))
	}
	if got, want := m.component("broker").Reason, "broker nats at nats://<secret>@"+server.Address()+": connection refused"; got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
	if log := m.output(); strings.Contains(log, "hunter2") || strings.Contains(log, "Connected to nats") || strings.Contains(log, "is connected") {
		t.Errorf("the log shows the password or a connection:\n%s", log)
	}
	server.Start()
	m.ready(6 * time.Second)
	b := publisherOn(t, "nats", c.Address(), address)
	publishFleet(t, b, 1, 20_000)
	wantFleet(t, m, 0)
	m.stopsInOrder(t)
}

// The reason of a component is shown in /healthz; it must not hold the password.
// Faults: T44, I10.
func TestSecretsOfTheBrokerAreNotShown(t *testing.T) {
	t.Parallel()
	address := testkit.FreeAddress(t)
	m := startMonitor(t, "--registry", "memory", "--broker", "nats", "--broker_address", "nats://user:hunter2@"+address)
	testkit.Eventually(t, ample, "/healthz says why", func() bool { return m.component("broker").Reason != "" })
	if _, report := m.ask("/healthz"); strings.Contains(fmt.Sprint(report)+m.output(), "hunter2") {
		t.Error("the password is shown")
	}
}

// olderProgram publishes an event by go-micro v1.0.0.
func olderProgram(t *testing.T, registryAddress, contentType string, body []byte) {
	t.Helper()
	cmd := exec.Command(testkit.Tool(t, "micro1", "MICRO1_BIN"), "publish", "-registry", registryAddress, "-type", contentType, health.TopicHealthCheck)
	cmd.Stdin = bytes.NewReader(body)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// A service on go-micro of 2019 is seen, and what it publishes both in its way and in
// that of today counts once.
// Faults: M1.
func TestServiceOf2019IsSeenOverTheHTTPBroker(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	for _, name := range []string{"micro.http.broker", "topic:" + health.TopicHealthCheck} {
		testkit.Eventually(t, ample, name+" is in Consul", func() bool { return len(c.Nodes(name)) > 0 })
	}
	older := fleetCheck(0, 0)
	older.Status, older.Error = healthpb.HealthCheck_OK, ""
	body, err := protojson.Marshal(older)
	if err != nil {
		t.Fatal(err)
	}
	olderProgram(t, c.Address(), "application/json", body)
	query := fmt.Sprintf(`{"service": %q, "id": %q}`, older.Service.Name, older.Id)
	testkit.Eventually(t, ample, "the check of JSON is OK", func() bool {
		a := m.checks(query)
		return a.Total == 1 && a.HealthChecks[0].Status == int(healthpb.HealthCheck_OK)
	})
	older.Status, older.Error, older.Timestamp = healthpb.HealthCheck_ERROR, "broken", older.Timestamp+1
	if body, err = proto.Marshal(older); err != nil {
		t.Fatal(err)
	}
	b := publisherOn(t, "http", c.Address(), "")
	for range 2 {
		olderProgram(t, c.Address(), "application/protobuf", body)
		msg := &broker.Message{Header: map[string]string{"Content-Type": "application/protobuf"}, Body: body}
		if err := b.Publish(health.TopicHealthCheck, msg); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, ample, "the check of protobuf is ERROR", func() bool {
		a := m.checks(query)
		return a.Total == 1 && a.HealthChecks[0].Status == int(healthpb.HealthCheck_ERROR) && a.HealthChecks[0].Error == "broken"
	})
	var history struct {
		Transitions []struct{ To string }
	}
	if err := m.call("Monitor.History", query, &history); err != nil || len(history.Transitions) != 2 {
		t.Errorf("%v: transitions %+v, want two", err, history.Transitions)
	}
}

// Faults: S5.
func TestIdleConnectionsToTheBrokerShutNobodyOut(t *testing.T) {
	testkit.SkipIfShort(t)
	c, m := startWithConsul(t)
	const name, most = "micro.http.broker", 4096
	testkit.Eventually(t, ample, "the subscriptions are in Consul", func() bool { return len(c.Nodes(name)) == 3 })
	entries, _, err := c.Client().Health().Service(name, "", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort(entries[0].Service.Address, strconv.Itoa(entries[0].Service.Port))
	greedy := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for i := range most + 100 {
		conn, err := greedy.Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	testkit.Eventually(t, ample, "the component says full", func() bool {
		return strings.HasPrefix(m.component("connections").Reason, "the broker port is full: 4096 of 4096 connections are open, ")
	})
	publishFleet(t, publisherOn(t, "http", c.Address(), ""), 1, 500)
	wantFleet(t, m, 0)
	if b := m.component("broker"); !b.OK {
		t.Errorf("the broker: %+v", b)
	}
	m.stopsInOrder(t)
}
