package monitor

import (
	"errors"
	"fmt"

	"github.com/microhq/monitor-srv/access"
)

// Registered is the result of RegisterText.
type Registered struct {
	ID   int64
	Name string
	// Existed is set if the caller had registered the same definition before, so
	// that nothing changed.
	Existed bool
}

// RegisterText registers the definition in text for a client of the API, as JSON
// or TOML (see ParseOne), if the policy allows it to the caller. Both doors,
// REST and RPC, register through it. It fails with an error of package access,
// ErrTooLarge, ErrInvalid, ErrExists, ErrFull, a *RateError or ErrJournal.
func (g *Group) RegisterText(p access.Policy, c access.Caller, text string) (Registered, error) {
	if err := access.Enough(c.Role, access.Operator); err != nil {
		return Registered{}, err
	}
	d, err := ParseOne(text)
	if err != nil {
		return Registered{}, invalid(err)
	}
	if err := p.Permit(c.Role, d.Wish()); err != nil {
		return Registered{}, fmt.Errorf("registering monitor %q: %w", d.Name, err)
	}
	d.Trusted, d.Owner = c.Role >= access.Admin, c.Owner
	id, existed, err := g.register(d)
	return Registered{ID: id, Name: d.Name, Existed: existed}, err
}

// invalidError is an ErrInvalid that says only what is wrong.
type invalidError struct{ err error }

// invalid marks an error as one of the definition's content.
func invalid(err error) error {
	if err == nil || errors.Is(err, ErrTooLarge) {
		return err
	}
	return &invalidError{err}
}

func (e *invalidError) Error() string        { return e.err.Error() }
func (e *invalidError) Unwrap() error        { return e.err }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }
