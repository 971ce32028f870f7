package sample_test

import (
	"testing"

	"github.com/microhq/monitor-srv/examples/pingpong/sample"
	"github.com/microhq/monitor-srv/health"
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
