package handler

import (
	"context"
	"time"

	"go-micro.dev/v4/metadata"

	"github.com/microhq/monitor-srv/connlimit"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

const (
	// maxWait in seconds is below the timeout of go-micro's client, five seconds.
	maxWait = 4
	// watchLimit is the limit of a request without one.
	watchLimit = 100
)

// Watch returns the transitions after since_seq. If there are none, it waits for the
// next one for at most wait seconds, and four.
//
// The answer has gap set if since_seq comes from another instance or is older than
// the oldest retained transition. The caller then lists the state again and continues
// from seq.
func (m *Monitor) Watch(ctx context.Context, req *monitorpb.WatchRequest, rsp *monitorpb.WatchResponse) error {
	rsp.Instance, rsp.Started = m.instance, m.started
	q, err := watchQuery(req)
	if err != nil {
		return rpcError(m.log, err)
	}
	since := req.SinceSeq
	if req.Instance != "" && req.Instance != m.instance {
		rsp.Gap = true
		rsp.Seq = m.newest()
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(min(req.Wait, maxWait))*time.Second)
	defer cancel()
	for {
		found, next, gap := m.store.After(q, since)
		rsp.Transitions, rsp.Seq, rsp.Gap = transitions(found), next, gap
		if len(found) > 0 || gap || !m.wait(ctx, next) {
			return nil
		}
		since = next
	}
}

// wait waits for a transition after since, and reports whether there is one. It stops
// waiting when another call needs the place.
func (m *Monitor) wait(ctx context.Context, since int64) bool {
	if ctx.Err() != nil {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	remote, _ := metadata.Get(ctx, "Remote")
	place := m.waiting.Take(connlimit.Source(remote), cancel)
	defer place.Release()
	return place != nil && m.store.Wait(ctx, since) == nil
}

func watchQuery(req *monitorpb.WatchRequest) (store.TransitionQuery, error) {
	limit, _, err := pageOf(req.Limit, 0)
	switch {
	case err != nil:
	case req.SinceSeq < 0:
		err = badArgument("since_seq", "%d is negative", req.SinceSeq)
	case req.Wait < 0:
		err = badArgument("wait", "%d is negative", req.Wait)
	}
	if limit == 0 {
		limit = watchLimit
	}
	return store.TransitionQuery{Service: req.Service, Node: req.Node, ID: req.Id, Limit: limit}, err
}

// newest returns the sequence number of the newest transition.
func (m *Monitor) newest() int64 {
	found, _, _, err := m.store.History(store.TransitionQuery{Limit: 1}, 0)
	if err != nil || len(found) == 0 {
		return m.store.Started().UnixMicro()
	}
	return found[0].Seq
}
