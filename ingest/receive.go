package ingest

import (
	"fmt"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
)

// brokerHandler returns the handler of one topic. It never returns an error: the
// brokers would log each one, and nobody could act on it.
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

// receive processes one message. It retains neither header nor body.
func (e *Events) receive(kind store.Kind, header map[string]string, body []byte) {
	topic := &e.counts.topics[kind]
	topic.received.Add(1)
	topic.bytes.Add(uint64(len(body)))
	// A panic must not end the process: some brokers call the handler in a goroutine
	// without recover.
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

// decodeMessage decodes one message by its format.
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
	if suppressed, ok := e.limiter.Allow(rej.reason.String()); ok {
		const enough = 200
		e.cfg.Log.Warn("event rejected", "topic", topics[kind], "reason", rej.reason.String(),
			"at", rej.place[:min(len(rej.place), enough)], "times", suppressed+1)
	}
}

// drop counts items that the queue dropped.
func (e *Events) drop(dropped list) {
	for it := dropped.pop(); it != nil; it = dropped.pop() {
		e.counts.topics[it.event.Kind].dropped.Add(1)
		if suppressed, ok := e.limiter.Allow(it.category.String()); ok {
			e.cfg.Log.Warn("events dropped from the queue", "what", it.category.String(), "times", suppressed+1)
		}
		e.items.put(it)
	}
}
