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

// Probe measures one thing. Its methods are called one at a time.
type Probe interface {
	// Probe measures once. It returns at most 200 ms after ctx is done, an exec
	// probe 1.5 s. An error is a failure, and so is a value that is not finite.
	Probe(ctx context.Context) (Result, error)
	// Close gives back connections and memory. The probe may not be used after.
	Close() error
}

// Result is what a probe measured.
type Result struct {
	// Value is the number measured. With an error it is what the key errval says,
	// to be shown and never to be judged.
	Value float64
	// Detail is for people: an exit code, a status, addresses found. It is one
	// line of at most 256 printable bytes.
	Detail string
	// Phases are the parts of the time taken, in order, where a kind knows them.
	Phases []Phase
	// Warning says that the target itself asks for attention although it works.
	// The verdict is a warning at least; thresholds may make it worse.
	Warning bool
}

// Phase is one part of the time that a probe took.
type Phase struct {
	// Name is resolve, connect, tls, first_byte or body.
	Name     string
	Duration time.Duration
}

// Kind makes a probe of one kind. It fills a struct with its defaults, has decode
// move the keys of the table into it, and checks them. The errors of decode and
// its own name the key.
type Kind func(decode func(target any) error, env Env) (Probe, error)

// Env is what probes get from the program around them. The zero value serves
// every kind but rpc, event and stats.
type Env struct {
	// Dial opens connections; nil means a plain net.Dialer. A restricted probe
	// does not use it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Restricted is set for a probe that was registered over the API by somebody
	// who may not see what this host can reach: it connects to public addresses
	// only, follows no redirect, obeys no proxy and reads no file or variable.
	Restricted bool
	// AllowTargets are networks that a restricted probe may reach nevertheless.
	AllowTargets []netip.Prefix
	// Caller calls other services, for the kind rpc.
	Caller Caller
	// Events and Stats are what was published, for the kinds event and stats.
	Events EventSource
	Stats  StatsSource
	// Log hears of commands that cannot be killed; nil drops it.
	Log *slog.Logger
	// Guardian kills the commands of exec probes if this process is killed; nil
	// means that nobody does.
	Guardian *command.Guardian
}

// Builtin returns the kinds of this package by the name that the key type gives.
// The map is the caller's own.
func Builtin() map[string]Kind {
	buffers := newBuffers()
	kinds := map[string]Kind{
		"dns":      newDNS,
		"event":    newEvent,
		"exec":     newExec,
		"grpc":     newGRPC,
		"http":     func(decode func(any) error, env Env) (Probe, error) { return newHTTP(decode, env, buffers) },
		"mysql":    newMySQL,
		"ping":     newPing,
		"postgres": newPostgres,
		"redis":    newRedis,
		"rpc":      newRPC,
		"stats":    newStats,
		"tcp":      newTCP,
	}
	for name, kind := range kinds {
		kinds[name] = keepPromises(kind)
	}
	return kinds
}

// New makes a probe of the kind called name. Its error names the kind.
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

// localOnly refuses a kind that only local files and administrators may use.
func (e Env) localOnly() error {
	if e.Restricted {
		return fmt.Errorf("this type may not be registered with the role of an operator: define it in a local file")
	}
	return nil
}

// forbidden refuses the keys that a restricted probe may not have. The map tells
// which of them are given.
func (e Env) forbidden(given map[string]bool) error {
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

// finite checks a number that a key gives.
func finite(key string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%s: %v is not a finite number", key, v)
	}
	return nil
}

// oneOf checks a key that takes one of a few words.
func oneOf(key, value string, words ...string) error {
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
