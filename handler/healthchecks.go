package handler

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// HealthChecks lists checks by service, version, node and id.
func (m *Monitor) HealthChecks(_ context.Context, req *monitorpb.HealthChecksRequest, rsp *HealthChecksResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	q, err := checkQuery(req)
	if err != nil {
		return rpcError(m.log, err)
	}
	page, err := fit(m.store.Checks, q, func(_ int, c store.Check) int { return c.Size() })
	if err != nil {
		return rpcError(m.log, err)
	}
	rsp.HealthChecks, rsp.Total, rsp.Cursor, rsp.More = page.Items, int64(page.Total), page.Next, page.Next != ""
	return nil
}

// HealthChecksResponse is a monitorpb.HealthChecksResponse that is encoded from the
// checks of the store, which costs a tenth of building and encoding messages. go-micro's
// codecs accept it as a message: those for protobuf call Marshal, those for JSON
// MarshalJSON. The registry describes it by its exported fields.
type HealthChecksResponse struct {
	HealthChecks []store.Check `json:"healthChecks"`
	Total        int64         `json:"total"`
	Cursor       string        `json:"cursor"`
	Instance     string        `json:"instance"`
	Started      int64         `json:"started"`
	More         bool          `json:"more"`
}

var _ protoadapt.MessageV1 = (*HealthChecksResponse)(nil)

// ProtoMessage marks r as a message for go-micro's codecs.
func (*HealthChecksResponse) ProtoMessage() {}

// Reset empties r.
func (r *HealthChecksResponse) Reset() { *r = HealthChecksResponse{} }

// String returns the fields of r.
func (r *HealthChecksResponse) String() string { return fmt.Sprint(*r) }

// size returns about how many bytes Marshal returns.
func (r *HealthChecksResponse) size() int {
	n := 256
	for _, c := range r.HealthChecks {
		n += c.Size()
	}
	return n
}

// Marshal encodes r as protobuf.
func (r *HealthChecksResponse) Marshal() ([]byte, error) {
	b := make([]byte, 0, r.size())
	for _, c := range r.HealthChecks {
		b = wire.AppendMessage(b, wire.HealthChecksResponseHealthChecks, c.AppendWire)
	}
	return proto.MarshalOptions{}.MarshalAppend(b, &monitorpb.HealthChecksResponse{
		Total: r.Total, Cursor: r.Cursor, Instance: r.Instance, Started: r.Started, More: r.More,
	})
}

// MarshalJSON encodes r as encoding/json encodes the message.
func (r *HealthChecksResponse) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2*r.size())
	b = append(b, '{')
	if len(r.HealthChecks) > 0 {
		b = append(b, `"healthChecks":[`...)
		for _, c := range r.HealthChecks {
			b = append(c.AppendJSON(b), ',')
		}
		b = wire.CloseJSON(b, "],")
	}
	b = wire.AppendJSONInt(b, "total", r.Total)
	b = wire.AppendJSONString(b, "cursor", r.Cursor)
	b = wire.AppendJSONString(b, "instance", r.Instance)
	b = wire.AppendJSONInt(b, "started", r.Started)
	b = wire.AppendJSONBool(b, "more", r.More)
	return wire.CloseJSON(b, "}"), nil
}
