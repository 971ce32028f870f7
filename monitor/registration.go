package monitor

import (
	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/document"
)

// Wish returns what of the definition decides who may register it.
func (d *Definition) Registration() access.Registration {
	w := access.Registration{Probe: d.probe.Kind}
	for _, s := range append([]document.Section{d.probe}, d.actions...) {
		if s.Kind == kindExec {
			w.Commands = append(w.Commands, commandOf(s))
		}
	}
	for _, s := range d.actions {
		if s.Receiver == "" {
			w.Actions = append(w.Actions, s.Kind)
		}
	}
	return w
}

// commandOf reads the command of a section of the kind exec. What is not of its
// type yields none; the kind itself refuses it later.
func commandOf(s document.Section) access.Command {
	c := access.Command{}
	for _, key := range []string{"env", "pass_env", "dir"} {
		if _, ok := s.Tree[key]; ok {
			c.CustomEnv = true
		}
	}
	path, ok := s.Tree["command"].(string)
	if !ok {
		return c
	}
	argv := []string{path}
	if args, given := s.Tree["args"]; given {
		list, ok := args.([]any)
		if !ok {
			return c
		}
		for _, a := range list {
			text, ok := a.(string)
			if !ok {
				return c
			}
			argv = append(argv, text)
		}
	}
	c.Argv = argv
	return c
}
