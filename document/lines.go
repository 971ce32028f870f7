package document

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Lines returns the line of the key at a path such as "monitor.0.probe.url", or 0 if
// it is unknown.
type Lines func(path string) int

// Join returns the path of a key in the table at path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// linesOf finds the lines of the tables, keys and list elements of a TOML text. Paths
// without a line have that of the nearest enclosing key. Should its parser reject what
// the decoder has accepted, the rest of the text has no lines.
func linesOf(text string) Lines {
	f := lineFinder{text: []byte(strings.TrimPrefix(text, byteOrderMark)), line: 1, lines: make(map[pathHash]int), lengths: make(map[pathHash]int)}
	var parser unstable.Parser
	parser.Reset(f.text)
	table := noPath
	for parser.NextExpression() {
		switch e := parser.Expression(); e.Kind {
		case unstable.Table:
			table = f.key(noPath, e.Key())
		case unstable.ArrayTable:
			list := f.key(noPath, e.Key())
			table = list.index(f.lengths[list])
			f.lengths[list]++
			f.lines[table] = f.line
		default:
			f.value(f.key(table, e.Key()), e.Value())
		}
	}
	lines := f.lines
	return func(path string) int {
		line, hash := 0, noPath
		for key := range strings.SplitSeq(path, ".") {
			hash = hash.join([]byte(key))
			line = cmp.Or(lines[hash], line)
		}
		return line
	}
}

// lineFinder visits the keys of a text in order.
type lineFinder struct {
	text []byte
	// offset and line are those of the last key or list element.
	offset, line int
	lines        map[pathHash]int
	// lengths are those of the lists of tables so far.
	lengths map[pathHash]int
}

// key adds a dotted key of the table at path, and returns its path. Keys below a list
// of tables belong to the last element.
func (f *lineFinder) key(path pathHash, parts unstable.Iterator) pathHash {
	for parts.Next() {
		f.moveTo(parts.Node())
		if n := f.lengths[path]; n > 0 {
			path = path.index(n - 1)
		}
		path = path.join(parts.Node().Data)
		f.lines[path] = cmp.Or(f.lines[path], f.line)
	}
	return path
}

// value adds the keys and list elements of the value at path.
func (f *lineFinder) value(path pathHash, value *unstable.Node) {
	first, children := f.line, value.Children()
	for i := 0; children.Next(); i++ {
		child := children.Node()
		if child.Kind == unstable.KeyValue {
			f.value(f.key(path, child.Key()), child.Value())
			continue
		}
		if f.moveTo(child); f.line > first {
			f.lines[path.index(i)] = f.line
		}
		f.value(path.index(i), child)
	}
}

// moveTo counts the lines before a node. A list within a list has no place of its own.
func (f *lineFinder) moveTo(node *unstable.Node) {
	if offset := int(node.Raw.Offset); offset > f.offset {
		f.line += bytes.Count(f.text[f.offset:offset], []byte("\n"))
		f.offset = offset
	}
}

// pathHash is the FNV-1a hash of a path with a dot after each key. The paths
// themselves may be much longer than the text.
type pathHash uint64

const noPath pathHash = 14695981039346656037

func (h pathHash) index(i int) pathHash { return h.join(strconv.AppendInt(nil, int64(i), 10)) }

func (h pathHash) join(key []byte) pathHash {
	const prime = 1099511628211
	for _, c := range key {
		h = (h ^ pathHash(c)) * prime
	}
	return (h ^ '.') * prime
}
