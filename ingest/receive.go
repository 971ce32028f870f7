package ingest

import (
	"fmt"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

// receiver returns the handler of one topic. It never fails: the brokers write a
// line for each error, and nobody could act on it.
func (e *Events) brokerHandler(kind store.Kind) broker.Handler {
	return func(ev broker.Event) error {
		var header map[string]string
		var body []byte
		if m := ev.Message(); m != nil {
			header, body = m.Header, m.Body
		}
		e.receive(kind, header, body)
		return nil
	}
}

// receive takes one message. Neither header nor body is kept.
func (e *Events) receive(kind store.Kind, header map[string]string, body []byte) {
	topic := &e.counts.topics[kind]
	topic.received.Add(1)
	topic.bytes.Add(uint64(len(body)))
	// A fault of ours in one message must not end the process: some brokers call
	// the handler in a bare goroutine.
	defer func() {
		if p := recover(); p != nil {
			e.reject(kind, rejection{internal, fmt.Sprint(p)})
		}
	}()
	d, _ := e.decoders.Get().(*decoder)
	if d == nil {
		d = &decoder{transcoders: e.transcoders}
	}
	if rej := d.decodeMessage(kind, header, body); rej.reason != accepted {
		e.reject(kind, rej)
	} else {
		e.counts.repair(d.repairs)
		it := e.items.get()
		it.set(&d.event)
		e.drop(e.queue.push(it))
	}
	d.release()
	e.decoders.Put(d)
}

// message chooses the decoding of one message.
func (d *decoder) decodeMessage(kind store.Kind, header map[string]string, body []byte) rejection {
	if len(body) > health.MaxEventSize {
		return rejection{tooLarge, fmt.Sprintf("%d bytes", len(body))}
	}
	switch formatOf(header, body) {
	case formatProto:
		return d.decode(kind, stripGRPCFrame(body))
	case formatJSON:
		return d.decodeJSON(kind, body)
	}
	return rejection{badContentType, contentType(header)}
}

func (e *Events) reject(kind store.Kind, rej rejection) {
	e.counts.topics[kind].rejected.Add(1)
	e.counts.rejected[rej.reason].Add(1)
	if times, ok := e.limiter.allow(rej.reason.String()); ok {
		const enough = 200
		e.cfg.Log.Warn("event rejected", "topic", topics[kind], "reason", rej.reason.String(),
			"at", rej.place[:min(len(rej.place), enough)], "times", times)
	}
}

// drop accounts for items that the queue had no room for.
func (e *Events) drop(dropped list) {
	for it := dropped.pop(); it != nil; it = dropped.pop() {
		e.counts.topics[it.event.Kind].dropped.Add(1)
		if times, ok := e.limiter.allow(it.category.String()); ok {
			e.cfg.Log.Warn("events dropped before the store took them", "what", it.category.String(), "times", times)
		}
		e.items.put(it)
	}
}
