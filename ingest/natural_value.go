package ingest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// readScalar reads a value that is neither a message nor a list nor a map.
func readScalar(fd protoreflect.FieldDescriptor, raw json.RawMessage) (protoreflect.Value, error) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		read := nameText
		switch fd.Name() {
		case "description", "error", "info":
			read = func(raw json.RawMessage) (string, error) { return anyText(raw), nil }
		}
		s, err := read(raw)
		return protoreflect.ValueOfString(s), err
	case protoreflect.EnumKind:
		n, err := readEnum(fd.Enum(), raw)
		return protoreflect.ValueOfEnum(n), err
	case protoreflect.DoubleKind:
		v, err := strconv.ParseFloat(scalarText(raw), 64)
		if err != nil {
			return protoreflect.Value{}, fmt.Errorf("want a number, got %s", quote(raw))
		}
		return protoreflect.ValueOfFloat64(v), nil
	case protoreflect.Uint64Kind:
		n, err := readUint(raw)
		return protoreflect.ValueOfUint64(n), err
	}
	n, err := readInt(string(fd.Name()), raw)
	return protoreflect.ValueOfInt64(n), err
}

// anyText returns a text, or any other value as compact JSON.
func anyText(raw json.RawMessage) string {
	if first(raw) == '"' {
		return scalarText(raw)
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// nameText returns a text or a number, as which names, versions and ids are written.
func nameText(raw json.RawMessage) (string, error) {
	switch c := first(raw); {
	case c == '"', c == '-', '0' <= c && c <= '9':
		return scalarText(raw), nil
	}
	return "", fmt.Errorf("want a string, got %s", quote(raw))
}

// scalarText returns the content of a string, or else the literal.
func scalarText(raw json.RawMessage) string {
	var s string
	if first(raw) == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// readInt reads an integer field of a name.
func readInt(name string, raw json.RawMessage) (int64, error) {
	text := strings.TrimSpace(scalarText(raw))
	n, isNumber := parseNumber(text)
	switch name {
	case "timestamp":
		if isNumber && n < maxTimestamp {
			return unixSeconds(n), nil
		}
		t, ok := parseTime(text)
		if !ok {
			return 0, fmt.Errorf(`want unix seconds or a time with a zone such as "2006-01-02T15:04:05Z", got %s`, quote(raw))
		}
		return t.Unix(), nil
	case "interval", "ttl":
		if isNumber {
			return int64(math.Ceil(max(-maxSeconds, min(n, maxSeconds)))), nil
		}
		d, err := parseDuration(text)
		if err != nil {
			return 0, fmt.Errorf(`want seconds or a duration such as "10s", got %s`, quote(raw))
		}
		return int64(math.Ceil(d.Seconds())), nil
	}
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole, nil
	}
	if !isNumber || math.Abs(n) >= math.MaxInt64 {
		return 0, fmt.Errorf("want a whole number, got %s", quote(raw))
	}
	return int64(math.Floor(n)), nil
}

const (
	// maxTimestamp is a unix time in nanoseconds that no clock shows.
	maxTimestamp = 1e20
	// maxSeconds is more than any interval or ttl that is believed.
	maxSeconds = 1e15
)

// readUint reads a number that is not negative.
func readUint(raw json.RawMessage) (uint64, error) {
	text := strings.TrimSpace(scalarText(raw))
	if whole, err := strconv.ParseUint(text, 10, 64); err == nil {
		return whole, nil
	}
	n, ok := parseNumber(text)
	if !ok || n < 0 || n >= math.MaxUint64 {
		return 0, fmt.Errorf("want a number of at least 0, got %s", quote(raw))
	}
	return uint64(n), nil
}

// parseNumber parses a JSON number.
func parseNumber(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && json.Valid([]byte(text))
}

// unixSeconds returns a unix time in whole seconds. One that is later than any clock shows
// in the next thousand years is in milliseconds, microseconds or nanoseconds.
func unixSeconds(n float64) int64 {
	const latest = 1e11
	for n >= latest {
		n /= 1000
	}
	return int64(math.Floor(max(n, 0)))
}

// parseTime parses a time with a zone, as date, databases and languages print it: with a
// space in place of the T, with the zone as +0000, +00, UTC or GMT, or as mail and HTTP have it.
func parseTime(text string) (time.Time, bool) {
	const date = len(time.DateOnly)
	text = strings.NewReplacer("UTC", "+0000", "GMT", "+0000").Replace(text)
	iso := text
	if len(iso) > date && iso[date] == ' ' {
		iso = iso[:date] + "T" + strings.ReplaceAll(iso[date+1:], " ", "")
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07"} {
		if t, err := time.Parse(layout, iso); err == nil {
			return t, true
		}
	}
	t, err := time.Parse(time.RFC1123Z, text)
	return t, err == nil
}

// parseDuration parses a duration of Go, or a number of days or weeks, with or without
// spaces and the units as letters or words.
func parseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	text = strings.NewReplacer(" ", "",
		"seconds", "s", "second", "s", "secs", "s", "sec", "s", "minutes", "m", "minute", "m", "mins", "m", "min", "m",
		"hours", "h", "hour", "h", "hrs", "h", "hr", "h", "days", "d", "day", "d", "weeks", "w", "week", "w",
	).Replace(strings.ToLower(text))
	size := 0 * day
	switch {
	case strings.HasSuffix(text, "d"):
		size = day
	case strings.HasSuffix(text, "w"):
		size = 7 * day
	}
	const most = 1e4
	if n, ok := parseNumber(strings.TrimRight(text, "dw")); ok && size > 0 && math.Abs(n) < most {
		return time.Duration(n * float64(size)), nil
	}
	return time.ParseDuration(text)
}

// wordOf returns the name of the status that a word stands for, in any case: "" if it is
// none of the usual words for the status of a check.
func wordOf(text string) string {
	switch strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(text), " ", "_"), "-", "_") {
	case "okay", "up", "pass", "passed", "passing", "success", "successful", "healthy", "good", "green", "serving", "true",
		"alive", "running", "online", "active", "available", "ready":
		return "OK"
	case "warn", "degraded", "yellow":
		return "WARNING"
	case "err", "down", "fail", "failed", "failing", "failure", "critical", "crit", "fatal",
		"unhealthy", "bad", "red", "not_serving", "false",
		"not_ok", "nok", "ko", "offline", "dead", "inactive", "unavailable", "not_ready", "timeout":
		return "ERROR"
	}
	return ""
}

// readEnum reads a value of an enum by number or name, in any case; the status of a
// check also by one of the usual words.
func readEnum(enum protoreflect.EnumDescriptor, raw json.RawMessage) (protoreflect.EnumNumber, error) {
	text := strings.TrimSpace(scalarText(raw))
	if n, ok := parseNumber(text); ok && n == math.Trunc(n) && math.Abs(n) < math.MaxInt32 {
		if v := enum.Values().ByNumber(protoreflect.EnumNumber(n)); v != nil {
			return v.Number(), nil
		}
	}
	name := strings.ToUpper(text)
	switch enum.FullName() {
	case "go.micro.health.HealthCheck.Status":
		name = cmp.Or(wordOf(text), name)
	case "go.micro.health.Status.Status":
		if wordOf(text) == "OK" && name != "TRUE" || name == "OK" {
			name = "RUNNING"
		}
	}
	if v := enum.Values().ByName(protoreflect.Name(name)); v != nil {
		return v.Number(), nil
	}
	var known []string
	for i := range enum.Values().Len() {
		known = append(known, string(enum.Values().Get(i).Name()))
	}
	return 0, fmt.Errorf("want one of %s, got %s", strings.Join(known, ", "), quote(raw))
}
