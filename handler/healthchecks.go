package handler

import (
	"bytes"
	"context"

	"go-micro.dev/v4/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/wire"
)

// HealthChecks lists checks by service, version, node and id.
func (m *Monitor) HealthChecks(ctx context.Context, req *monitorpb.HealthChecksRequest, rsp *monitorpb.HealthChecksResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	q, err := checkQuery(req)
	if err != nil {
		return rpcError(m.log, err)
	}
	if acceptsSplice(ctx, req) {
		encoded, page, err := spliceChecks(m.store, q)
		if err != nil {
			return rpcError(m.log, err)
		}
		rsp.Total, rsp.Cursor = int64(page.Total), page.Next
		rsp.ProtoReflect().SetUnknown(encoded)
		return nil
	}
	checks, page, err := messages(m.store.Checks, q, store.Check.Proto)
	if err != nil {
		return rpcError(m.log, err)
	}
	rsp.HealthChecks, rsp.Total, rsp.Cursor = checks, int64(page.Total), page.Next
	return nil
}

// checkSize is about the encoded size of a check with a few results.
const checkSize = 384

// spliceChecks returns the checks of a page as they are encoded in the answer. The
// store holds them almost encoded, so this costs a tenth of building and encoding
// messages.
func spliceChecks(st *store.Store, q store.Query) ([]byte, store.Page[store.Check], error) {
	for {
		page, err := st.Checks(q)
		if err != nil {
			return nil, page, err
		}
		b := make([]byte, 0, len(page.Items)*checkSize)
		n := 0
		for n < len(page.Items) && (n == 0 || len(b) <= maxAnswer) {
			b = wire.AppendMessage(b, wire.HealthChecksResponseHealthChecks, page.Items[n].AppendWire)
			n++
		}
		if n == len(page.Items) {
			return b, page, nil
		}
		q.Limit = n
	}
}

// acceptsSplice reports whether the checks may be put in the answer as unknown
// fields with their wire bytes. The protobuf codec writes unknown fields as they
// are. The JSON codec of this package decodes them, and marks the request to say so;
// go-micro's JSON codec would omit them.
func acceptsSplice(ctx context.Context, req *monitorpb.HealthChecksRequest) bool {
	if ct, _ := metadata.Get(ctx, "Content-Type"); ct == "application/protobuf" {
		return true
	}
	return bytes.Equal(req.ProtoReflect().GetUnknown(), spliceMark())
}

// spliceMark is an unknown field, which no JSON request can contain.
func spliceMark() []byte {
	return wire.AppendUint(nil, protowire.MaxValidNumber, 1)
}
