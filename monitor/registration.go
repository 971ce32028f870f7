package monitor

import (
	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/document"
)

// Registration returns the properties of the definition on which the permission to
// register it depends.
func (d *Definition) Registration() access.Registration {
	r := access.Registration{Probe: d.probe.Kind}
	for _, s := range append([]document.Section{d.probe}, d.actions...) {
		if s.Kind == kindExec {
			r.Commands = append(r.Commands, commandOf(s))
		}
	}
	for _, s := range d.actions {
		if s.Receiver == "" {
			r.Actions = append(r.Actions, s.Kind)
		}
	}
	return r
}

// commandOf returns the command of an exec section. Values of the wrong type yield
// no command; the kind reports them later.
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
