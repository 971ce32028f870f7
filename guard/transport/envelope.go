package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go-micro.dev/v4/codec/proto"
	"go-micro.dev/v4/codec/protorpc"
)

// form is how a call is written. Clients of go-micro before 2019 put the method, a number
// and the request into an envelope, which is the body: JSON-RPC 1.0, or two messages of
// protobuf, each after its length.
type form struct {
	codec string // content type of the request itself
	kind  string // content type of the answer
	wraps wrapping
}

// wrapping is whether a body is an envelope.
type wrapping int

const (
	bare wrapping = iota
	either
	wrapped
)

var errForm = errors.New("the content type must be application/json, application/protobuf, or one of go-micro before 2019: application/json-rpc, application/proto-rpc, application/octet-stream")

// formOf returns how a request with this header is written.
func formOf(h http.Header) (form, error) {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	kind = strings.TrimSpace(kind)
	f := form{}
	for _, known := range [...]form{
		{"application/protobuf", "application/protobuf", bare},
		{"application/json", "application/json", bare},
		{"application/json", "application/json-rpc", wrapped},
		{"application/protobuf", "application/proto-rpc", wrapped},
		{"application/protobuf", "application/octet-stream", either},
	} {
		if strings.EqualFold(kind, known.kind) {
			f = known
			break
		}
	}
	switch {
	case f.kind == "":
		return f, errForm
	case endpoint(h) == "":
		f.wraps = wrapped
	case f.wraps == bare && has(h, "Micro-Target", "X-Micro-Target"):
		f.wraps = either
	}
	return f, nil
}

// envelope is what an answer repeats of the envelope of its call.
type envelope struct {
	codec  string
	method string
	id     json.RawMessage
	seq    uint64
}

// open returns the request in a body, and its envelope, or nil if it has none. The error
// names the field that is wrong.
func (f form) open(body []byte) (*envelope, []byte, error) {
	read := openJSON
	if f.codec == "application/protobuf" {
		read = openProto
	}
	if f.wraps == bare || f.wraps == either && !isEnvelope(f.codec, body) {
		return nil, body, nil
	}
	e, request, err := read(body)
	if err == nil && e.method == "" {
		err = errors.New(`method: missing: name the endpoint, such as "Monitor.Status", in the header Micro-Endpoint or in the envelope`)
	}
	if err != nil {
		return nil, nil, err
	}
	e.codec = f.codec
	return e, request, nil
}

// isEnvelope reports whether a body that may be a request is an envelope. No message of
// protobuf begins with a zero byte, and no request has both members.
func isEnvelope(codec string, body []byte) bool {
	if codec == "application/protobuf" {
		return len(body) >= 4 && body[0] == 0
	}
	var e jsonEnvelope
	return json.Unmarshal(body, &e) == nil && e.Method != nil && e.Params != nil
}

type jsonEnvelope struct {
	Method json.RawMessage `json:"method"`
	Params json.RawMessage `json:"params"`
	ID     json.RawMessage `json:"id"`
}

func openJSON(body []byte) (*envelope, []byte, error) {
	var raw jsonEnvelope
	if len(body) == 0 {
		return &envelope{}, nil, nil
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, nil, fmt.Errorf("envelope: want a JSON object with method, params and id: %w", err)
	}
	e := &envelope{id: raw.ID}
	if raw.Method != nil && json.Unmarshal(raw.Method, &e.method) != nil {
		return nil, nil, fmt.Errorf(`method: want a string such as "Monitor.Status", have %.40s`, raw.Method)
	}
	if e.id == nil {
		e.id = json.RawMessage("null")
	} else if e.id[0] == '{' || e.id[0] == '[' {
		return nil, nil, fmt.Errorf("id: want a number or a string, have %.40s", e.id)
	}
	var params []json.RawMessage
	if raw.Params != nil && json.Unmarshal(raw.Params, &params) != nil || len(params) > 1 {
		return nil, nil, fmt.Errorf("params: want a list with one request, have %.40s", raw.Params)
	}
	if len(params) == 0 || bytes.Equal(params[0], []byte("null")) {
		return e, []byte("{}"), nil
	}
	return e, params[0], nil
}

func openProto(body []byte) (*envelope, []byte, error) {
	head, rest, err := cutNetString("header", body)
	if err != nil {
		return nil, nil, err
	}
	request, rest, err := cutNetString("body", rest)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("body: %d bytes follow it", len(rest))
	}
	if err != nil {
		return nil, nil, err
	}
	var m protorpc.Request
	if err := (proto.Marshaler{}).Unmarshal(head, &m); err != nil {
		return nil, nil, fmt.Errorf("header: want service_method and seq: %w", err)
	}
	return &envelope{method: m.ServiceMethod, seq: m.Seq}, request, nil
}

// cutNetString cuts a part with its length in four bytes from the beginning of b.
func cutNetString(what string, b []byte) (part, rest []byte, err error) {
	const prefix = 4
	if len(b) < prefix {
		return nil, nil, fmt.Errorf("%s: want its length in %d bytes, have %d", what, prefix, len(b))
	}
	size := binary.BigEndian.Uint32(b)
	if b = b[prefix:]; uint64(size) > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%s: %d bytes are announced, %d have come", what, size, len(b))
	}
	return b[:size], b[size:], nil
}

// wrap returns the envelope of an answer, or of an error.
func (e *envelope) wrap(body []byte, failure string) []byte {
	if e.codec == "application/protobuf" {
		if failure != "" {
			body = nil
		}
		head := appendHead(nil, e.method, e.seq, failure)
		b := make([]byte, 0, 8+len(head)+len(body))
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(head))), head...)
		return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
	}
	result, why := bytes.TrimSpace(body), []byte("null")
	if failure != "" {
		result = nil
		why, _ = json.Marshal(failure) // of a string, so it cannot fail
	}
	if len(result) == 0 {
		result = []byte("null")
	}
	return fmt.Appendf(make([]byte, 0, len(result)+len(why)+len(e.id)+40), `{"id":%s,"result":%s,"error":%s}`+"\n", e.id, result, why)
}

// appendHead appends a protorpc.Response in protobuf.
func appendHead(b []byte, method string, seq uint64, failure string) []byte {
	const methodTag, seqTag, errorTag = 1<<3 | 2, 2<<3 | 1, 3<<3 | 2
	b = append(binary.AppendUvarint(append(b, methodTag), uint64(len(method))), method...)
	b = binary.LittleEndian.AppendUint64(append(b, seqTag), seq)
	if failure != "" {
		b = append(binary.AppendUvarint(append(b, errorTag), uint64(len(failure))), failure...)
	}
	return b
}
