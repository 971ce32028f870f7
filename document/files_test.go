package document

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPathsAreRelativeToTheFileThatNamesThem resolves the paths of one table.
// Faults: U11.
func TestPathsAreRelativeToTheFileThatNamesThem(t *testing.T) {
	const text = `url_file = "a"
password_file = "/abs/b"
bearer_file = ""
port_file = 3
env = { PG_file = "stays" }
header_file = { Authorization = "../c", Other = "/abs/d" }
tls = { ca_file = "tls/e", server_name = "stays" }
`
	for file, dir := range map[string]string{"/etc/m/a.toml": "/etc/m", "sub/a.toml": "sub", "standard input": ".", "": ""} {
		doc, problem := Parse(file, text)
		if problem != nil {
			t.Fatal(problem)
		}
		doc.ResolveFiles(doc.Tree, "not a table", nil)
		absolute, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		at := func(path string) string {
			if file == "" {
				return path
			}
			return filepath.Join(absolute, path)
		}
		want := map[string]any{
			"url_file": at("a"), "password_file": "/abs/b", "bearer_file": "", "port_file": int64(3),
			"env":         map[string]any{"PG_file": "stays"},
			"header_file": map[string]any{"Authorization": at("../c"), "Other": "/abs/d"},
			"tls":         map[string]any{"ca_file": at("tls/e"), "server_name": "stays"},
		}
		if diff := cmp.Diff(want, doc.Tree); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", file, diff)
		}
		files := Section{Tree: doc.Tree}.Files()
		if want := []string{at("../c"), "/abs/d", "/abs/b", at("a"), at("tls/e")}; !reflect.DeepEqual(files, want) {
			t.Errorf("%q: files %q, want %q", file, files, want)
		}
	}
}
