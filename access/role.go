package access

// Role is the set of permissions of a caller. Each role includes the ones before it.
type Role uint8

const (
	// None is the role of a caller without a known token.
	None Role = iota
	// Viewer may read, where reading requires a token.
	Viewer
	// Operator may start, stop and unregister monitors, and register those that Permit
	// allows.
	Operator
	// Admin may do everything, except that Policy.ExecAPI governs exec.
	Admin
)

// String returns the name of the role in a token file, or "none".
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

// roleNamed returns the role with a name, or None.
func roleNamed(name string) Role {
	for _, r := range []Role{Viewer, Operator, Admin} {
		if r.String() == name {
			return r
		}
	}
	return None
}
