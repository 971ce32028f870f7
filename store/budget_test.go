package store

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	healthpb "github.com/microhq/monitor-srv/proto/health"
)

// fat returns a check whose body takes a little more than size bytes.
func fat(t *testing.T, id string, size int) *Event {
	t.Helper()
	body, err := proto.Marshal(&healthpb.HealthCheck{
		Results: map[string]string{"r": strings.Repeat("x", size)}, Error: strings.Repeat("é", 300),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Event{
		Kind: KindCheck, Service: []byte("s"), Version: []byte("1"), Node: []byte("n"), ID: []byte(id),
		Description: []byte("d"), Status: int32(healthpb.HealthCheck_ERROR), Interval: 10, TTL: 60, Body: body,
	}
}

// A flood of the largest checks cannot take more memory than the budget: new keys
// are refused, known ones are taken without their results, and what is missing
// makes room.
// Faults: A7.
func TestBytesOfTheStoreAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 100_000
		s := New(Config{MaxBytes: budget, Share: 1})
		taken := 0
		for i := range 100 {
			if s.Put(fat(t, fmt.Sprint(i), 5000)) == Accepted {
				taken++
			}
		}
		c := s.Counters()
		if taken < 15 || taken > 18 || c.Bytes > budget || c.Refused != uint64(100-taken) {
			t.Fatalf("%d taken, %+v", taken, c)
		}
		time.Sleep(2 * time.Second)
		if got := s.Put(fat(t, "0", 50_000)); got != Accepted {
			t.Fatalf("an update beyond the budget: %v", got)
		}
		page, err := s.Checks(Query{ID: "0"})
		if err != nil {
			t.Fatal(err)
		}
		hc := page.Items[0].Proto()
		if len(hc.Results) != 0 || hc.Status != healthpb.HealthCheck_ERROR || !strings.HasPrefix(hc.Error, "éé") || len(hc.Error) > maxBriefError {
			t.Errorf("kept %v", hc)
		}
		if c := s.Counters(); c.Trimmed != 1 || c.Bytes > budget {
			t.Errorf("%+v", c)
		}
		// Once they are missing they make room, and the sum comes down to nothing.
		time.Sleep(2 * time.Minute)
		if got := s.Put(fat(t, "new", 5000)); got != Accepted {
			t.Errorf("a new key while others are missing: %v", got)
		}
		time.Sleep(time.Hour)
		s.Counters() // judges, as Run would
		time.Sleep(72 * time.Hour)
		if c := s.Counters(); c.Bytes != 0 || c.Checks != 0 {
			t.Errorf("after all is forgotten: %+v", c)
		}
	})
}
