package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func TestJSONRules(t *testing.T) {
	const doc = `{"status": "up", "n": 3, "ok": true, "null": null, "": {"": 1}, "a": {"b": {"c": "deep"}}, "a.b": {"d": "dotted"},
		"list": [[1, 2], {"x": "y"}, "z"], "a.b.e": 5, "3": {"4": "number"}, "huge": 1e400, "long": 12345678, "point": 0.1,
		"exp": 5e-1, "twice": "first", "twice": "last", "tw\u0069ce\n": "\u00e9\ud83d\ude00"}`
	for _, c := range []struct {
		path string
		want any
		err  string
	}{
		{"status", "up", ""}, {"n", 3.0, ""}, {"ok", true, ""}, {"a.b.c", "deep", ""}, {"a.b.d", "dotted", ""}, {"a.b.e", 5.0, ""},
		{"list.0.1", 2.0, ""}, {"list.1.x", "y", ""}, {"list.2", "z", ""}, {"3.4", "number", ""},
		{"point", 0.1, ""}, {"exp", 0.5, ""}, {"long", 12345678.0, ""}, {"twice", "first", ""}, {"twice", "last", ""}, {"twice\n", "é😀", ""},
		{"status", "down", `"status" is not "down"`}, {"n", "3", `"n" is not "3"`}, {"n", 4.5, `"n" is not 4.5`}, {"null", "x", `"null" is not "x"`},
		{"huge", 1.0, `"huge" is not 1`}, {"n", 12345678.0, `"n" is not 12345678`}, {"ok", false, `"ok" is not false`}, {"twice", "none", `"twice" is not "none"`},
		{"list.3", "z", `"list.3" is not in the body`}, {"list", "z", `"list" is not "z"`}, {"a.b", "x", `"a.b" is not "x"`},
		{"status.x", "up", `"status.x" is not in the body`}, {"stat", "up", `"stat" is not in the body`}, {"list.-1", 1.0, `"list.-1" is not in the body`},
	} {
		e := expectation{json: []jsonRule{{path: "status", op: "==", want: "up"}, {path: c.path, op: "==", want: c.want}}}
		err := e.checkJSON(page{text: []byte(doc)})
		if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != "expect_json: "+c.err) {
			t.Errorf("%s = %v: got %v, want %q", c.path, c.want, err, c.err)
		}
	}
	for _, bad := range []string{"", "{", `{"a"}`, `{"a": 1,}`, "[1 2]", `{"a": 1]`, "nothing", strings.Repeat("[", 1<<20)} {
		if _, err := searchJSON(strings.NewReader(bad), []jsonRule{{path: "a", op: "==", want: 1.0}}); err == nil || err.Error() != "the body is not JSON" {
			t.Errorf("%.20q: got %v", bad, err)
		}
	}
}

func TestJSONConditions(t *testing.T) {
	const doc = `{"status":"up","load":0.7,"items":[{"n":1},{"n":2}],"error":null,"ok":true,"none":{},"name":"é😀","a.b":{"c":1},"a":{"b":{"c":2}},"old":"<1"}`
	for condition, want := range map[string]string{
		`status`: "", `items.1.n`: "", `items`: "", `error`: "", `!missing`: "", `.`: "", `len(.) == 10`: "", `len(.) > 5`: "",
		`status == "up"`: "", `status == 'up'`: "", `status != "down"`: "", `load < 0.9`: "", `load<=0.7`: "", `load >= 7e-1`: "", `load > 0`: "",
		`error == null`: "", `ok == true`: "", `ok != false`: "", `len(items) == 2`: "", `len(items) >= 1`: "", `len(none) == 0`: "", `len(name) == 2`: "",
		`a.b.c == 1`: "", `a.b.c == 2`: "", `a.b.c != 3`: "", `status != null`: "", `items != null`: "", `old == '<1'`: "",
		`missing`:          `"missing" is not in the body`,
		`missing != 1`:     `"missing" is not in the body`,
		`!status`:          `"status" is in the body`,
		`!error`:           `"error" is in the body`,
		`status == "down"`: `"status" is not "down" but "up"`,
		`status != "up"`:   `"status" is "up"`,
		`load < 0.5`:       `"load" is not < 0.5 but 0.7`,
		`status < 5`:       `"status" is not < 5 but "up"`,
		`error != null`:    `"error" is null`,
		`error == 0`:       `"error" is not 0 but null`,
		`items == null`:    `"items" is not null but a list of 2`,
		`len(items) > 2`:   `"len(items)" is not > 2 but a list of 2`,
		`len(load) > 0`:    `"len(load)" is not > 0 but 0.7`,
		`len(error) == 0`:  `"len(error)" is not 0 but null`,
		`a.b.c != 1`:       `"a.b.c" is 1`,
		`ok == 1`:          `"ok" is not 1 but true`,
	} {
		rules, err := jsonKey{[]any{condition}}.rules()
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		e := expectation{json: rules}
		got := ""
		if err := e.checkJSON(page{text: []byte(doc), show: true}); err != nil {
			got = strings.TrimPrefix(err.Error(), "expect_json: ")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", condition, got, want)
		}
		if err := e.checkJSON(page{text: []byte(doc)}); want != "" && strings.Contains(fmt.Sprint(err), " but ") {
			t.Errorf("%s: an operator sees %q", condition, err)
		}
	}
	s := site(t)
	ok(t, httpProbeOf(t, s.URL+"/json", `expect_json = ["len(items) == 2", "n < 4", "!error", "none == null", "status == 'up'"]`))
	ok(t, httpProbeOf(t, s.URL+"/echo/42", `expect_json = ["."]`, `json = "."`))
	ok(t, httpProbeOf(t, s.URL+"/echo/42", `expect_json = { "." = 42 }`))
}

