package handler

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/health"
	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// largest is a check as large as one gets.
func largest(i int) *healthpb.HealthCheck {
	c := ofNode(i, typicalCheck())
	long := strings.Repeat("x", health.MaxText)
	c.Description, c.Error = long, long
	c.Results = make(map[string]string)
	for k := range 7 {
		c.Results[fmt.Sprint("key-", k)] = long
	}
	return c
}

func TestAnswersAreBoundedAndStillComplete(t *testing.T) {
	const n = 150
	v := newView()
	for i := range n {
		v.feedMessages(t, largest(i))
	}
	p := serve(t, v.monitor())
	for _, contentType := range []string{"application/protobuf", "application/json", "messages"} {
		seen, pages := 0, 0
		req := &monitorpb.HealthChecksRequest{Limit: 1000}
		for {
			rsp, err := new(monitorpb.HealthChecksResponse), error(nil)
			if contentType == "messages" {
				err = reference{v.monitor()}.HealthChecks(t.Context(), req, rsp)
			} else {
				rsp, err = p.client(contentType).HealthChecks(t.Context(), req, p.at())
			}
			if err != nil {
				t.Fatalf("%s: %v", contentType, err)
			}
			if size := proto.Size(rsp); size > maxAnswer+64<<10 {
				t.Errorf("%s: %d bytes, want at most about %d", contentType, size, maxAnswer)
			}
			for _, c := range rsp.HealthChecks {
				if want := fmt.Sprintf("node-%04d", seen); c.Service.Id != want {
					t.Fatalf("%s: entry of %s, want %s", contentType, c.Service.Id, want)
				}
				seen++
			}
			pages++
			if req.Cursor = rsp.Cursor; req.Cursor == "" {
				break
			}
		}
		if seen != n || pages != 2 {
			t.Errorf("%s: %d entries on %d pages, want %d on 2", contentType, seen, pages, n)
		}
	}
}
