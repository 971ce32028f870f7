package main

import (
	"encoding/json"
	"strings"

	"github.com/golang/protobuf/proto"
)

// protoBytes is a protobuf message that is encoded already.
type protoBytes []byte

var _ proto.Message = (*protoBytes)(nil)

func (m *protoBytes) Reset()                   { *m = nil }
func (m *protoBytes) String() string           { return string(*m) }
func (m *protoBytes) ProtoMessage()            {}
func (m *protoBytes) Marshal() ([]byte, error) { return *m, nil }

func (m *protoBytes) Unmarshal(b []byte) error {
	*m = append(protoBytes(nil), b...)
	return nil
}

// newMessage returns a message with this body, of the type that the codec of the
// content type takes. old says that the codec is one of those of 2018.
func newMessage(contentType string, old bool, body []byte) any {
	switch {
	case strings.Contains(contentType, "json"):
		return (*json.RawMessage)(&body)
	case contentType == "application/octet-stream" && !old:
		return &body
	}
	return (*protoBytes)(&body)
}

// bytesOf returns the body of a message of newMessage.
func bytesOf(message any) []byte {
	switch m := message.(type) {
	case *json.RawMessage:
		return *m
	case *[]byte:
		return *m
	case *protoBytes:
		return *m
	}
	return nil
}
