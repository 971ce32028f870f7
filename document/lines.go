package document

import (
	"fmt"
	"strings"
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

// linesOf finds the lines of the tables and keys of a TOML text that the parser has
// accepted. It looks at headers and at keys at the start of a line only. Any other
// key, such as one of an inline table, gets the line of the nearest enclosing key.
func linesOf(text string) Lines {
	lines := make(map[string]int)
	counts := make(map[string]int)
	table, delimiter := "", ""
	for i, line := range strings.Split(text, "\n") {
		if delimiter != "" {
			if strings.Contains(line, delimiter) {
				delimiter = ""
			}
			continue
		}
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "[["):
			name := resolvePath(headerName(line, "]]"), counts)
			n := counts[name]
			counts[name]++
			table = Join(name, fmt.Sprint(n))
			if n == 0 {
				setLine(lines, name, i+1)
			}
			lines[table] = i + 1
		case line[0] == '[':
			table = resolvePath(headerName(line, "]"), counts)
			setLine(lines, table, i+1)
		default:
			key, value, ok := strings.Cut(line, "=")
			if ok {
				setLine(lines, Join(table, unquoteKey(key)), i+1)
				delimiter = openDelimiter(value)
			}
		}
	}
	return func(path string) int {
		for path != "" {
			if n, ok := lines[path]; ok {
				return n
			}
			i := strings.LastIndexByte(path, '.')
			if i < 0 {
				break
			}
			path = path[:i]
		}
		return 0
	}
}

// setLine sets the line of a path, and of its parents that have none.
func setLine(lines map[string]int, path string, line int) {
	for path != "" && lines[path] == 0 {
		lines[path] = line
		i := max(0, strings.LastIndexByte(path, '.'))
		path = path[:i]
	}
}

// headerName returns the dotted name in a header line.
func headerName(line, end string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(line, "["), end)
	return unquoteKey(name)
}

// unquoteKey removes the quotes and spaces of a dotted key.
func unquoteKey(key string) string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}

// resolvePath inserts the index of the last element after each list in a dotted
// name, as TOML does: [monitor.probe] belongs to the last [[monitor]].
func resolvePath(name string, counts map[string]int) string {
	parts := strings.Split(name, ".")
	path := ""
	for i, p := range parts {
		path = Join(path, p)
		if n := counts[path]; n > 0 && i < len(parts)-1 {
			path = Join(path, fmt.Sprint(n-1))
		}
	}
	return path
}

// openDelimiter returns the delimiter of a multi-line string that starts in value
// and does not end there.
func openDelimiter(value string) string {
	for _, delimiter := range []string{`"""`, "'''"} {
		if strings.Count(value, delimiter)%2 == 1 {
			return delimiter
		}
	}
	return ""
}
