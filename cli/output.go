package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Forms of the output of a command.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func outputs() []string { return []string{outputTable, outputJSON} }

func (o *options) checkOutput() error {
	if !slices.Contains(outputs(), o.output) {
		return fmt.Errorf("--%s %q is not known: give one of %s", flagOutput, o.output, strings.Join(outputs(), ", "))
	}
	return nil
}

// asJSON reports whether the output is for programs.
func (inv *invocation) asJSON() bool { return inv.options.output == outputJSON }

// say prints one line.
func (inv *invocation) say(words ...any) error {
	_, err := fmt.Fprintln(inv.Stdout, words...)
	return err
}

// answer prints a text for people, or a value as JSON.
func (inv *invocation) answer(text string, value any) error {
	if inv.asJSON() {
		return printJSON(inv.Stdout, value)
	}
	_, err := io.WriteString(inv.Stdout, text)
	return err
}

func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
