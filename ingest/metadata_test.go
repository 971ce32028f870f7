package ingest

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

func TestMetadataOfANodeIsBounded(t *testing.T) {
	c := typicalCheck()
	c.Service.Nodes[0].Metadata = map[string]string{"a": "short", "b": strings.Repeat("x", 2*maxMetadata)}
	v := newView()
	v.feedMessages(t, c)
	rsp := new(monitorpb.ServicesResponse)
	if err := v.monitor().Services(t.Context(), &monitorpb.ServicesRequest{}, rsp); err != nil {
		t.Fatal(err)
	}
	node := rsp.Services[0].Nodes[0]
	if node.Metadata["a"] != "short" || proto.Size(node) > maxMetadata+200 {
		t.Errorf("metadata of %d bytes with a = %q", proto.Size(node), node.Metadata["a"])
	}
}
