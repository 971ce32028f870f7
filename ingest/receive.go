package ingest

import (
	"fmt"

	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/health"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/text"
)

// brokerHandler returns the handler of one topic. The error of a rejected event has an
// HTTP status, for brokers that can answer the publisher.
func (e *Events) brokerHandler(kind store.Kind) broker.Handler {
	return func(ev broker.Event) error {
		var header map[string]string
		var body []byte
		if m := ev.Message(); m != nil {
			header, body = m.Header, m.Body
		}
		return e.receive(kind, header, body, false).err()
	}
}

// receive processes one message. It retains neither header nor body. Only injected events
// may be about the own node.
func (e *Events) receive(kind store.Kind, header map[string]string, body []byte, injected bool) (rej rejection) {
	topic := &e.counts.topics[kind]
	topic.received.Add(1)
	topic.bytes.Add(uint64(len(body)))
	d, _ := e.decoders.Get().(*decoder)
	if d == nil {
		d = &decoder{transcoders: e.transcoders}
	}
	// A panic must not end the process: some brokers call the handler in a goroutine
	// without recover.
	defer func() {
		if p := recover(); p != nil {
			rej = rejection{internal, fmt.Sprint(p)}
			e.reject(kind, rej, sender{})
		}
	}()
	rej = d.decodeMessage(kind, header, body)
	if rej.reason == accepted && !injected && e.cfg.Own != "" && string(d.event.Node) == e.cfg.Own {
		rej = rejection{ownNode, "service.nodes.id"}
	}
	if rej.reason != accepted {
		e.reject(kind, rej, sender{string(d.event.Service), string(d.event.Node)})
	} else {
		e.counts.repair(d.repairs)
		it := e.items.get()
		it.set(&d.event)
		e.drop(e.queue.push(it))
	}
	d.release()
	e.decoders.Put(d)
	return rej
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
		return d.decodeJSON(kind, stripGRPCFrame(body))
	}
	return rejection{badContentType, contentType(header)}
}

// sender is who sent an event, as far as it can be read.
type sender struct{ service, node string }

// reject counts a rejected event and logs it. The echo of what this instance publishes is
// only counted, and so is what somebody forges in its name.
func (e *Events) reject(kind store.Kind, rej rejection, by sender) {
	e.counts.topics[kind].rejected.Add(1)
	e.counts.rejected[rej.reason].Add(1)
	if rej.reason == ownNode {
		return
	}
	if suppressed, ok := e.limiter.Allow(rej.reason.String()); ok {
		const enough = 200
		e.cfg.Log.Warn("event rejected", "topic", topics[kind], "reason", rej.reason.String(),
			"at", text.Line(rej.place, enough),
			"service", text.Line(by.service, health.MaxServiceName), "node", text.Line(by.node, health.MaxNodeID),
			"times", suppressed+1)
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
