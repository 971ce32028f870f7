package store

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// flip makes n transitions of one check.
func flip(t testing.TB, s *Store, node string, n int) {
	t.Helper()
	for i := range n {
		mustPut(t, s, Accepted, check(node, "ping", int32(1+i%2), 0))
	}
}

func TestHistoryIsNewestFirstAndPages(t *testing.T) {
	s := still(Config{Transitions: 100})
	flip(t, s, "n", 60)
	flip(t, s, "m", 60)
	var seqs []int64
	for before := int64(0); ; {
		ts, more, oldest, err := s.History(TransitionQuery{Limit: 7}, before)
		if err != nil || oldest != s.started.UnixMicro()+21 {
			t.Fatalf("oldest %d, %v", oldest, err)
		}
		for _, x := range ts {
			seqs = append(seqs, x.Seq)
		}
		if !more {
			break
		}
		before = ts[len(ts)-1].Seq
	}
	if len(seqs) != 100 || seqs[0] != s.started.UnixMicro()+120 || seqs[99] != seqs[0]-99 {
		t.Fatalf("%d seqs from %d to %d", len(seqs), seqs[0], seqs[len(seqs)-1])
	}
	for _, tc := range []struct {
		q      TransitionQuery
		before int64
		n      int
		more   bool
	}{
		{TransitionQuery{Node: "n", Limit: 50}, 0, 40, false},
		{TransitionQuery{Node: "m", Limit: 50}, 0, 50, true},
		{TransitionQuery{Service: "a", ID: "ping", Node: "m"}, 0, 10, true},
		{TransitionQuery{Limit: 1000}, seqs[99], 0, false},
		{TransitionQuery{Limit: 1000}, 1, 0, false},
		{TransitionQuery{Limit: 1000}, math.MaxInt64, 100, false},
		{TransitionQuery{Limit: -1}, math.MinInt64, 10, true},
	} {
		ts, more, _, err := s.History(tc.q, tc.before)
		if len(ts) != tc.n || more != tc.more || err != nil {
			t.Errorf("%+v before %d: %d, more %t, %v, want %d, %t", tc.q, tc.before, len(ts), more, err, tc.n, tc.more)
		}
	}
	if _, _, _, err := s.History(TransitionQuery{Node: "x"}, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("history of an unknown node: %v", err)
	}
}

func TestAfterTellsGaps(t *testing.T) {
	s := still(Config{Transitions: 50})
	base := s.started.UnixMicro()
	if ts, next, gap := s.After(TransitionQuery{}, 0); len(ts) != 0 || next != base || gap {
		t.Errorf("an empty store: %d, next %d, gap %t", len(ts), next, gap)
	}
	if _, _, gap := s.After(TransitionQuery{}, base); gap {
		t.Error("a gap in an empty store")
	}
	flip(t, s, "n", 80) // seqs base+1 to base+80, of which the last 50 are held
	for _, tc := range []struct {
		since, first, next int64
		limit              int
		gap                bool
	}{
		{0, base + 31, base + 80, 100, false},
		{0, base + 31, base + 40, 10, false},
		{base + 30, base + 31, base + 80, 100, false},
		{base + 29, base + 31, base + 80, 100, true},
		{1, base + 31, base + 80, 100, true},
		{-5, base + 31, base + 80, 100, true},
		{base + 79, base + 80, base + 80, 100, false},
		{base + 80, 0, base + 80, 100, false},
		{base + 81, base + 31, base + 80, 100, true},
		{math.MaxInt64, base + 31, base + 40, 10, true},
	} {
		ts, next, gap := s.After(TransitionQuery{Limit: tc.limit}, tc.since)
		first := int64(0)
		for i, x := range ts {
			if i == 0 {
				first = x.Seq
			} else if x.Seq != ts[i-1].Seq+1 {
				t.Errorf("since base+%d: %d follows %d", tc.since-base, x.Seq, ts[i-1].Seq)
			}
		}
		if first != tc.first || next != tc.next || gap != tc.gap {
			t.Errorf("since base+%d: from base+%d, next base+%d, gap %t, want base+%d, base+%d, %t",
				tc.since-base, first-base, next-base, gap, tc.first-base, tc.next-base, tc.gap)
		}
	}
	if ts, next, _ := s.After(TransitionQuery{Node: "x"}, base+40); len(ts) != 0 || next != base+80 {
		t.Errorf("what is not selected is passed over: %d, next base+%d", len(ts), next-base)
	}
}

