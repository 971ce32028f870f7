package state_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/state"
)

func format() state.Format {
	return state.Format{Holds: "samples", Versions: map[string]int{"a": 1, "b": 3}}
}

// samples returns records, of which two are alike and some hold what looks like others.
func samples() []state.Record {
	return []state.Record{
		{Kind: "a", Version: 1, Data: []byte(`{"x":1}`)},
		{Kind: "b", Version: 3, Data: []byte("alike")},
		{Kind: "b", Version: 3, Data: []byte("alike")},
		{Kind: "b", Version: 2, Data: []byte("<&> \u2028 \x00\xff 00000000 9 1/2 a/1 x")},
		{Kind: "a", Version: 1, Data: []byte{}},
		{Kind: "a", Version: 1, Data: []byte("the last")},
	}
}

func encode(t *testing.T, records []state.Record) []byte {
	t.Helper()
	text, err := format().Encode(records)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for _, want := range [][]state.Record{samples(), nil} {
		got, err := format().Decode(encode(t, want))
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	if _, err := format().Encode([]state.Record{{Kind: "a", Version: 1, Data: []byte("two\nlines")}}); err == nil {
		t.Error("a record of two lines is written")
	}
}

// isPart reports whether got is want without some records, in the same order.
func isPart(got, want []state.Record) bool {
	for _, r := range got {
		for len(want) > 0 && !reflect.DeepEqual(r, want[0]) {
			want = want[1:]
		}
		if len(want) == 0 {
			return false
		}
		want = want[1:]
	}
	return true
}

// TestFlippedBitLosesOneRecord flips every bit, cuts the file at every byte, changes
// bytes, and damages it 500 times at random.
// Faults: S8.
func TestFlippedBitLosesOneRecord(t *testing.T) {
	want := samples()
	whole := encode(t, want)
	check := func(what string, text []byte) int {
		t.Helper()
		got, err := format().Decode(text)
		if !isPart(got, want) || err == nil && len(got) != len(want) {
			t.Fatalf("%s: read %v, %v", what, got, err)
		}
		if lost := len(want) - len(got); err != nil && lost > 0 && len(got) > 0 && !strings.Contains(err.Error(), fmt.Sprint(lost, " of ", len(want))) {
			t.Fatalf("%s: %d records are lost: %v", what, lost, err)
		}
		return len(got)
	}
	for what, text := range testkit.Damaged(whole) {
		if n := check(what, text); strings.HasPrefix(what, testkit.FlippedBit) && n < len(want)-1 {
			t.Fatalf("%s: %d of %d records are left", what, n, len(want))
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		check(testkit.Corrupt(random, whole))
	}
}

// TestRecordsOfOtherFilesAreNotBelieved appends sound records that do not belong there,
// and repeats and exchanges those that do.
// Faults: S8.
func TestRecordsOfOtherFilesAreNotBelieved(t *testing.T) {
	want := samples()
	whole := string(encode(t, want))
	lines := strings.SplitAfter(whole, "\n")
	for what, text := range map[string]string{
		"another record of the same index": whole + line("1/7 a/1 other"),
		"a record of a longer file":        whole + line("7/9 a/1 other"),
		"a copy":                           whole + lines[3],
	} {
		got, err := format().Decode([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "none of 6 records is lost") || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %v, %v", what, got, err)
		}
	}
	lines[1], lines[4] = lines[4], lines[1]
	if got, err := format().Decode([]byte(strings.Join(lines, ""))); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("exchanged: read %v, %v", got, err)
	}
}

// TestForeignFilesAreNotRead reads files of other contents and of newer versions.
// Faults: S8.
func TestForeignFilesAreNotRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		text  string
		newer bool
	}{
		{"a newer record", string(encode(t, []state.Record{{Kind: "a", Version: 2}})), true},
		{"an unknown record", string(encode(t, []state.Record{{Kind: "c", Version: 1}})), true},
		{"a newer head", line("0/1 file/2 anything"), true},
		{"another file", line("0/1 file/1 others"), false},
		{"empty", "", false},
		{"zero", string(make([]byte, 1<<16)), false},
		{"an index beyond the count", line("1/1 a/1 x"), false},
		{"a huge count", line("3/2147483647 a/1 x"), false},
		{"no data", line("0/1 file/1"), false},
		{"a negative index", line("-1/1 a/1 x"), false},
	} {
		got, err := format().Decode([]byte(c.text))
		var newer *state.NewerError
		if err == nil || len(got) > 1 || errors.As(err, &newer) != c.newer {
			t.Errorf("%s: read %v, %v", c.name, got, err)
		}
	}
}

// line returns a line with its right checksum.
func line(body string) string {
	return fmt.Sprintf("%08x %d %s\n", state.Checksum([]byte(body)), len(body), body)
}

// Any bytes are read without a panic, and any records are read as they were written.
// Faults: T21.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(line("0/2 file/1 samples") + line("1/2 a/1 x")))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = format().Decode(text)
		data := []byte(strings.ReplaceAll(string(text), "\n", ""))
		got, err := format().Decode(encode(t, []state.Record{{Kind: "a", Version: 1, Data: data}}))
		if err != nil || len(got) != 1 || string(got[0].Data) != string(data) {
			t.Errorf("read %v, %v", got, err)
		}
	})
}
