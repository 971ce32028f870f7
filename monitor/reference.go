package monitor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/text"
)

// namePrefix begins a reference that is a name whatever it looks like.
const namePrefix = "monitor:"

// Resolve returns the id of the monitor that a reference names. Digits are an id,
// anything else is a name, and monitor:NAME is always a name: that of a monitor named
// 12 is monitor:12. A name need not be in normal form. Resolve fails with ErrNotFound.
func (g *Group) Resolve(ref string) (int64, error) {
	ref = text.ComposeName(ref)
	name, explicit := strings.CutPrefix(ref, namePrefix)
	if !explicit && isNumber(ref) {
		id, err := strconv.ParseInt(ref, 10, 64)
		if _, absent := g.find(id); err != nil || absent != nil && g.lookup(ref) != nil {
			return 0, fmt.Errorf("monitor %.40s: %w%s", ref, ErrNotFound, g.nameHint(ref))
		}
		return id, nil // perhaps of an unrestored monitor, or of none
	}
	id, err := g.IDOf(name)
	if err != nil && explicit {
		err = fmt.Errorf("%w%s", err, g.nameHint(ref))
	}
	return id, err
}

// nameHint says how to name a monitor whose name is ref but means something else.
func (g *Group) nameHint(ref string) string {
	if g.lookup(ref) == nil {
		return ""
	}
	return fmt.Sprintf("; the monitor with this name is %s%s", namePrefix, ref)
}

func isNumber(ref string) bool {
	return ref != "" && !strings.ContainsFunc(ref, func(r rune) bool { return r < '0' || r > '9' })
}

// IDOf returns the id of the monitor with a name, or ErrNotFound.
func (g *Group) IDOf(name string) (int64, error) {
	if r := g.lookup(name); r != nil {
		return r.id, nil
	}
	g.mu.Lock()
	unrestored := g.unrestored
	g.mu.Unlock()
	for _, e := range unrestored {
		if e.Name == name && name != "" {
			return e.ID, nil
		}
	}
	hint := ""
	if near := document.Nearest(name, g.names()); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return 0, fmt.Errorf("monitor %.200q: %w%s", name, ErrNotFound, hint)
}

// names returns the names of all monitors.
func (g *Group) names() []string {
	var all []string
	for _, r := range g.sorted() {
		all = append(all, r.def.Name)
	}
	return all
}