// TestSeqGrowsOverRestarts: a later run never gives a seq of an earlier one again.
func TestSeqGrowsOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := New(Config{})
		flip(t, first, "n", 5000)
		_, last, _ := first.After(TransitionQuery{}, math.MaxInt64-1)
		time.Sleep(time.Second)
		second := New(Config{})
		flip(t, second, "n", 1)
		ts, _, gap := second.After(TransitionQuery{}, last)
		if len(ts) != 1 || ts[0].Seq <= last || !gap {
			t.Errorf("after %d: %+v, gap %t", last, ts, gap)
		}
	})
}

// TestWait wakes all who wait, those who select nothing of it included, and costs
// nothing while nothing happens.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		flip(t, s, "n", 1)
		_, since, _ := s.After(TransitionQuery{}, 0)
		var woken atomic.Int32
		wait := testkit.Go(1000, func(int) {
			if err := s.Wait(t.Context(), since); err != nil {
				t.Error(err)
			}
			woken.Add(1)
		})
		time.Sleep(time.Hour)
		if n := woken.Load(); n != 0 {
			t.Fatalf("%d woke up for nothing", n)
		}
		flip(t, s, "n", 2)
		wait()

		_, since, _ = s.After(TransitionQuery{Limit: 1}, 0)
		for name, at := range map[string]int64{"something is there": since, "another run": math.MaxInt64, "nothing known": 0} {
			if err := s.Wait(t.Context(), at); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_, since, _ = s.After(TransitionQuery{}, 0)
		begin := time.Now()
		if err := s.Wait(ctx, since); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 4*time.Second {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		if err := New(Config{}).Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an empty store has news: %v", err)
		}
	})
}

// TestErrorsInTransitionsAreCut, between two characters.
func TestErrorsInTransitionsAreCut(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", maxError), strings.Repeat("ä", 40000), "x" + strings.Repeat("日本", 2000)} {
		s := still(Config{})
		mustPut(t, s, Accepted, check("n", "ping", failing, 0).saying("overwritten").saying(text))
		ts, _, _ := s.After(TransitionQuery{}, 0)
		got := ts[0].Error
		if !utf8.ValidString(got) || len(got) > maxError || len(text) <= maxError && got != text ||
			len(text) > maxError && (!strings.HasSuffix(got, "...") || !strings.HasPrefix(text, got[:len(got)-3]) || len(got) < maxError-4) {
			t.Errorf("%d bytes became %d: %.20q", len(text), len(got), got)
		}
	}
	for _, body := range []string{"\xff", "\x4a", "\x4a\x05a", "\x4a\x01a\x80", "\x48\x01\x4a\x01e"} {
		s := still(Config{})
		ev := check("n", "ping", failing, 0)
		ev.Body = []byte(body)
		mustPut(t, s, Accepted, ev) // must not panic
	}
}

// TestHistoryWhileTheRingTurns reads while records are overwritten.
func TestHistoryWhileTheRingTurns(t *testing.T) {
	s := still(Config{Transitions: 3 * maxScan})
	flip(t, s, "n", 3*maxScan)
	wait := testkit.Go(1, func(int) { flip(t, s, "n", 20000) })
	for range testkit.Fewer(200, 40) {
		ts, _, _ := s.After(TransitionQuery{Limit: MaxLimit, Node: "n"}, 0)
		down, _, _, err := s.History(TransitionQuery{Limit: MaxLimit, Node: "n"}, 0)
		if len(ts) != MaxLimit || len(down) != MaxLimit || err != nil {
			t.Fatalf("%d up, %d down, %v", len(ts), len(down), err)
		}
		for i := range MaxLimit - 1 {
			if ts[i].Seq >= ts[i+1].Seq || down[i].Seq <= down[i+1].Seq {
				t.Fatal("not in order")
			}
		}
	}
	wait()
}
