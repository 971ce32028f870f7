package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/microhq/monitor-srv/connlimit"
)

var (
	// ErrNoToken says that changes are disabled because the service has no tokens. It
	// maps to 403: no credentials would help.
	ErrNoToken = errors.New("changes are disabled: the service has no token file (--token_file FILE)")
	// ErrUnauthorized says that the token is missing or unknown: 401.
	ErrUnauthorized = errors.New("the token is missing or unknown: send Authorization: Bearer TOKEN, or TOKEN as the password of HTTP Basic")
	// ErrForbidden says that the role of the token is not sufficient: 403.
	ErrForbidden = errors.New("forbidden")
	// ErrTooMany says that the token is wrong, as many before from the address: 429.
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

// identify returns the role of a caller with a token, or "" for none, at the address
// "IP:port". It fails with ErrNoToken, ErrForbidden or ErrUnauthorized.
func (p Policy) identify(token, remote string) (Role, error) {
	switch {
	case p.Tokens != nil:
		if role := p.Tokens.Role(token); role != None {
			return role, nil
		}
		return None, ErrUnauthorized
	case !p.Insecure:
		return None, ErrNoToken
	case !Loopback(remote):
		return None, forbid("without a token file only clients on the same machine may make changes")
	}
	return Admin, nil
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

// Loopback reports whether a client at "IP:port" is on this machine.
func Loopback(remote string) bool { return connlimit.IP(remote).IsLoopback() }

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
