package document

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// fileSuffix ends the keys that name files: password_file, tls.ca_file.
const fileSuffix = "_file"

// eachFile calls f for each path that the table of a kind names, with the table and
// key that hold it: the values of its keys *_file, and of those of its table tls. A
// key may hold a table of paths. The order is that of the keys.
func eachFile(table map[string]any, f func(holder map[string]any, key, path string)) {
	tls, _ := table["tls"].(map[string]any)
	for _, t := range []map[string]any{table, tls} {
		for _, key := range slices.Sorted(maps.Keys(t)) {
			if !strings.HasSuffix(key, fileSuffix) {
				continue
			}
			holder, keys := t, []string{key}
			if paths, ok := t[key].(map[string]any); ok {
				holder, keys = paths, slices.Sorted(maps.Keys(paths))
			}
			for _, k := range keys {
				if path, _ := holder[k].(string); path != "" {
					f(holder, k, path)
				}
			}
		}
	}
}

// ResolveFiles makes the relative paths that the tables of kinds name relative to the
// directory of the document, in place. A document that is no file, such as one of the
// API, stays as it is. Values that are no table are ignored.
func (d *Document) ResolveFiles(tables ...any) {
	if d.File == "" {
		return
	}
	dir, err := filepath.Abs(filepath.Dir(d.File))
	if err != nil {
		return // the working directory was removed: paths fail by themselves
	}
	for _, table := range tables {
		t, _ := table.(map[string]any)
		eachFile(t, func(holder map[string]any, key, path string) {
			if !filepath.IsAbs(path) {
				holder[key] = filepath.Join(dir, path)
			}
		})
	}
}
