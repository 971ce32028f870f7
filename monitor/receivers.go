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

// maxRetired bounds the receivers that nobody uses and that still have something
// to tell.
const maxDraining = 100

// nameHash is the length of the hash in the name of a receiver, in bytes.
const nameHash = 6

// receivers are those of files, by the name they have there, and those that
// monitors wrote out. Monitors that wrote out the same action share a receiver,
// so that they also share its grouping and its bounds.
type receivers struct {
	delivery Delivery
	log      *slog.Logger
	key      []byte

	files   map[string]*fileReceiver
	inline  map[string]Receiver
	uses    map[Receiver]int // by monitors
	sources map[Receiver]actionSource
	invalid []string // receivers of files that were not taken, see Set
}

// made is what the action of a receiver was made of: its section, and what stood
// in the files that this names.
type actionSource struct {
	section     document.Section
	fingerprint string
}

// fileReceiver is a receiver of a file.
type fileReceiver struct {
	Receiver
	def *ReceiverDefinition
	// gone is set once no file defines it any more.
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

// wanted is a receiver that a definition needs: one that is there, or one to be
// made of an action under a name.
type receiverSpec struct {
	existing Receiver
	name     string
	action   Action
	source   actionSource
}

// of returns the receiver that is wanted.
func (r *receivers) resolve(w receiverSpec) Receiver {
	if w.existing != nil {
		return w.existing
	}
	if r.inline[w.name] == nil {
		t := r.delivery.Add(w.name, w.action)
		r.inline[w.name], r.sources[t] = t, actionSource{w.source.section.WithoutLines(), w.source.fingerprint}
	}
	return r.inline[w.name]
}

// nameOf names the receiver of an action that a monitor wrote out, by its kind
// and a hash of its keys. The hash has a key of its own: without it, a weak
// password among the keys could be guessed from the name.
func (r *receivers) inlineName(s document.Section) (string, error) {
	text, err := document.WriteJSON(s.Tree)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = mac.Write([]byte(s.Kind + "\n"))
	_, _ = mac.Write(text)
	return s.Kind + "#" + hex.EncodeToString(mac.Sum(nil)[:nameHash]), nil
}

// reserved tells whether a name looks like one that nameOf makes.
func isInlineName(name string) bool {
	_, hash, ok := strings.Cut(name, "#")
	b, err := hex.DecodeString(hash)
	return ok && err == nil && len(b) == nameHash
}

// named returns the receiver of a file, or nil if no file defines it.
func (r *receivers) lookup(name string) Receiver {
	if n := r.files[name]; n != nil && !n.removed {
		return n.Receiver
	}
	return nil
}

// UnknownReceiverError is the name of a receiver that no file defines, or none
// as it should be.
type UnknownReceiverError struct {
	Name string
	// Meant is the one that was perhaps meant, or empty.
	Suggestion string
	// Wrong is set if a file does define it, wrongly.
	Invalid bool
}

func (e *UnknownReceiverError) Error() string {
	if e.Invalid {
		return fmt.Sprintf("receiver %q is not there: something is wrong with its [[receiver]]", e.Name)
	}
	if e.Suggestion != "" {
		return fmt.Sprintf("receiver %q is not defined in any file; did you mean %q?", e.Name, e.Suggestion)
	}
	return fmt.Sprintf("receiver %q is not defined in any file: a [[receiver]] of that name defines it", e.Name)
}

func (r *receivers) unknown(name string) error {
	var names []string
	for known, n := range r.files {
		if !n.removed {
			names = append(names, known)
		}
	}
	return &UnknownReceiverError{Name: name, Suggestion: document.Nearest(name, names), Invalid: slices.Contains(r.invalid, name)}
}

// define takes the receiver of a file, with its new action and what stood in the
// files that it read.
func (r *receivers) define(d *ReceiverDefinition, a Action, secrets string) {
	t := r.delivery.Add(d.Name, a)
	r.files[d.Name] = &fileReceiver{Receiver: t, def: d}
	r.sources[t] = actionSource{d.action, secrets}
}

// hold counts a monitor that uses receivers, release one that does no more.
func (r *receivers) retain(targets []Receiver) {
	for _, t := range targets {
		r.uses[t]++
	}
}

func (r *receivers) release(targets []Receiver) {
	for _, t := range targets {
		if r.uses[t]--; r.uses[t] <= 0 {
			delete(r.uses, t)
		}
	}
}

// sweep takes away the receivers that nobody uses, once they have told what they
// have to and no monitor owes them the end of an incident.
func (r *receivers) removeUnused(monitors []*runner) {
	retired := 0
	keep := func(t Receiver) bool {
		if r.uses[t] > 0 {
			return true
		}
		for _, m := range monitors {
			if m.hasFormer(t) {
				return true
			}
		}
		if t.Pending() == 0 || retired >= maxDraining {
			return false
		}
		retired++
		return true
	}
	for name, t := range r.inline {
		if !keep(t) {
			delete(r.inline, name)
			r.remove(t)
		}
	}
	for name, n := range r.files {
		if n.removed && !keep(n.Receiver) {
			delete(r.files, name)
			r.remove(n.Receiver)
		}
	}
}

func (r *receivers) remove(t Receiver) {
	delete(r.sources, t)
	if pending := r.delivery.Remove(t.Name()); pending > 0 {
		r.log.Warn("a receiver was removed with pending notifications, which are dropped", "receiver", t.Name(), "notices", pending)
	}
}
