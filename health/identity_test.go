//go:build go1.25

package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-micro.dev/v4/client"
	"go-micro.dev/v4/server"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// parts is what a micro.Service is to a Reporter.
type parts struct {
	server server.Server
	client client.Client
}

func (p parts) Server() server.Server { return p.server }
func (p parts) Client() client.Client { return p.client }

func TestIdentityIsThatOfTheRegistry(t *testing.T) {
	s := server.NewServer(server.Name("before"), server.Metadata(map[string]string{"zone": "a"}))
	b := newFakeBroker()
	r := NewReporter(parts{s, nil}, WithPublisher(b), WithLogger(quiet))
	// As flags do after the reporter was made.
	if err := s.Init(server.Name("go-server"), server.Version("1.0.0"), server.Id("abc"), server.Advertise("10.1.1.1:99")); err != nil {
		t.Fatal(err)
	}
	mustStart(t, r)
	mustClose(t, r)
	statuses, _ := of[*healthpb.Status](b)
	want := &healthpb.Service{Name: "go-server", Version: "1.0.0", Nodes: []*healthpb.Node{{
		Id: "go-server-abc", Address: "10.1.1.1:99", Metadata: map[string]string{"zone": "a"},
	}}}
	wantMessage(t, "service", statuses[0].GetService(), want)
}

func TestAddressIsLearntOnceTheServerKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server.NewServer(server.Name("late"), server.Id("1"), server.Address("[::]:4711"))
		b := newFakeBroker()
		r := NewReporter(parts{s, nil}, WithPublisher(b), WithLogger(quiet))
		mustStart(t, r)
		time.Sleep(11 * time.Second)
		if err := s.Init(server.Advertise("10.1.1.1:4711")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		mustClose(t, r)
		statuses, _ := of[*healthpb.Status](b)
		var got []string
		for _, m := range statuses {
			got = append(got, m.GetService().GetNodes()[0].GetAddress())
		}
		if got[0] != "" || got[1] != "" || got[len(got)-1] != "10.1.1.1:4711" {
			t.Errorf("addresses %q, want none at first and 10.1.1.1:4711 at last", got)
		}
	})
}

// deafServer lets nobody read its options, as the stock one while it registers
// at a registry that hangs.
type deafServer struct {
	server.Server
	free chan struct{}
}

func (s deafServer) Options() server.Options {
	s.free <- struct{}{}
	defer func() { <-s.free }()
	return s.Server.Options()
}

func TestServerThatHangsStopsNeitherChecksNorClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := deafServer{server.NewServer(server.Name("deaf"), server.Address(":0")), make(chan struct{}, 1)}
		b := newFakeBroker()
		r := NewReporter(parts{s, nil}, WithPublisher(b), WithLogger(quiet))
		r.Check("a", "", fine)
		mustStart(t, r)
		s.free <- struct{}{}
		time.Sleep(60 * time.Second)
		if n := goroutines(); n != 3 {
			t.Errorf("%d goroutines, want the scheduler, the dispatcher and one that asks the server", n)
		}
		begin := time.Now()
		mustClose(t, r)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		<-s.free
		if checks, _ := b.checks("a"); len(checks) < 6 {
			t.Errorf("%d checks in 60 s, want 6 at least", len(checks))
		}
	})
}

func TestIdentityOfWrongBytesIsRefused(t *testing.T) {
	for _, test := range []struct {
		id   Identity
		want string
	}{
		{Identity{NodeID: "n"}, `name of the service "" must not be empty`},
		{Identity{Name: "a\nb", NodeID: "n"}, "has a control character"},
		{Identity{Name: "a", NodeID: "\xff"}, "is not valid UTF-8"},
		{Identity{Name: "a", NodeID: strings.Repeat("n", 257)}, "has 257 bytes, at most 256 are allowed"},
		{Identity{Name: "a", Version: strings.Repeat("v", 129), NodeID: "n"}, "has 129 bytes, at most 128 are allowed"},
	} {
		err := NewReporter(nil, WithIdentity(test.id), WithPublisher(newFakeBroker())).Start()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want it to say %q", test.id, err, test.want)
		}
	}
	if err := NewReporter(nil, WithIdentity(testIdentity)).Start(); err == nil || !strings.Contains(err.Error(), "no publisher") {
		t.Errorf("error %v, want it to miss the publisher", err)
	}
}
