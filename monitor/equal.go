package monitor

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"time"

	"github.com/microhq/monitor-srv/document"
)

// sameKeys reports whether two definitions have the same keys and values.
func (d *Definition) sameKeys(other *Definition) bool {
	mine, err := d.JSON()
	if err != nil {
		return false
	}
	theirs, err := other.JSON()
	return err == nil && bytes.Equal(mine, theirs)
}

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
