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
	name := "publishers/" + []string{"healthcheck", "status", "stats"}[kind]
	if json {
		return read(tb, name+".json"), "application/json"
	}
	for line := range strings.Lines(string(read(tb, name+".hex"))) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		body = append(body, b...)
	}
	return body, "application/protobuf"
}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := publishers.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
