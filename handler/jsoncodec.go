package handler

import (
	"bytes"
	"encoding/json"
	"io"

	"go-micro.dev/v4/codec"
	stock "go-micro.dev/v4/codec/json"
	merrors "go-micro.dev/v4/errors"
	"google.golang.org/protobuf/proto"

	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
	"github.com/microhq/monitor-srv/wire"
)

// JSONCodec returns the server's codec for application/json. It reads and writes the
// same bytes as go-micro's, with two differences: lists of checks are written from
// the bytes in the store, at a fraction of the cost, and a request that cannot be
// decoded is answered 400 with the name of the field.
func JSONCodec() codec.NewCodec {
	response := wire.NewTranscoder((&monitorpb.HealthChecksResponse{}).ProtoReflect().Descriptor())
	return func(conn io.ReadWriteCloser) codec.Codec {
		return &jsonCodec{Codec: stock.NewCodec(conn), conn: conn, response: response}
	}
}

type jsonCodec struct {
	codec.Codec
	conn     io.ReadWriteCloser
	response *wire.Transcoder
}

// maxRequest is larger than any request that the transport accepts.
const maxRequest = 1 << 20

func (c *jsonCodec) ReadBody(body any) error {
	msg, ok := body.(proto.Message)
	if !ok {
		return c.Codec.ReadBody(body)
	}
	raw, err := io.ReadAll(io.LimitReader(c.conn, maxRequest))
	if err != nil {
		return err
	}
	if err := readStock(raw, msg); err != nil {
		return merrors.BadRequest(errorID, "%s", shorten(jsonFault(raw, msg, err)))
	}
	if req, ok := msg.(*monitorpb.HealthChecksRequest); ok {
		req.ProtoReflect().SetUnknown(spliceMark())
	}
	return nil
}

// readStock decodes the JSON of one message as go-micro does.
func readStock(raw []byte, msg proto.Message) error {
	return stock.NewCodec(readOnly{bytes.NewReader(raw)}).ReadBody(msg)
}

type readOnly struct{ io.Reader }

func (readOnly) Write(p []byte) (int, error) { return len(p), nil }
func (readOnly) Close() error                { return nil }

func (c *jsonCodec) Write(m *codec.Message, body any) error {
	rsp, ok := body.(*monitorpb.HealthChecksResponse)
	if !ok || rsp == nil || len(rsp.ProtoReflect().GetUnknown()) == 0 {
		return c.Codec.Write(m, body)
	}
	line, err := c.encode(rsp)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(line)
	return err
}

// encode encodes an answer that has wire bytes.
func (c *jsonCodec) encode(rsp *monitorpb.HealthChecksResponse) ([]byte, error) {
	m := rsp.ProtoReflect()
	checks := m.GetUnknown()
	m.SetUnknown(nil)
	encoded, err := proto.MarshalOptions{}.MarshalAppend(checks, rsp)
	if err != nil {
		return nil, err
	}
	if line, ok := c.response.AppendJSON(make([]byte, 0, 2*len(encoded)), encoded); ok {
		return append(line, '\n'), nil
	}
	// The wire bytes have a form that the transcoder does not support.
	decoded := new(monitorpb.HealthChecksResponse)
	if err := proto.Unmarshal(encoded, decoded); err != nil {
		return nil, err
	}
	line, err := json.Marshal(decoded)
	return append(line, '\n'), err
}
