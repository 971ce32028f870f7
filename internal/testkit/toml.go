package testkit

import (
	"fmt"

	"github.com/BurntSushi/toml"
)

// DecodeTOML returns the decode function of a TOML text. Unknown keys are errors.
func DecodeTOML(text string) func(any) error {
	return func(v any) error {
		meta, err := toml.Decode(text, v)
		if err != nil {
			return err
		}
		if keys := meta.Undecoded(); len(keys) > 0 {
			return fmt.Errorf("unknown key %q", keys[0])
		}
		return nil
	}
}
