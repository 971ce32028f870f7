package handler

import (
	"bytes"
	"context"

	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// HealthChecks lists checks by service, version, node and id.
func (m *Monitor) HealthChecks(ctx context.Context, req *monitorpb.HealthChecksRequest, rsp *monitorpb.HealthChecksResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	q, err := checkQuery(req)
	if err != nil {
		return fail(m.log, err)
	}
	page, err := m.store.Checks(q)
	if err != nil {
		return fail(m.log, err)
	}
	rsp.Total, rsp.Cursor = int64(page.Total), page.Next
	if takesWire(ctx, req) {
		b := make([]byte, 0, len(page.Items)*checkSize)
		rsp.ProtoReflect().SetUnknown(appendChecks(b, page.Items))
		return nil
	}
	for _, c := range page.Items {
		rsp.HealthChecks = append(rsp.HealthChecks, c.Proto())
	}
	return nil
}

// checkSize is about what a check with a few results takes on the wire.
const checkSize = 384

// checksField is the number of healthChecks in the answer.
const checksField = 1

// appendChecks appends the checks as they stand in the answer. What the store
// holds is nearly that already, so that an answer costs a tenth of what building
// and encoding messages would.
func appendChecks(b []byte, checks []store.Check) []byte {
	for _, c := range checks {
		b = appendMessage(b, checksField, c.AppendWire)
	}
	return b
}

// takesWire reports whether the checks may be put into the answer as unknown
// fields that hold their wire bytes. The protobuf codec writes such fields as
// they are. The JSON codec of this package decodes them, and marks the request to
// say so; go-micro's own would leave them out.
func takesWire(ctx context.Context, req *monitorpb.HealthChecksRequest) bool {
	if ct, _ := metadata.Get(ctx, "Content-Type"); ct == "application/protobuf" {
		return true
	}
	return bytes.Equal(req.ProtoReflect().GetUnknown(), wireMark())
}

// wireMark is an unknown field that no JSON request can hold.
func wireMark() []byte {
	return appendUint(nil, protowire.MaxValidNumber, 1)
}
