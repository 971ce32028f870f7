package sample_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/internal/sample"
	"github.com/microhq/monitor-srv/internal/testkit"
	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestChecksAreTakenByAReporter(t *testing.T) {
	checks := sample.Checks()
	if err := health.NewReporter(nil).Add(checks...); err != nil {
		t.Fatal(err)
	}
	if len(checks) != 2 {
		t.Fatalf("%d checks, want ping and pong", len(checks))
	}
	if results, err := checks[0].Run(t.Context()); err != nil || results["foo"] != "bar" {
		t.Errorf("%s: %v, %v; want success", checks[0].ID, results, err)
	}
	if results, err := checks[1].Run(t.Context()); err == nil || results["stats"] != "NaN" {
		t.Errorf("%s: %v, %v; want failure", checks[1].ID, results, err)
	}
}

func TestReporterPublishesBothChecks(t *testing.T) {
	t.Parallel()
	published := make(chan string, 100)
	publisher := health.PublisherFunc(func(_ context.Context, topic string, msg proto.Message) error {
		if hc, ok := msg.(*healthpb.HealthCheck); ok {
			published <- hc.Service.Name + " " + hc.Service.Version + " " + hc.Id
		}
		return nil
	})
	r, err := sample.NewReporter(publisher, time.Minute, testkit.QuietLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	got := []string{<-published, <-published}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	slices.Sort(got)
	want := []string{"go-server 1.0.0 go.micro.healthcheck.ping", "go-server 1.0.0 go.micro.healthcheck.pong"}
	if !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
}
