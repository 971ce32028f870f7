package service

import (
	"fmt"
	"time"

	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/text"
	"github.com/microhq/monitor-srv/web"
)

// maxListedReceivers bounds the receivers in /healthz. If there are more, it lists those
// that fail.
const maxListedReceivers = 100

// receiversComponent fails while a receiver of notifications does. /healthz lists each.
func receiversComponent(status func() []delivery.ReceiverStatus, started time.Time) component {
	return component{
		name: "receivers", description: "every receiver accepts notifications",
		look:   func() condition { return receiversCondition(status(), started) },
		listed: func() []web.Component { return listReceivers(status()) },
	}
}

// receiversCondition returns the condition of the first receiver that fails.
func receiversCondition(all []delivery.ReceiverStatus, started time.Time) condition {
	sum := condition{OK: true, Since: started}
	for _, r := range all {
		if !r.OK {
			return condition{Since: r.Since, Reason: r.Name + ": " + receiverReason(r)}
		}
		if r.LastFailure.After(sum.Since) && r.Since.After(sum.Since) {
			sum.Since = r.Since
		}
	}
	return sum
}

func listReceivers(all []delivery.ReceiverStatus) []web.Component {
	var list []web.Component
	for _, r := range all {
		if len(list) == maxListedReceivers || r.OK && len(all) > maxListedReceivers {
			continue
		}
		c := condition{OK: r.OK, Since: r.Since}
		if !r.OK {
			c.Reason = receiverReason(r)
		}
		list = append(list, c.named("receiver "+r.Name, false))
	}
	return list
}

// receiverReason says why a receiver fails, how much is pending and when it is tried
// again.
func receiverReason(r delivery.ReceiverStatus) string {
	next := ""
	if !r.Next.IsZero() {
		next = ", next attempt at " + r.Next.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s (%s): %s; %d pending%s", r.Kind, text.Count(r.Failures, "failed attempt"), r.LastError, r.Pending, next)
}
