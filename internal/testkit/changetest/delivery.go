package changetest

import (
	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/delivery"
	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/service/receivers"
)

// Delivery returns a delivery with the built-in kinds of actions that does not run.
func Delivery() monitor.Delivery {
	return receivers.New(delivery.NewDeliverer(delivery.Options{}), action.Builtin(), action.Env{})
}
