package monitor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/microhq/monitor-srv/document"
)

// maxDraining bounds the unused receivers that still have pending notifications.
const maxDraining = 100

// inlineHashSize is the length of the hash in the name of an inline receiver, in
// bytes.
const inlineHashSize = 6

// receivers are those of files, by name, and those of inline actions. Monitors with
// the same inline action share one receiver, and with it grouping and limits.
type receivers struct {
	delivery Delivery
	log      *slog.Logger
	key      []byte

	files   map[string]*fileReceiver
	inline  map[string]Receiver
	uses    map[Receiver]int // number of monitors
	sources map[Receiver]actionSource
	invalid []string // receivers of files that were rejected, see Set
}

// actionSource is what the action of a receiver was built from: a section, and the
// fingerprint of the files that the section names.
type actionSource struct {
	section     document.Section
	fingerprint string
}

// fileReceiver is a receiver of a file.
type fileReceiver struct {
	Receiver
	def *ReceiverDefinition
	// removed is true once no file defines the receiver any more.
	removed bool
}

func newReceivers(cfg Config) *receivers {
	key := newKey()
	if cfg.Journal != nil {
		key = cfg.Journal.loaded.Key
	}
	return &receivers{
		delivery: cfg.Delivery, log: cfg.Log, key: key,
		files:   make(map[string]*fileReceiver),
		inline:  make(map[string]Receiver),
		uses:    make(map[Receiver]int),
		sources: make(map[Receiver]actionSource),
	}
}

func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// receiverSpec is a receiver that a definition needs: an existing one, or the name
// and the action of a new inline one.
type receiverSpec struct {
	existing Receiver
	name     string
	action   Action
	source   actionSource
}

// resolve returns the receiver of a spec, and adds it if it is new.
func (r *receivers) resolve(spec receiverSpec) Receiver {
	if spec.existing != nil {
		return spec.existing
	}
	if r.inline[spec.name] == nil {
		t := r.delivery.Add(spec.name, spec.action)
		r.inline[spec.name], r.sources[t] = t, actionSource{spec.source.section.WithoutLines(), spec.source.fingerprint}
	}
	return r.inline[spec.name]
}

// inlineName names the receiver of an inline action by its kind and a keyed hash of
// its keys. A hash without a key would allow guessing a weak password among them.
func (r *receivers) inlineName(s document.Section) (string, error) {
	text, err := document.WriteJSON(s.Tree)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = mac.Write([]byte(s.Kind + "\n"))
	_, _ = mac.Write(text)
	return s.Kind + "#" + hex.EncodeToString(mac.Sum(nil)[:inlineHashSize]), nil
}

// isInlineName reports whether a name has the form of those of inlineName.
func isInlineName(name string) bool {
	_, hash, ok := strings.Cut(name, "#")
	b, err := hex.DecodeString(hash)
	return ok && err == nil && len(b) == inlineHashSize
}

// lookup returns the receiver of a file, or nil if no file defines it.
func (r *receivers) lookup(name string) Receiver {
	if f := r.files[name]; f != nil && !f.removed {
		return f.Receiver
	}
	return nil
}

// UnknownReceiverError says that no file defines a valid receiver of the name.
type UnknownReceiverError struct {
	Name string
	// Suggestion is a receiver with a similar name, or empty.
	Suggestion string
	// Invalid is true if a file defines the receiver with an error.
	Invalid bool
}

func (e *UnknownReceiverError) Error() string {
	if e.Invalid {
		return fmt.Sprintf("receiver %q is not available: its [[receiver]] is invalid", e.Name)
	}
	if e.Suggestion != "" {
		return fmt.Sprintf("receiver %q is not defined in any file; did you mean %q?", e.Name, e.Suggestion)
	}
	return fmt.Sprintf("receiver %q is not defined in any file: add a [[receiver]] with that name", e.Name)
}

func (r *receivers) unknown(name string) error {
	var names []string
	for known, f := range r.files {
		if !f.removed {
			names = append(names, known)
		}
	}
	return &UnknownReceiverError{Name: name, Suggestion: document.Nearest(name, names), Invalid: slices.Contains(r.invalid, name)}
}

// define adds the receiver of a file, or replaces its action.
func (r *receivers) define(d *ReceiverDefinition, a Action, fingerprint string) {
	t := r.delivery.Add(d.Name, a)
	r.files[d.Name] = &fileReceiver{Receiver: t, def: d}
	r.sources[t] = actionSource{d.action, fingerprint}
}

// retain counts one more monitor that uses the receivers, release one less.
func (r *receivers) retain(used []Receiver) {
	for _, t := range used {
		r.uses[t]++
	}
}

func (r *receivers) release(used []Receiver) {
	for _, t := range used {
		if r.uses[t]--; r.uses[t] <= 0 {
			delete(r.uses, t)
		}
	}
}

// removeUnused removes the receivers that no monitor uses or has as a former one,
// except for some with pending notifications.
func (r *receivers) removeUnused(monitors []*runner) {
	draining := 0
	needed := func(t Receiver) bool {
		if r.uses[t] > 0 || slices.ContainsFunc(monitors, func(m *runner) bool { return m.hasFormer(t) }) {
			return true
		}
		if t.Pending() == 0 || draining >= maxDraining {
			return false
		}
		draining++
		return true
	}
	for name, t := range r.inline {
		if !needed(t) {
			delete(r.inline, name)
			r.remove(t)
		}
	}
	for name, f := range r.files {
		if f.removed && !needed(f.Receiver) {
			delete(r.files, name)
			r.remove(f.Receiver)
		}
	}
}

func (r *receivers) remove(t Receiver) {
	delete(r.sources, t)
	if pending := r.delivery.Remove(t.Name()); pending > 0 {
		r.log.Warn("dropped the pending notifications of a removed receiver", "receiver", t.Name(), "notifications", pending)
	}
}
