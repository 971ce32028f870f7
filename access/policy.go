package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNoToken says that changes are disabled because the service has no tokens. It
	// maps to 403: no credentials would help.
	ErrNoToken = errors.New("changes are disabled: the service has no token file (--token_file FILE)")
	// ErrUnauthorized says that the token is missing or unknown: 401.
	ErrUnauthorized = errors.New("the token is missing or unknown: send Authorization: Bearer TOKEN, or TOKEN as the password of HTTP Basic")
	// ErrForbidden says that the role of the token is not sufficient: 403.
	ErrForbidden = errors.New("forbidden")
	// ErrTooMany says that the address has sent too many wrong tokens: 429.
	ErrTooMany = errors.New("too many wrong tokens from this address")
)

// TooManyError is an ErrTooMany with the time to wait.
type TooManyError struct{ Wait time.Duration }

// Error rounds the time to wait up to full seconds.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("%v: wait %v", ErrTooMany, e.Wait.Truncate(time.Second)+time.Second)
}

// RetryAfter returns the time to wait.
func (e *TooManyError) RetryAfter() time.Duration { return e.Wait }

// Unwrap returns ErrTooMany.
func (e *TooManyError) Unwrap() error { return ErrTooMany }

// Policy decides what a caller may do. The zero value allows no changes. It may be
// copied.
type Policy struct {
	// Tokens is nil if there is no token file.
	Tokens *Tokens
	// Insecure makes every client on this machine an Admin. It is ignored if there are
	// Tokens.
	Insecure bool
	// ExecAPI allows an Admin to register monitors that run commands.
	ExecAPI bool
	// ExecAllow restricts ExecAPI to the commands of a list, unless it is nil.
	ExecAllow *ExecAllow
	// Hosts are the names, besides localhost and addresses, under which callers without
	// a token may reach the service; see CheckSite.
	Hosts []string
}

// Identify returns the role of a caller with a token, or "" for none, at the address
// "IP:port". It fails with ErrNoToken, ErrUnauthorized or ErrTooMany.
func (p Policy) Identify(token, remoteAddr string) (Role, error) {
	if p.Tokens == nil {
		switch {
		case !p.Insecure:
			return None, ErrNoToken
		case !Loopback(remoteAddr):
			return None, forbid("without a token file only clients on the same machine may make changes")
		}
		return Admin, nil
	}
	from, now := Source(remoteAddr), time.Now()
	if wait := p.Tokens.failures.wait(from, now); wait > 0 {
		return None, &TooManyError{wait}
	}
	role := p.Tokens.Role(token)
	if role == None {
		// A call without a token is not a guess, and must not lock out other clients
		// with the same address.
		if token != "" {
			p.Tokens.failures.add(from, now)
		}
		return None, ErrUnauthorized
	}
	return role, nil
}

// Allow returns nil if the caller has at least the role need, else ErrNoToken,
// ErrUnauthorized, ErrForbidden or ErrTooMany with the reason. Every caller has the
// role None.
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

// Enough returns nil if the role have includes the role need, else an ErrForbidden
// that names both.
func Enough(have, need Role) error {
	if have < need {
		return forbid("the role %s is not sufficient, %s is required", have, need)
	}
	return nil
}

// forbid returns an ErrForbidden whose message is the reason only.
func forbid(format string, args ...any) error {
	return &forbiddenError{fmt.Sprintf(format, args...)}
}

type forbiddenError struct{ reason string }

func (e *forbiddenError) Error() string        { return e.reason }
func (e *forbiddenError) Is(target error) bool { return target == ErrForbidden }

// Owner identifies a caller for the limits of registrations: by its role and the
// first 8 bytes of a hash of its token, which do not reveal the token. It is empty
// without Tokens, because then callers cannot be distinguished.
func (p Policy) Owner(role Role, token string) string {
	if p.Tokens == nil {
		return ""
	}
	sum := sha256.Sum256([]byte("monitor-srv owner\x00" + token))
	return fmt.Sprintf("%v:%x", role, sum[:8])
}
