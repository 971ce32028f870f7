package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNoToken says that nobody may change anything, because the service was
	// given no tokens. It is no fault of the caller: 403.
	ErrNoToken = errors.New("changes are switched off: the service has no token file (--token_file FILE)")
	// ErrUnauthorized says that the token is missing or not known: 401.
	ErrUnauthorized = errors.New("a token is needed, and none that is known was given: send Authorization: Bearer TOKEN, or TOKEN as the password of HTTP Basic")
	// ErrForbidden says that the role of the token is not enough: 403.
	ErrForbidden = errors.New("forbidden")
	// ErrTooMany says that the address guessed too often: 429.
	ErrTooMany = errors.New("too many wrong tokens came from this address")
)

// TooManyError is an ErrTooMany that tells how long to wait.
type TooManyError struct{ Wait time.Duration }

// Error says how long to wait, in full seconds.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("%v: wait %v", ErrTooMany, e.Wait.Truncate(time.Second)+time.Second)
}

// RetryAfter returns how long to wait.
func (e *TooManyError) RetryAfter() time.Duration { return e.Wait }

// Unwrap returns ErrTooMany.
func (e *TooManyError) Unwrap() error { return ErrTooMany }

// Policy decides what a caller may do. The zero value lets nobody change
// anything. It may be copied.
type Policy struct {
	// Tokens carry roles; nil if there is no token file.
	Tokens *Tokens
	// Insecure makes every client of this machine an Admin; it means nothing if
	// there are Tokens.
	Insecure bool
	// ExecAPI lets an Admin register monitors that run commands.
	ExecAPI bool
	// ExecAllow narrows ExecAPI to the commands of a list, unless it is nil.
	ExecAllow *ExecAllow
	// Hosts are the names, besides localhost and addresses, that callers without a
	// token may know the service by; see CheckSite.
	Hosts []string
}

// Identify returns the role of a caller with a token, which is empty if it sent
// none, at the address "IP:port". It fails with ErrNoToken, ErrUnauthorized or
// ErrTooMany.
func (p Policy) Identify(token, remoteAddr string) (Role, error) {
	if p.Tokens == nil {
		switch {
		case !p.Insecure:
			return None, ErrNoToken
		case !Loopback(remoteAddr):
			return None, forbid("without tokens only clients of the same machine may make changes")
		}
		return Admin, nil
	}
	from, now := Source(remoteAddr), time.Now()
	if wait := p.Tokens.failures.wait(from, now); wait > 0 {
		return None, &TooManyError{wait}
	}
	role := p.Tokens.Role(token)
	if role == None {
		// A call without a token is no guess, and must not lock out those who
		// share its address.
		if token != "" {
			p.Tokens.failures.add(from, now)
		}
		return None, ErrUnauthorized
	}
	return role, nil
}

// Allow returns nil if the caller has at least the role that is needed, else
// ErrNoToken, ErrUnauthorized, ErrForbidden or ErrTooMany with the reason. The
// role None is everybody's.
func (p Policy) Allow(need Role, token, remoteAddr string) error {
	if need == None {
		return nil
	}
	role, err := p.Identify(token, remoteAddr)
	if err != nil {
		return err
	}
	return Enough(role, need)
}

// Enough returns nil if a role is at least the one that is needed, else an
// ErrForbidden that names both.
func Enough(have, need Role) error {
	if have < need {
		return forbid("the role %s is not enough, it takes %s", have, need)
	}
	return nil
}

// forbid returns an ErrForbidden that says no more than why.
func forbid(format string, args ...any) error {
	return &forbiddenError{fmt.Sprintf(format, args...)}
}

type forbiddenError struct{ why string }

func (e *forbiddenError) Error() string        { return e.why }
func (e *forbiddenError) Is(target error) bool { return target == ErrForbidden }

// Owner names who a caller is when registrations are counted: its role, and a few
// bytes of a checksum of its token, which is a name for it and no way to it. It is
// empty if there are no Tokens, because then callers cannot be told apart.
func (p Policy) Owner(role Role, token string) string {
	if p.Tokens == nil {
		return ""
	}
	sum := sha256.Sum256([]byte("monitor-srv owner\x00" + token))
	return fmt.Sprintf("%v:%x", role, sum[:8])
}
