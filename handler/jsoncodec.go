package handler

import (
	"bytes"
	"io"

	"go-micro.dev/v4/codec"
	stock "go-micro.dev/v4/codec/json"
	merrors "go-micro.dev/v4/errors"
	"google.golang.org/protobuf/proto"
)

// JSONCodec returns the server's codec for application/json. It reads and writes the
// same bytes as go-micro's, with one difference: a request that cannot be decoded is
// answered 400 with the name of the field.
func JSONCodec() codec.NewCodec {
	return func(conn io.ReadWriteCloser) codec.Codec {
		return &jsonCodec{Codec: stock.NewCodec(conn), conn: conn}
	}
}

type jsonCodec struct {
	codec.Codec
	conn io.ReadWriteCloser
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
	rsp, ok := body.(*HealthChecksResponse)
	if !ok {
		return c.Codec.Write(m, body)
	}
	// go-micro's codec would call MarshalJSON too, and then parse what it returns.
	line, err := rsp.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = c.conn.Write(append(line, '\n'))
	return err
}
