package monitor

// CommandLine is a command that a definition would have run.
type CommandLine struct {
	// Argv is the command and its arguments; nil if the definition does not say
	// them properly.
	Argv []string
	// Altered is set if the definition also gives the command variables, a
	// directory, or more of our own variables, which change what it does.
	Altered bool
}

// ProbeKind returns the kind of the definition's probe.
func (d *Definition) ProbeKind() string { return d.probe.kind }

// ActionKinds returns the kinds of the actions that are written out, in order.
// Actions that name a receiver are left out.
func (d *Definition) ActionKinds() []string {
	var kinds []string
	for _, s := range d.actions {
		if s.receiver == "" {
			kinds = append(kinds, s.kind)
		}
	}
	return kinds
}

// Commands returns what the probe and the actions of kind exec would run.
func (d *Definition) Commands() []CommandLine {
	var all []CommandLine
	for _, s := range append([]section{d.probe}, d.actions...) {
		if s.kind == kindExec {
			all = append(all, s.command())
		}
	}
	return all
}

func (s section) command() CommandLine {
	var c CommandLine
	for key := range s.tree {
		switch key {
		case "env", "dir", "pass_env":
			c.Altered = true
		}
	}
	path, ok := s.tree["command"].(string)
	if !ok {
		return c
	}
	argv := []string{path}
	args, ok := s.tree["args"].([]any)
	if !ok && s.tree["args"] != nil {
		return c
	}
	for _, arg := range args {
		text, ok := arg.(string)
		if !ok {
			return c
		}
		argv = append(argv, text)
	}
	c.Argv = argv
	return c
}
