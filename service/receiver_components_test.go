package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/delivery"
)

// Faults: U5.
func TestReceiversAreComponents(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	since := started.Add(time.Minute)
	well := delivery.ReceiverStatus{Name: "chat", Kind: "notify", OK: true, Since: started}
	failing := delivery.ReceiverStatus{
		Name: "ops", Kind: "mail", Since: since, Failures: 3, LastError: "connecting: refused", Pending: 2, Next: since.Add(time.Hour),
	}
	refused := delivery.ReceiverStatus{Name: "page", Kind: "http", Since: since, Failures: 1, LastError: "404 Not Found"}
	c := receiversComponent(func() []delivery.ReceiverStatus { return []delivery.ReceiverStatus{well, failing, refused} }, started)
	want := []string{
		"receiver chat true 03:00 ",
		"receiver ops false 03:01 mail (3 failed attempts): connecting: refused; 2 pending, next attempt at 2026-01-02T04:01:00Z",
		"receiver page false 03:01 http (1 failed attempt): 404 Not Found; 0 pending",
	}
	for i, got := range c.listed() {
		if text := fmt.Sprintf("%s %v %s %s", got.Name, got.OK, got.Since.Format("15:04"), got.Reason); text != want[i] || got.Needed {
			t.Errorf("got %s, want %s", text, want[i])
		}
	}
	if now := c.look(); now.OK || !now.Since.Equal(since) || !strings.HasPrefix(now.Reason, "ops: mail (3 failed attempts)") {
		t.Errorf("the sum is %+v", now)
	}
	if now := receiversCondition([]delivery.ReceiverStatus{well}, started); !now.OK || !now.Since.Equal(started) || now.Reason != "" {
		t.Errorf("with all well the sum is %+v", now)
	}
}

func TestManyReceiversAreListedIfTheyFail(t *testing.T) {
	t.Parallel()
	var all []delivery.ReceiverStatus
	for i := range 3 * maxListedReceivers {
		all = append(all, delivery.ReceiverStatus{Name: fmt.Sprint(i), OK: i%100 != 0})
	}
	if got := listReceivers(all); len(got) != 3 || got[1].Name != "receiver 100" {
		t.Errorf("listed %+v", got)
	}
	for i := range all {
		all[i].OK = false
	}
	if got := listReceivers(all); len(got) != maxListedReceivers {
		t.Errorf("%d are listed", len(got))
	}
}
