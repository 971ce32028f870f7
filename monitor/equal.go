package monitor

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/microhq/monitor-srv/document"
)

// isUnchanged reports whether a definition that replaces d is the same: in the same
// directory, or registered too, with the same keys and values.
func (d *Definition) isUnchanged(next *Definition) bool {
	mine, err := d.JSON()
	if err != nil || d.directory() != next.directory() {
		return false
	}
	theirs, err := next.JSON()
	return err == nil && bytes.Equal(mine, theirs)
}

// directory is that of the file of the definition, or empty if it was registered.
func (d *Definition) directory() string {
	if d.Origin == OriginAPI {
		return ""
	}
	return filepath.Dir(d.file)
}

// fingerprint identifies what isUnchanged compares. It is nil for a definition that is
// never unchanged. Without the key, it does not help to guess a secret in the definition.
func (d *Definition) fingerprint(key []byte) []byte {
	text, err := d.JSON()
	if err != nil {
		return nil
	}
	mac := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(d.directory()), {0}, text} {
		_, _ = mac.Write(part) // never fails
	}
	return mac.Sum(nil)[:fingerprintSize]
}

// fingerprintSize is the length of a fingerprint, in bytes.
const fingerprintSize = 16

// sameRegistration reports whether d repeats the registration of old. It is false
// for another owner, who could otherwise find out secrets in old by guessing.
// Admins may replace each other's monitors anyway.
func (d *Definition) sameRegistration(old *Definition) bool {
	if old.Origin != OriginAPI || d.Trusted != old.Trusted || d.Owner != old.Owner && !d.Trusted {
		return false
	}
	mine, err := d.checksum()
	if err != nil {
		return false
	}
	theirs, err := old.checksum()
	return err == nil && subtle.ConstantTimeCompare(mine[:], theirs[:]) == 1
}

// checksum returns a checksum of the meaning of the definition. It does not depend
// on the notation: TOML or JSON, 60 or 60.0, a default set or left out.
func (d *Definition) checksum() ([sha256.Size]byte, error) {
	d, err := d.expand()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	type section struct {
		Kind, Receiver string
		Keys           map[string]any
	}
	sectionOf := func(s document.Section) section { return section{s.Kind, s.Receiver, s.Tree} }
	meaning := struct {
		Name                             string
		Interval, Timeout, RetryInterval time.Duration
		Thresholds                       Thresholds
		Labels                           map[string]string `json:",omitempty"`
		Probe                            section
		Filter                           *section
		Actions                          []section
	}{
		Name: d.Name, Interval: d.Interval, Timeout: d.Timeout, RetryInterval: d.RetryInterval,
		Thresholds: d.Thresholds, Labels: d.Labels, Probe: sectionOf(d.probe),
	}
	if d.filter != nil {
		f := sectionOf(*d.filter)
		meaning.Filter = &f
	}
	for _, s := range d.actions {
		meaning.Actions = append(meaning.Actions, sectionOf(s))
	}
	text, err := json.Marshal(meaning)
	return sha256.Sum256(text), err
}
