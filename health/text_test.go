//go:build go1.25

package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

func TestClip(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
		cut   bool
	}{
		{"", 10, "", false},
		{"0123456789", 10, "0123456789", false},
		{"0123456789a", 10, "0123456…", true},
		{"ab\xffcd", 10, "ab\uFFFDcd", true},
		{"012345678\xff", 10, "0123456…", true},
		{"01234ééé", 10, "01234é…", true},
		{"012345ééé", 10, "012345…", true},
		{"0123456\xe2\x82", 10, "0123456\uFFFD", true},
		{strings.Repeat("\xff", 20), 10, "\uFFFD…", true},
		{"日本語日本語", 10, "日本…", true},
		{"abcdef", 3, "…", true},
		{"abcdef", 2, "", true},
	} {
		got, cut := truncate(test.in, test.limit)
		if got != test.want || cut != test.cut {
			t.Errorf("truncate(%q, %d) = %q, %v; want %q, %v", test.in, test.limit, got, cut, test.want, test.cut)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("0123456\xe2\x82 text", 9)
	f.Add("日本語", 4)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit &= 0xffff
		got, cut := truncate(s, limit)
		if !utf8.ValidString(got) || len(got) > limit {
			t.Errorf("truncate(%q, %d) = %q", s, limit, got)
		}
		if cut == (got == s) {
			t.Errorf("truncate(%q, %d) = %q says %v", s, limit, got, cut)
		}
		if again, cutAgain := truncate(got, limit); again != got || cutAgain {
			t.Errorf("truncate of %q is %q", got, again)
		}
	})
}

func TestClipResults(t *testing.T) {
	many := map[string]string{}
	for i := range 100 {
		many[fmt.Sprintf("key%03d", i)] = "v"
	}
	got, cut := truncateResults(many)
	if len(got) != MaxResults || !cut || got["key062"] != "v" || got[CutMark] != "37 more left out" {
		t.Errorf("of 100 pairs %d were kept, cut %v, mark %q", len(got), cut, got[CutMark])
	}

	long := map[string]string{strings.Repeat("k", 200): "a", strings.Repeat("k", 201): "b", "v": strings.Repeat("x", 5000), "\xff": "\xfe"}
	got, cut = truncateResults(long)
	want := map[string]string{
		strings.Repeat("k", 125) + "…": "a",
		"v":                            strings.Repeat("x", 4093) + "…",
		"\uFFFD":                       "\uFFFD",
		CutMark:                        "1 more left out",
	}
	if !maps.Equal(got, want) || !cut {
		t.Errorf("results %.200q, cut %v, want %.200q", got, cut, want)
	}

	big := map[string]string{}
	for i := range 64 {
		big[fmt.Sprintf("%02d%s", i, strings.Repeat("k", 126))] = strings.Repeat("é", 2048)
	}
	got, cut = truncateResults(big)
	total := 0
	for k, v := range got {
		total += len(k) + len(v)
	}
	if total > MaxResultsTotal || total < MaxResultsTotal-300 || !cut || len(got) > MaxResults {
		t.Errorf("%d pairs of %d bytes, want at most 64 of at most %d", len(got), total, MaxResultsTotal)
	}

	small := map[string]string{"a": "b"}
	got, cut = truncateResults(small)
	small["a"] = "changed"
	if got["a"] != "b" || cut {
		t.Errorf("got %v, cut %v; want a copy", got, cut)
	}
	if got, cut := truncateResults(nil); got != nil || cut {
		t.Errorf("got %v of nothing", got)
	}
}

// Faults: T62.
func TestLargestCheckFitsInAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBroker()
		id := Identity{
			Name: strings.Repeat("s", MaxServiceName), Version: strings.Repeat("v", MaxVersion), NodeID: strings.Repeat("n", MaxNodeID),
			Metadata: map[string]string{"a\xff": strings.Repeat("m", 100000)},
		}
		r := newTestReporter(b, WithIdentity(id), WithInfo(strings.Repeat("\xff", 100000)))
		checkID := strings.Repeat("c", MaxCheckID)
		r.Check(checkID, strings.Repeat("d\xff", 100000), func(context.Context) (map[string]string, error) {
			results := map[string]string{}
			for i := range 10000 {
				results[fmt.Sprint(i, "\xff", strings.Repeat("k", 1000))] = strings.Repeat("v\xff", 10000)
			}
			return results, errors.New(strings.Repeat("e\xff", 10<<20))
		})
		mustStart(t, r)
		time.Sleep(2 * time.Second)
		mustClose(t, r)
		checks, _ := b.checks(checkID)
		if len(checks) != 1 {
			t.Fatalf("%d checks", len(checks))
		}
		for _, s := range b.all() {
			wire, err := proto.Marshal(s.msg)
			if err != nil {
				t.Errorf("%s: %v", s.topic, err)
			}
			if len(wire) > MaxEventSize {
				t.Errorf("%s: %d bytes", s.topic, len(wire))
			}
		}
		c := checks[0]
		if len(c.GetError()) > MaxText || len(c.GetDescription()) > MaxText || !strings.HasSuffix(c.GetError(), CutMark) {
			t.Errorf("error of %d bytes, description of %d", len(c.GetError()), len(c.GetDescription()))
		}
		statuses, _ := of[*healthpb.Status](b)
		if info := statuses[0].GetInfo(); len(info) > MaxText || !strings.HasSuffix(info, CutMark) {
			t.Errorf("info of %d bytes", len(info))
		}
		if n := r.Counters().Cut; n < 2 {
			t.Errorf("counted %d cut events", n)
		}
	})
}
