package state

import (
	"bytes"
	"encoding/json"
	"strings"
)

// UnmarshalKnown decodes JSON. The error for a key that is not known is a *NewerError:
// writing the value again would drop it.
func UnmarshalKnown(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	strict := d.Decode(to)
	if strict == nil && d.InputOffset() == int64(len(text)) {
		return nil
	}
	if err := json.Unmarshal(text, to); err != nil || strict == nil {
		return err
	}
	return &NewerError{strings.TrimPrefix(strict.Error(), "json: ")}
}
