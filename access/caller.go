package access

// Caller is a client that requests a change.
type Caller struct {
	Role Role
	// Owner identifies the client for the limits of registrations, see Policy.Owner.
	Owner string
	// Remote is the client's address, "IP:port".
	Remote string
}

// Caller identifies a client by its token, or "" for none, and its address. It fails
// as Identify does. The Caller has the address even then.
func (p Policy) Caller(token, remoteAddr string) (Caller, error) {
	role, err := p.Identify(token, remoteAddr)
	c := Caller{Role: role, Remote: remoteAddr}
	if err == nil {
		c.Owner = p.Owner(role, token)
	}
	return c, err
}
