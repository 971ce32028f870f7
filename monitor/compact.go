package monitor

import (
	"fmt"

	"github.com/microhq/monitor-srv/document"
)

// compact returns the definition with its tree encoded as JSON and without the
// lines of its document. Both are needed only when it is built, and take a third of
// the memory of a monitor. A definition that JSON cannot represent stays as it is.
func (d *Definition) compact() *Definition {
	text, err := d.JSON()
	if err != nil {
		return d
	}
	c := *d
	c.json, c.tree = text, nil
	c.probe = d.probe.Compact()
	if d.filter != nil {
		f := d.filter.Compact()
		c.filter = &f
	}
	c.actions = nil
	for _, s := range d.actions {
		c.actions = append(c.actions, s.Compact())
	}
	return &c
}

// expand reverses compact, except for the lines of the keys: errors have the line
// of the definition.
func (d *Definition) expand() (*Definition, error) {
	if d.json == nil {
		return d, nil
	}
	tree, err := document.ReadJSON(string(d.json))
	if err != nil {
		return nil, fmt.Errorf("decoding monitor %q: %w", d.Name, err)
	}
	read, err := newDefinition(tree, "", func(string) int { return d.line })
	if err != nil {
		return nil, fmt.Errorf("decoding monitor %q: %w", d.Name, err)
	}
	e := *d
	e.json, e.tree = nil, read.tree
	e.probe, e.filter, e.actions = read.probe, read.filter, read.actions
	return &e, nil
}