// A document that would be large as a tree of values takes no more memory than
// others.
// Faults: T37.
func TestJSONBodiesAreNotKeptInMemory(t *testing.T) {
	for _, part := range []string{`{},`, `[],`, `0,`, `{"":0},`, `"text",`} {
		t.Run(part, func(t *testing.T) {
			if part != `{},` {
				testkit.SkipIfShort(t)
			}
			doc := "[" + strings.Repeat(part, maxBody/len(part)-2) + "0]"
			if !json.Valid([]byte(doc)) || len(doc) > maxBody {
				t.Fatalf("%d bytes", len(doc))
			}
			body := &weighed{text: strings.NewReader(doc)}
			if found, err := searchJSON(body, []jsonRule{{path: "1000000.x", op: "==", want: "y"}}); err != nil || found[0].found {
				t.Errorf("got %v, %v", found, err)
			}
			// A quarter of the document, and a sixtieth of its tree.
			if kept := body.last - body.first; body.last == 0 || kept > maxBody/4 {
				t.Errorf("%d KiB are kept at the end", kept>>10)
			}
		})
	}
}

// weighed is a text that measures the memory in use when its first part is read and
// when the rest is. Its reader waits meanwhile, so that there is no garbage.
type weighed struct {
	text        *strings.Reader
	first, last int64
}

func (w *weighed) Read(b []byte) (int, error) {
	if w.first == 0 {
		w.first = heap()
	}
	if w.last == 0 && w.text.Len() <= len(b) {
		w.last = heap()
	}
	return w.text.Read(b)
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Restricted probes keep little of a body in memory.
// Faults: T37.
func TestRestrictedProbesHoldSmallBodies(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("{}" + strings.Repeat(" ", 100<<10)))
	}))
	defer page.Close()
	env := operatorOnLoopback()
	keys := "url = \"" + page.URL + "\"\n"
	ok(t, build(t, "http", keys, env))
	ok(t, build(t, "http", keys+"expect_body = \"^{}\"", Env{}))
	if r := ok(t, build(t, "http", keys+"expect_body = \"^{}\"", env)); r.Detail != "status 200, 65536 bytes read, the body is larger than 64 KiB" {
		t.Errorf("detail %q", r.Detail)
	}
	for _, look := range []string{`expect_body = "$^"`, `expect_json = { a = 1 }`, `measure = "body"`} {
		fails(t, build(t, "http", keys+look, env), "the body is larger than 64 KiB")
	}
}

// A slow pattern ends with the probe, and a large one is refused.
func TestPatternsAreBounded(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{strings.Repeat("(.?){1000}", 10), "the regular expression is too large"},
		{strings.Repeat("a", maxPattern+1), "longer than 4096 bytes"},
		{"(", "missing closing )"},
		{"a{1001}", "invalid repeat count"},
	} {
		_, err := newPattern("expect", c.text)
		if err == nil || !strings.HasPrefix(err.Error(), "expect: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: got %v, want %s", c.text, err, c.want)
		}
	}
	p, err := newPattern("expect", "(.?){1000}y")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := p.match(ctx, []byte(strings.Repeat("x", maxBody))); err == nil || time.Since(begin) > 3*time.Second { // of ten or more
		t.Errorf("got %v after %v, want an end at the deadline", err, time.Since(begin))
	}
}

// Both ways of matching give the same result.
func TestPatternsMatchLongTexts(t *testing.T) {
	long := strings.Repeat("é\xffz ", testkit.Fewer(1<<15, 1<<12))
	for text, want := range map[string]bool{
		"end$": true, "^é": true, "\\bend": true, "middle": false, "^end": false, "z é": true, "\\x{fffd}": true, "(.?){50}end": true,
	} {
		p, err := newPattern("expect", text)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{p.size, uncheckedSteps} {
			p.size = size
			if got, err := p.match(t.Context(), []byte(long+"end")); err != nil || got != want {
				t.Errorf("%q, as one of size %d: got %v, %v, want %v", text, size, got, err, want)
			}
		}
	}
}

// Each kind with a pattern respects its deadline while it matches.
func TestPatternsObeyTheDeadline(t *testing.T) {
	const slow = `"(?:.?){1000}y"`
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", maxBody-1)))
	}))
	defer page.Close()
	timesOut(t, build(t, "http", "url = \""+page.URL+"\"\nexpect_body = "+slow, Env{}))
}
