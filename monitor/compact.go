package monitor

import (
	"bytes"
	"fmt"

	"github.com/microhq/monitor-srv/document"
)

// packed returns the definition with what it was read into turned back into a
// text, and without the lines of its document: between two changes a monitor
// needs neither, and they are a third of its memory. What JSON cannot say stays as
// it is.
func (d *Definition) compact() *Definition {
	text, err := d.JSON()
	if err != nil {
		return d
	}
	p := *d
	p.json, p.tree = text, nil
	p.probe = d.probe.Compact()
	if d.filter != nil {
		f := d.filter.Compact()
		p.filter = &f
	}
	p.actions = nil
	for _, s := range d.actions {
		p.actions = append(p.actions, s.Compact())
	}
	return &p
}

// unpacked returns the definition as it was before it was packed, but for the
// lines of its keys: what is found wrong has the line of the definition.
func (d *Definition) expand() (*Definition, error) {
	if d.json == nil {
		return d, nil
	}
	tree, err := document.ReadJSON(string(d.json))
	if err != nil {
		return nil, fmt.Errorf("unpacking monitor %q: %w", d.Name, err)
	}
	read, err := newDefinition(tree, "", func(string) int { return d.line })
	if err != nil {
		return nil, fmt.Errorf("unpacking monitor %q: %w", d.Name, err)
	}
	u := *d
	u.json, u.tree = nil, read.tree
	u.probe, u.filter, u.actions = read.probe, read.filter, read.actions
	return &u, nil
}

// says tells whether two definitions hold the same keys with the same values.
func (d *Definition) sameKeys(other *Definition) bool {
	mine, err := d.JSON()
	if err != nil {
		return false
	}
	theirs, err := other.JSON()
	return err == nil && bytes.Equal(mine, theirs)
}
