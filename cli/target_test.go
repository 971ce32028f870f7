package cli

import (
	"errors"
	"strings"
	"testing"
)

// Faults: U9.
func TestTargets(t *testing.T) {
	for text, want := range map[string]target{
		"mon":                       {"mon:3838", ""},
		"mon:80":                    {"mon:80", ""},
		"127.0.0.1":                 {"127.0.0.1:3838", ""},
		"x:TOKEN@mon":               {"mon:3838", "TOKEN"},
		"x:TO:K@EN@mon:1":           {"mon:1", "TO:K@EN"},
		"x@mon":                     {"mon:3838", ""},
		"::1":                       {"[::1]:3838", ""},
		"[::1]":                     {"[::1]:3838", ""},
		"[::1]:80":                  {"[::1]:80", ""},
		"http://mon":                {"mon:3838", ""},
		"HTTP://mon:80/":            {"mon:80", ""},
		"http://x:TOKEN@[::1]:80":   {"[::1]:80", "TOKEN"},
		":3839":                     {"127.0.0.1:3839", ""},
		"0.0.0.0:3839":              {"127.0.0.1:3839", ""},
		"[::]:3839":                 {"127.0.0.1:3839", ""},
		"localhost:3838":            {"localhost:3838", ""},
		"mon.example.org":           {"mon.example.org:3838", ""},
		"http://mon.example.org:80": {"mon.example.org:80", ""},
	} {
		if got, err := parseTarget(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"https://x:TOKEN@mon":   "is an https:// URL, and instances do not speak TLS: give http://HOST:PORT",
		"http://mon/list":       `"mon/list" is not an address`,
		"http://mon?x":          `"mon?x" is not an address`,
		"ftp://mon":             `"ftp://mon" is not an address`,
		"http://mon:80/p?x=1":   `"mon:80/p?x=1" is not an address`,
		"":                      `"" is not an address`,
		"http://":               `"" is not an address`,
		"x:TOKEN@":              `"" is not an address`,
		"mon:":                  `"mon:": the port is not a number of 1 to 65535`,
		"mon:0":                 `"mon:0": the port`,
		"mon:65536":             `"mon:65536": the port`,
		"mon:http":              `"mon:http": the port`,
		"x:TOKEN@bad host":      `"bad host" is not an address`,
		"x:TOKEN@mon:1:1":       `"mon:1:1" is not an address`,
		"x:TOKEN@[fe80::1%e]:1": `is not an address`,
	} {
		_, err := parseTarget(text)
		var usage usageError
		if !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), "--http_address ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "TOKEN") {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}
