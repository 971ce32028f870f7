package probe

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/command"
)

// Probe measures one thing. Its methods are not called concurrently.
type Probe interface {
	// Probe measures once. It returns at most 200 ms after ctx ends; an exec probe at
	// most 1.5 s. An error is a failure, and so is a value that is not finite.
	Probe(ctx context.Context) (Result, error)
	// Close releases connections and memory. The probe must not be used afterwards.
	Close() error
}

// Result is the result of a measurement.
type Result struct {
	// Value is the measured number. With an error it is the value of the key errval,
	// which is shown and never judged.
	Value float64
	// Detail is one line of at most 256 printable bytes for people: an exit code, a
	// status, addresses.
	Detail string
	// Phases are the phases of the measurement, in order, if the kind measures them.
	Phases []Phase
	// Warning is set if the target works but reports a warning. The verdict is a
	// warning at least; thresholds may make it worse.
	Warning bool
	// Cause is why the target is not well, as the target itself says. It explains a
	// verdict better than the threshold that Value violates. Empty: it does not say.
	Cause string
	// Pending is set if it is too early to say: there is no verdict.
	Pending bool
	// Stopped is set if the target was stopped on purpose. That is no failure, whatever
	// the thresholds.
	Stopped bool
	// Facts are what was seen besides the value.
	Facts Facts
}

// Phase is the duration of one phase of a probe.
type Phase struct {
	// Name is resolve, connect, tls, first_byte or body.
	Name     string
	Duration time.Duration
}

// Kind makes a probe of one kind. It sets the defaults of a struct, calls decode to
// fill it with the keys of the table, and checks them. Its errors name the key.
type Kind func(decode func(target any) error, env Env) (Probe, error)

// Env is what probes need from the program. The zero value is enough for every kind
// but rpc, event and stats.
type Env struct {
	// Dial opens connections; nil means net.Dialer. Restricted probes do not use it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Interval is the time between two probes; zero if unknown.
	Interval time.Duration
	// Restricted is set for a probe that was registered over the API by somebody who
	// may not see what this host can reach. It connects to public addresses only,
	// follows no redirect, uses no proxy and reads no file or variable.
	Restricted bool
	// AllowTargets are networks that restricted probes may reach in addition.
	AllowTargets []netip.Prefix
	// Caller calls services, for the kind rpc.
	Caller Caller
	// Events and Stats provide published events, for the kinds event and stats.
	Events EventSource
	Stats  StatsSource
	// Log receives warnings about commands that cannot be killed. Nil discards them.
	Log *slog.Logger
	// Guardian adopts the orphans of exec probes, and kills their commands if this
	// process is killed. Nil means that nothing does.
	Guardian *command.Guardian
}

// Builtin returns the kinds of this package by their names in the key type, in a new
// map.
func Builtin() map[string]Kind {
	kinds := map[string]Kind{
		"dns":      newDNS,
		"event":    newEvent,
		"exec":     newExec,
		"grpc":     newGRPC,
		"http":     newHTTP,
		"mysql":    newMySQL,
		"ping":     newPing,
		"postgres": newPostgres,
		"redis":    newRedis,
		"rpc":      newRPC,
		"stats":    newStats,
		"tcp":      newTCP,
		"udp":      newUDP,
	}
	for name, kind := range kinds {
		kinds[name] = checked(kind)
	}
	return kinds
}

// New makes a probe of a kind. Its error names the kind.
func New(kinds map[string]Kind, name string, decode func(target any) error, env Env) (Probe, error) {
	kind, ok := kinds[name]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
		return nil, fmt.Errorf("unknown type of probe %q; known are %s", name, known)
	}
	p, err := kind(decode, env)
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", name, err)
	}
	return p, nil
}

// localOnly refuses a kind that operators may not register over the API.
func (e Env) localOnly() error {
	if e.Restricted {
		return fmt.Errorf("this type may not be registered with the role of an operator: define it in a local file")
	}
	return nil
}

// refuseKeys refuses keys that a restricted probe may not have. The map says which of
// them are given.
func (e Env) refuseKeys(given map[string]bool) error {
	if !e.Restricted {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if given[key] {
			return fmt.Errorf("%s: this key may not be registered with the role of an operator: define the monitor in a local file", key)
		}
	}
	return nil
}

// finite checks a numeric key.
func finite(key string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s: %v is not a finite number", key, v)
	}
	return nil
}

// checkOneOf checks a key with a fixed set of values.
func checkOneOf(key, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	words = slices.DeleteFunc(words, func(word string) bool { return word == "" })
	return fmt.Errorf("%s: %q is unknown; known are %s", key, value, strings.Join(words, ", "))
}

// required checks that a key is given.
func required(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: this key is required", key)
	}
	return nil
}
