package probe

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
)

func TestJSONRules(t *testing.T) {
	const doc = `{"status": "up", "n": 3, "ok": true, "null": null, "": {"": 1}, "a": {"b": {"c": "deep"}}, "a.b": {"d": "dotted"},
		"list": [[1, 2], {"x": "y"}, "z"], "a.b.e": 5, "3": {"4": "number"}}`
	for _, c := range []struct {
		path string
		want any
		err  string
	}{
		{"status", "up", ""}, {"n", 3.0, ""}, {"ok", true, ""}, {"a.b.c", "deep", ""}, {"a.b.d", "dotted", ""}, {"a.b.e", 5.0, ""},
		{"list.0.1", 2.0, ""}, {"list.1.x", "y", ""}, {"list.2", "z", ""}, {"3.4", "number", ""},
		{"status", "down", `"status" is not down`}, {"n", "3", `"n" is not 3`}, {"null", "x", `"null" is not x`},
		{"list.3", "z", `"list.3" is not in the body`}, {"list", "z", `"list" is not in the body`}, {"a.b", "x", `"a.b" is not in the body`},
		{"status.x", "up", `"status.x" is not in the body`}, {"stat", "up", `"stat" is not in the body`}, {"list.-1", 1.0, `"list.-1" is not in the body`},
	} {
		err := checkJSON([]byte(doc), []jsonRule{{"status", "up"}, {c.path, c.want}})
		if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != "expect_json: "+c.err) {
			t.Errorf("%s = %v: got %v, want %q", c.path, c.want, err, c.err)
		}
	}
	for _, bad := range []string{"", "{", `{"a"}`, `{"a": 1,}`, "[1 2]", `{"a": 1]`, "nothing", strings.Repeat("[", 1<<20)} {
		if err := checkJSON([]byte(bad), []jsonRule{{"a", 1.0}}); err == nil || err.Error() != "the body is not JSON" {
			t.Errorf("%.20q: got %v", bad, err)
		}
	}
}

// T37: a document that is large as a tree takes no more memory than any other.
func TestT37JSONIsNotKept(t *testing.T) {
	for _, part := range []string{`{},`, `[],`, `0,`, `{"":0},`} {
		doc := []byte("[" + strings.Repeat(part, maxBody/len(part)-2) + "0]")
		if !json.Valid(doc) || len(doc) > maxBody {
			t.Fatalf("%d bytes", len(doc))
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		stop, most := make(chan struct{}), make(chan uint64)
		go func() {
			top := uint64(0)
			for {
				select {
				case <-stop:
					most <- top
					return
				default:
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				top = max(top, after.HeapAlloc)
			}
		}()
		err := checkJSON(doc, []jsonRule{{"1000000.x", "y"}})
		close(stop)
		if top := <-most; top > before.HeapAlloc+4<<20 {
			t.Errorf("%s: %d KiB were kept", part, (top-before.HeapAlloc)>>10)
		}
		if err == nil {
			t.Errorf("%s: no error", part)
		}
	}
}

// T37: what operators register holds little of a body.
func TestT37RestrictedProbesHoldSmallBodies(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("{}" + strings.Repeat(" ", 100<<10)))
	}))
	defer page.Close()
	env := Env{Restricted: true, AllowTargets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	keys := "url = \"" + page.URL + "\"\n"
	ok(t, build(t, "http", keys, env))
	ok(t, build(t, "http", keys+"expect_body = \"^{}\"", Env{}))
	for _, look := range []string{`expect_body = "^{}"`, `expect_json = { a = 1 }`, `measure = "body"`} {
		fails(t, build(t, "http", keys+look, env), "the body is larger than 64 KiB")
	}
}
