package monitor

import "github.com/microhq/monitor-srv/access"

// Wish returns what of the definition decides who may register it.
func (d *Definition) Wish() access.Wish {
	w := access.Wish{Probe: d.probe.kind}
	for _, s := range append([]section{d.probe}, d.actions...) {
		if s.kind == kindExec {
			w.Commands = append(w.Commands, s.command())
		}
	}
	for _, s := range d.actions {
		if s.receiver == "" {
			w.Actions = append(w.Actions, s.kind)
		}
	}
	return w
}

// command reads the command of a section of the kind exec. What is not of its
// type yields none; the kind itself refuses it later.
func (s section) command() access.Command {
	c := access.Command{}
	for _, key := range []string{"env", "pass_env", "dir"} {
		if _, ok := s.tree[key]; ok {
			c.Altered = true
		}
	}
	path, ok := s.tree["command"].(string)
	if !ok {
		return c
	}
	argv := []string{path}
	if args, given := s.tree["args"]; given {
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
