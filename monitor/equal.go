package monitor

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"time"

	"github.com/microhq/monitor-srv/document"
)

// repeats tells whether d, which is to be registered, is what was registered as
// old. Only who registered a definition is told so: another could find out secrets
// in it by guessing. Admins are told of each other's, which they may replace anyway.
func (d *Definition) sameRegistration(old *Definition) bool {
	if old.Origin != OriginAPI || d.Trusted != old.Trusted || d.Owner != old.Owner && !d.Trusted {
		return false
	}
	mine, err := d.checksum()
	if err != nil {
		return false
	}
	other, err := old.checksum()
	return err == nil && subtle.ConstantTimeCompare(mine[:], other[:]) == 1
}

// sum returns a checksum of what the definition says, however it was written: as
// TOML or JSON, with 60 or 60.0, with a default of a monitor or without it.
func (d *Definition) checksum() ([sha256.Size]byte, error) {
	d, err := d.expand()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	type part struct {
		Kind, Receiver string
		Keys           map[string]any
	}
	partOf := func(s document.Section) part { return part{s.Kind, s.Receiver, s.Tree} }
	said := struct {
		Name                             string
		Interval, Timeout, RetryInterval time.Duration
		Thresholds                       Thresholds
		Labels                           map[string]string `json:",omitempty"`
		Probe                            part
		Filter                           *part
		Actions                          []part
	}{
		Name: d.Name, Interval: d.Interval, Timeout: d.Timeout, RetryInterval: d.RetryInterval,
		Thresholds: d.Thresholds, Labels: d.Labels, Probe: partOf(d.probe),
	}
	if d.filter != nil {
		f := partOf(*d.filter)
		said.Filter = &f
	}
	for _, s := range d.actions {
		said.Actions = append(said.Actions, partOf(s))
	}
	text, err := json.Marshal(said)
	return sha256.Sum256(text), err
}
