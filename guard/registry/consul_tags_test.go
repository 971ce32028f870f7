package registry

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// packed returns a tag as go-micro's plugin writes it.
func packed(t testing.TB, prefix, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return prefix + hex.EncodeToString(b.Bytes())
}

func TestTagsOfGoMicroAreDecoded(t *testing.T) {
	endpoint := `{"name":"Monitor.Status","metadata":{"a":"b"}}`
	for name, c := range map[string]struct {
		tags     []string
		version  string
		metadata map[string]string
		names    string
		bad      int
	}{
		"none":               {},
		"packed":             {tags: []string{packed(t, "t-", `{"a":"b"}`), packed(t, "t-", `{"c":"d"}`), packed(t, "v-", "1.2"), packed(t, "e-", endpoint)}, version: "1.2", metadata: map[string]string{"a": "b", "c": "d"}, names: "Monitor.Status"},
		"plain":              {tags: []string{`t={"a":"b"}`, "v=0.9", "e=" + endpoint}, version: "0.9", metadata: map[string]string{"a": "b"}, names: "Monitor.Status"},
		"first form counts":  {tags: []string{`t={"a":"plain"}`, packed(t, "t-", `{"a":"packed"}`)}, metadata: map[string]string{"a": "plain"}},
		"first version":      {tags: []string{packed(t, "v-", "1"), "v=2"}, version: "1"},
		"short ones":         {tags: []string{"", "t", "v", "e", "t-", "v-"}, bad: 2},
		"those of others":    {tags: []string{"urlprefix-/x", "traefik.enable=true", "vx", "t:1"}},
		"no hex":             {tags: []string{"v-zz", "v=2"}, version: "2", bad: 1},
		"no zlib":            {tags: []string{"t-" + hex.EncodeToString([]byte(`{"a":"b"}`))}, bad: 1},
		"cut":                {tags: []string{packed(t, "t-", `{"a":"b"}`)[:20]}, bad: 1},
		"no object":          {tags: []string{packed(t, "t-", `[1]`), packed(t, "e-", `null`)}, bad: 2},
		"bad before a good":  {tags: []string{"t-00", packed(t, "t-", `{"a":"b"}`)}, metadata: map[string]string{"a": "b"}, bad: 1},
		"inflates too large": {tags: []string{packed(t, "v-", strings.Repeat("0", maxTag+1)), packed(t, "v-", "1")}, version: "1", bad: 1},
		"as large as may be": {tags: []string{packed(t, "v-", strings.Repeat("0", maxTag))}, version: strings.Repeat("0", maxTag)},
	} {
		d := new(tagDecoder)
		got := d.decode(c.tags)
		again := d.decode(c.tags) // with what it reuses
		var names []string
		for _, e := range got.endpoints {
			names = append(names, e.Name)
		}
		if got.version != c.version || !maps.Equal(got.metadata, c.metadata) || strings.Join(names, " ") != c.names || got.bad != c.bad {
			t.Errorf("%s: got %.100v, endpoints %v, want %.100v", name, got, names, c)
		}
		if again.version != got.version || !maps.Equal(again.metadata, got.metadata) || again.bad != got.bad {
			t.Errorf("%s: the second time it is %.100v", name, again)
		}
	}
}

func TestTagsOfOneNodeTakeBoundedMemory(t *testing.T) {
	large := packed(t, "t-", `{"a":"`+strings.Repeat("x", maxTag-10)+`"}`)
	tags := make([]string, 10*maxTags)
	for i := range tags {
		tags[i] = large
	}
	d := new(tagDecoder)
	got := d.decode(tags)
	if taken := maxTagTotal - d.left; taken > maxTagTotal+maxTag || got.bad < len(tags)-2*maxTagTotal/maxTag {
		t.Errorf("%d bytes are taken, %d tags refused", taken, got.bad)
	}
}

func FuzzTags(f *testing.F) {
	f.Add("t-", `{"a":"b"}`, "v=1")
	f.Add("e-", `{"name":"x"}`, "t")
	f.Add("v-", "1.0", "t-00")
	f.Fuzz(func(t *testing.T, prefix, text, tag string) {
		d := new(tagDecoder)
		for _, tags := range [][]string{{packed(t, prefix, text), tag}, {tag, prefix + text}, {tag, packed(t, prefix, text)}} {
			got := d.decode(tags)
			if len(got.version) > maxTag || got.bad > len(tags) {
				t.Fatalf("%q: %v", tags, got)
			}
			if prefix == "v-" && tags[0] != tag && len(text) <= maxTag && got.version != text {
				t.Fatalf("version %q is read as %q", text, got.version)
			}
			var pairs map[string]string
			if prefix == "t-" && tags[0] != tag && len(text) <= maxTag && json.Unmarshal([]byte(text), &pairs) == nil {
				for k, v := range pairs {
					if got.metadata[k] != v && !strings.HasPrefix(tag, "t-") {
						t.Fatalf("metadata %q is read as %v", text, got.metadata)
					}
				}
			}
		}
	})
}

func BenchmarkTags(b *testing.B) {
	tags := []string{packed(b, "t-", `{"broker":"http"}`), packed(b, "t-", `{"protocol":"mucp"}`), packed(b, "v-", "1.0.0")}
	for range 20 {
		tags = append(tags, packed(b, "e-", `{"name":"Service.Method","request":{"name":"Request","type":"Request","values":null}}`))
	}
	d := new(tagDecoder)
	b.ReportAllocs()
	for b.Loop() {
		d.decode(tags)
	}
}
