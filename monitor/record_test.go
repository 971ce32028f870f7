package monitor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
)

func TestRecordsThatNoGroupWroteAreRefused(t *testing.T) {
	read := func(version int, text string) string {
		return fmt.Sprint(builtinGroup().ReadSnapshot(version, []byte(text)))
	}
	for _, c := range [][2]string{
		{`{"id":1`, "decoding the record of a monitor"},
		{`{"id":1,"name":"m","value":"x"}`, "decoding"},
		{`{"id":1,"name":""}`, "its name has 0 bytes"},
		{`{"id":0,"name":"m"}`, "negative"},
		{`{"id":1,"name":"m","state":4}`, "its state is 4"},
		{`{"id":1,"name":"m","streak":1001}`, "at most 1000"},
		{`{"id":1,"name":"m","failed":9223372036854775807}`, "too old"},
		{`{"id":1,"name":"m","filter":{"streak":-1}}`, "filter"},
		{`{"id":1,"name":"m","definition":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}`, "too long"},
	} {
		if got := read(SnapshotVersion, c[0]); !strings.Contains(got, c[1]) {
			t.Errorf("%s: %s, want %q", c[0], got, c[1])
		}
	}
	const whole = `{"id":1,"name":"m"}`
	if read(SnapshotVersion, whole) != "<nil>" || !strings.Contains(read(SnapshotVersion+1, whole), "version 2") {
		t.Error("a record is refused, or a newer one read")
	}
}

// What is recalled is cut to its bounds and holds nothing secret.
func TestRecordsHoldNoSecrets(t *testing.T) {
	withBench(t, func(t *testing.T, b *bench) {
		b.setProbe(func(context.Context, string) (probe.Result, error) {
			return probe.Result{Value: math.MaxFloat64, Detail: "seen"}, errors.New("an error\nof " + strings.Repeat("many ", 1000))
		})
		b.mustApply(t, monitorWithActions("m", inlineAction("canary-of-an-action"))+"[monitor.labels]\nkey = \"canary-of-a-label\"\n")
		time.Sleep(time.Minute)
		text := string(slices.Concat(snapshotOf(t, b.Group)...))
		if strings.Contains(text, "canary") || len(text) > 2<<10 || !strings.Contains(text, "an error of many") {
			t.Errorf("%d bytes: %s", len(text), text)
		}
	})
}

// BenchmarkSnapshot writes the records of 10,000 monitors, each with a full filter.
func BenchmarkSnapshot(b *testing.B) {
	g := builtinGroup()
	var all strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&all, "[[monitor]]\nname = \"m%d\"\n[monitor.probe]\ntype = \"tcp\"\naddress = \"127.0.0.1:1\"\n[monitor.filter]\ntype = \"average\"\n", i)
	}
	set, _ := Parse("a.toml", all.String())
	if problems := g.Apply(b.Context(), set, nil); len(problems) > 0 {
		b.Fatal(problems[0])
	}
	for _, r := range g.sorted() {
		for i := range 10 {
			r.pipeline.value.value(float64(i)*1.1, time.Now())
		}
	}
	bytes := 0
	testkit.MeasureCPU(b, func() {
		bytes = 0
		_ = g.WriteSnapshot(func(data []byte) error { bytes += len(data); return nil })
	})
	b.ReportMetric(float64(bytes)/10_000, "bytes/monitor")
}
