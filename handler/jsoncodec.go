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

// JSONCodec returns a codec to be given to the server for application/json. It
// reads and writes what go-micro's own does, to the byte, with two differences:
// lists of checks are written straight from what the store holds, at a fraction
// of the cost, and a request that cannot be decoded is answered with 400 and the
// name of the field.
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

// maxRequest is far more than any request of this service has, and than the
// transport lets through.
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

// readStock reads the JSON of one message as go-micro does.
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

// encode encodes an answer that holds wire bytes.
func (c *jsonCodec) encode(rsp *monitorpb.HealthChecksResponse) ([]byte, error) {
	m := rsp.ProtoReflect()
	checks := m.GetUnknown()
	m.SetUnknown(nil)
	wire, err := proto.MarshalOptions{}.MarshalAppend(checks, rsp)
	if err != nil {
		return nil, err
	}
	if line, ok := c.response.AppendJSON(make([]byte, 0, 2*len(wire)), wire); ok {
		return append(line, '\n'), nil
	}
	// The wire bytes are of a form that only a full decoding understands.
	plain := new(monitorpb.HealthChecksResponse)
	if err := proto.Unmarshal(wire, plain); err != nil {
		return nil, err
	}
	line, err := json.Marshal(plain)
	return append(line, '\n'), err
}
