package access

// Caller is a client that asks for a change, identified by its token and address.
type Caller struct {
	Role Role
	// Owner is whom its registrations count for, see Policy.Owner.
	Owner string
	// Remote is the client's address, "IP:port".
	Remote string
}

// Caller identifies a client by the token it sent, which is empty if it sent
// none, and its address. It fails as Identify does; the Caller has its address
// then too.
func (p Policy) Caller(token, remoteAddr string) (Caller, error) {
	role, err := p.Identify(token, remoteAddr)
	c := Caller{Role: role, Remote: remoteAddr}
	if err == nil {
		c.Owner = p.Owner(role, token)
	}
	return c, err
}
