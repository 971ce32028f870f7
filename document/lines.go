package document

import (
	"fmt"
	"strings"
)

// linesOf finds the line of each table and key of a TOML text. It reads only
// what it needs for that, headers and the keys at the start of a line, of a
// text that the TOML parser has accepted; what it does not see, such as a key
// within an inline table, has the line of the nearest key around it.
func linesOf(text string) Lines {
	lines := make(map[string]int)
	counts := make(map[string]int)
	table, open := "", ""
	for i, line := range strings.Split(text, "\n") {
		if open != "" {
			if strings.Contains(line, open) {
				open = ""
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
				open = openDelimiter(value)
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

// first notes the line of a table or key, and of the tables around it that are
// only there by its name.
func setLine(lines map[string]int, path string, line int) {
	for path != "" && lines[path] == 0 {
		lines[path] = line
		i := max(0, strings.LastIndexByte(path, '.'))
		path = path[:i]
	}
}

// header returns the dotted name of a table's header line.
func headerName(line, end string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(line, "["), end)
	return unquoteKey(name)
}

// plain drops the quotes and blanks of a dotted key.
func unquoteKey(key string) string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}

// resolve puts the number of the newest element behind each list in a dotted
// name, as TOML does: [monitor.probe] is that of the last [[monitor]].
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

// opened returns the delimiter of a string that begins in value and goes on in
// later lines.
func openDelimiter(value string) string {
	for _, delimiter := range []string{`"""`, "'''"} {
		if strings.Count(value, delimiter)%2 == 1 {
			return delimiter
		}
	}
	return ""
}
