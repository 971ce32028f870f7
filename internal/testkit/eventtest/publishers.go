package eventtest

import (
	"embed"
	"encoding/hex"
	"strings"
	"testing"
)

// OldNode is the node that the events of Old describe.
const OldNode = "go.micro.srv.pong-8b1c1d6e-a7f9-11e6-80f5-76304dec7eb7"

//go:embed publishers
var publishers embed.FS

// Old returns the bytes of an event as the publishers of 2016 to 2018 sent it, with
// the content type.
func Old[K ~uint8](tb testing.TB, kind K, json bool) (body []byte, contentType string) {
	tb.Helper()
	extension := ".hex"
	if json {
		extension = ".json"
	}
	content, err := publishers.ReadFile("publishers/" + []string{"healthcheck", "status", "stats"}[kind] + extension)
	if err != nil {
		tb.Fatal(err)
	}
	if json {
		return content, "application/json"
	}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			tb.Fatalf("kind %d: %v", kind, err)
		}
		body = append(body, b...)
	}
	return body, "application/protobuf"
}
