package delivery

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
)

// Init notifications are grouped, and never delay a failure that follows them.
func TestInitNotificationsAreGroupedAndDelayNoFailure(t *testing.T) {
	started := func(name string) action.Notification {
		return action.Notification{Monitor: name, Event: action.Init, Time: time.Now()}
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFake(true, func(context.Context, int, []action.Notification) error { return nil })
		d, _ := deliver(t, Options{})
		r := d.Add("r", f)
		messages := func() string {
			synctest.Wait()
			var all []string
			_, calls := f.taken()
			for _, c := range calls {
				all = append(all, fmt.Sprintf("%v %s", c.at, formatAll(c.notifications)))
			}
			return strings.Join(all, ", ")
		}
		r.Enqueue(started("a"))
		time.Sleep(2 * time.Second)
		r.Enqueue(started("b"))
		time.Sleep(20 * time.Second)
		if got := messages(); got != "10s init: init:" {
			t.Errorf("Init notifications only: %s", got)
		}
		r.Enqueue(fail("a", "1"))
		r.Enqueue(started("c"))
		time.Sleep(3 * time.Second)
		if got := messages(); got != "10s init: init:, 22s fail:1 init:" {
			t.Errorf("a failure: %s", got)
		}
		r.Enqueue(started("d"))
		time.Sleep(time.Second)
		r.Enqueue(recovery("a", "1"))
		time.Sleep(20 * time.Second)
		if got := messages(); got != "10s init: init:, 22s fail:1 init:, 32s init: recover:1" {
			t.Errorf("after a failure: %s", got)
		}
	})
}
