package access

// Role says how much a caller may do. Each role may all that the ones before it
// may.
type Role uint8

const (
	// None is the role of a caller without a token that is known.
	None Role = iota
	// Viewer may read where reading needs a token.
	Viewer
	// Operator may start and stop, and register and unregister monitors of the
	// kinds that Permit names.
	Operator
	// Admin may everything, but for exec, which Policy.ExecAPI rules.
	Admin
)

// String returns the name that a token file gives the role, or "none".
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	}
	return "none"
}

// roleNamed returns the role that a token file names, or None.
func roleNamed(name string) Role {
	for _, r := range []Role{Viewer, Operator, Admin} {
		if r.String() == name {
			return r
		}
	}
	return None
}
