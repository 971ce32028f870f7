package guard_test

import (
	"fmt"
	"testing"
	"time"

	"go-micro.dev/v4/broker"

	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

func TestTopicsDoNotMoveTheCatalog(t *testing.T) {
	testkit.SkipIfShort(t)
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	a := consultest.Start(t)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: a.Address()},
		guardregistry.Config{Heartbeat: 100 * time.Millisecond, Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := guardbroker.NewHTTP(guardbroker.HTTPConfig{
		Config:   guardbroker.Config{Logger: testkit.QuietLog()},
		Registry: r,
		Renew:    100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, r)
	stop := testkit.Run(t, b)
	for i := range 5 {
		if _, err := b.Subscribe(fmt.Sprint("topic-", i), func(broker.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Connect(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "five topics", func() bool { return len(a.Nodes("micro.http.broker")) == 5 })
	index := func() (health, catalog uint64) {
		_, h, err := a.Client().Health().Service("micro.http.broker", "", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := a.Client().Catalog().Service("micro.http.broker", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return h.LastIndex, c.LastIndex
	}
	// The passing checks of the last registration reach the catalog a moment later.
	health, catalog := index()
	testkit.Eventually(t, 10*time.Second, "the indexes come to rest", func() bool {
		<-time.After(300 * time.Millisecond)
		h, c := index()
		still := h == health && c == catalog
		health, catalog = h, c
		return still
	})
	<-time.After(3 * time.Second) // some thirty heartbeats of each topic
	if h, c := index(); h != health || c != catalog {
		t.Errorf("indexes moved: health %d to %d, catalog %d to %d", health, h, catalog, c)
	}
	if n := len(a.Nodes("micro.http.broker")); n != 5 {
		t.Errorf("%d topics are passing, want 5", n)
	}
	stop()
}
