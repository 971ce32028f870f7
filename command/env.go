package command

import (
	"os"
	"slices"
	"strings"
)

// defaultPath is used if this process has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// passedByDefault reports whether every program sees a variable of this process.
func passedByDefault(name string) bool {
	switch name {
	case "PATH", "HOME", "USER", "LANG", "TZ":
		return true
	}
	return strings.HasPrefix(name, "LC_")
}

// environment returns the environment of the program, each name once. Its first element
// is the mark of the run.
func environment(spec Spec, m mark) []string {
	values := map[string]string{"PATH": "PATH=" + defaultPath}
	take := func(pair string) (name string) {
		name, _, _ = strings.Cut(pair, "=")
		return name
	}
	for _, pair := range os.Environ() {
		if name := take(pair); passedByDefault(name) || slices.Contains(spec.Pass, name) {
			values[name] = pair
		}
	}
	for _, pair := range spec.Env {
		values[take(pair)] = pair
	}
	delete(values, markName)

	env := make([]string, 1, len(values)+1)
	env[0] = m.variable()
	for _, pair := range values {
		env = append(env, pair)
	}
	slices.Sort(env[1:])
	return env
}

// variable returns the value of a variable in env.
func variable(env []string, name string) string {
	for _, pair := range env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			return v
		}
	}
	return ""
}
