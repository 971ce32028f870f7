package ingest

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// oldNode is the node that the events in testdata/publishers speak of.
const oldNode = "go.micro.srv.pong-8b1c1d6e-a7f9-11e6-80f5-76304dec7eb7"

var oldNames = map[store.Kind]string{
	store.KindCheck: "healthcheck", store.KindStatus: "status", store.KindStats: "stats",
}

// oldEvent returns the bytes of an event as the publishers of 2016 to 2018 sent
// it, with the content type.
func oldEvent(t testing.TB, kind store.Kind, json bool) (body []byte, contentType string) {
	t.Helper()
	name := "testdata/publishers/" + oldNames[kind]
	if json {
		b, err := os.ReadFile(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		return b, "application/json"
	}
	text, err := os.ReadFile(name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body = append(body, b...)
	}
	return body, "application/protobuf"
}

func oldService() *healthpb.Service {
	return &healthpb.Service{
		Name: "go.micro.srv.pong", Version: "1.0.0", Nodes: []*healthpb.Node{{Id: oldNode}},
	}
}

// oldMessage returns what those events say.
func oldMessage(kind store.Kind) proto.Message {
	switch kind {
	case store.KindCheck:
		return &healthpb.HealthCheck{
			Id: "go.micro.healthcheck.pong", Description: "This is a pong healthcheck",
			Timestamp: 1478822400, Interval: 60, Ttl: 3600,
			Service: oldService(),
			Status:  healthpb.HealthCheck_ERROR,
			Results: map[string]string{
				"foo": "ugh", "label": "", "metric": "-0.0001", "msg": "a failed check", "stats": "NaN",
			},
			Error: "Unknown exception",
		}
	case store.KindStatus:
		return &healthpb.Status{
			Service: oldService(), Status: healthpb.Status_RUNNING,
			Timestamp: 1478822400, Interval: 60, Ttl: 3600,
		}
	}
	return &healthpb.Stats{
		Service: oldService(), Timestamp: 1478822400, Interval: 60, Ttl: 3600,
		Cpu:     &healthpb.CPU{UserTime: 120000000, SystemTime: 40000000, VolCtxSwitch: 512, InvCtxSwitch: 3},
		Memory:  &healthpb.Memory{MaxRss: 14336},
		Disk:    &healthpb.Disk{OuBlock: 8},
		Runtime: &healthpb.Runtime{NumThreads: 14, HeapTotal: 5242880, HeapInUse: 2097152},
		Endpoints: []*healthpb.Endpoint{{
			Service: "go.micro.srv.pong", Method: "Pong.Ping",
			Errors:  &healthpb.Metrics{Count: 1, Mean: 1.5e6, Upper95: 1.5e6},
			Success: &healthpb.Metrics{Count: 41, Mean: 2.25e6, StdDev: 5e5, Upper95: 3e6},
			Dropped: &healthpb.Metrics{},
		}},
	}
}

func TestEventsOfOldPublishersAreTaken(t *testing.T) {
	for _, kind := range kinds {
		for _, json := range []bool{false, true} {
			body, ct := oldEvent(t, kind, json)
			d := newDecoder()
			if rej := d.decodeMessage(kind, map[string]string{"Content-Type": ct}, body); rej.reason != accepted {
				t.Errorf("%s as %s: %v", oldNames[kind], ct, rej)
				continue
			}
			if d.repairs != 0 {
				t.Errorf("%s as %s: repairs %b", oldNames[kind], ct, d.repairs)
			}
			if diff := cmp.Diff(oldMessage(kind), message(t, &d.event), protocmp.Transform()); diff != "" {
				t.Errorf("%s as %s (-want +got):\n%s", oldNames[kind], ct, diff)
			}
		}
	}
}
