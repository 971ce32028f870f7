package handler

import (
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/store"
)

// pageOf checks limit and offset of a request. The limit is 0 if the request has
// none, and at most store.MaxLimit.
func pageOf(limit, offset int64) (int, int, error) {
	if limit < 0 {
		return 0, 0, badArgument("limit", "%d is negative", limit)
	}
	if offset < 0 {
		return 0, 0, badArgument("offset", "%d is negative", offset)
	}
	return clampLimit(uint64(limit)), clampOffset(uint64(offset)), nil
}

func clampLimit(limit uint64) int { return int(min(limit, store.MaxLimit)) }

// clampOffset returns an offset to which a limit can be added without overflow.
func clampOffset(offset uint64) int {
	return int(min(offset, math.MaxInt-store.MaxLimit))
}

// maxAnswer is about how many bytes of a list an answer contains, so that a slow
// client reads it within go-micro's timeout of five seconds. A larger page ends
// early, with a cursor. A thousand typical checks take a tenth of it.
const maxAnswer = 4 << 20

// fit queries a page that fits in an answer. size returns the size of item i; a page
// that is cut is queried again, from item 0 on.
func fit[T any](
	find func(store.Query) (store.Page[T], error), q store.Query, size func(i int, item T) int,
) (store.Page[T], error) {
	for {
		page, err := find(q)
		if err != nil {
			return page, err
		}
		n := 0
		for total := 0; n < len(page.Items) && total <= maxAnswer; n++ {
			total += size(n, page.Items[n])
		}
		if n == len(page.Items) {
			return page, nil
		}
		q.Limit = n
	}
}

// messages queries a page that fits in an answer and returns its items as messages.
func messages[T any, M proto.Message](
	find func(store.Query) (store.Page[T], error), q store.Query, message func(T) M,
) ([]M, store.Page[T], error) {
	var all []M
	page, err := fit(find, q, func(i int, item T) int {
		all = append(all[:i], message(item))
		return proto.Size(all[i])
	})
	return all[:len(page.Items)], page, err
}

// checkCursor rejects a cursor with an offset, because one of them would be ignored.
func checkCursor(cursor string, offset int) error {
	if cursor != "" && offset > 0 {
		return badArgument("offset", "cannot be combined with cursor")
	}
	return nil
}

// nodePage is a request with one row per node in its answer.
type nodePage interface {
	GetService() string
	GetId() string
	GetLimit() int64
	GetOffset() int64
	GetMissing() bool
	GetCursor() string
}

func nodeQuery(req nodePage) (store.Query, error) {
	limit, offset, err := pageOf(req.GetLimit(), req.GetOffset())
	if err == nil {
		err = checkCursor(req.GetCursor(), offset)
	}
	return store.Query{
		Service: req.GetService(),
		Node:    req.GetId(),
		Missing: req.GetMissing(),
		Limit:   limit,
		Offset:  offset,
		Cursor:  req.GetCursor(),
	}, err
}

func checkQuery(req *monitorpb.HealthChecksRequest) (store.Query, error) {
	q := store.Query{
		Service: req.Service,
		Node:    req.Node,
		ID:      req.Id,
		Missing: req.Missing,
		Limit:   clampLimit(req.Limit),
		Offset:  clampOffset(req.Offset),
		Cursor:  req.Cursor,
	}
	if err := checkCursor(q.Cursor, q.Offset); err != nil {
		return q, err
	}
	var err error
	if q.Statuses, err = enumFilter("status", req.Status, "statuses", req.Statuses); err != nil {
		return q, err
	}
	q.Sources, err = enumFilter("source", req.Source, "sources", req.Sources)
	return q, err
}

// enum is a protobuf enum.
type enum interface {
	healthpb.HealthCheck_Status | healthpb.HealthCheck_Source | healthpb.Status_Status
	protoreflect.Enum
}

// enumFilter returns the values that a request selects, each once: the single one
// unless it is zero, and those of the list. None means all.
func enumFilter[E enum](field string, single E, listField string, list []E) ([]E, error) {
	known := single.Descriptor().Values()
	var set uint64
	if single != 0 {
		if known.ByNumber(single.Number()) == nil {
			return nil, badArgument(field, "%d is not known", single)
		}
		set |= 1 << uint(single)
	}
	for _, v := range list {
		if known.ByNumber(v.Number()) == nil {
			return nil, badArgument(listField, "%d is not known", v)
		}
		set |= 1 << uint(v)
	}
	var values []E
	for v := E(0); set != 0; v, set = v+1, set>>1 {
		if set&1 != 0 {
			values = append(values, v)
		}
	}
	return values, nil
}
