package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/microhq/monitor-srv/document"
)

// arrange rewrites the words of a command line for the library: the command first, as
// it takes the word behind a flag of another command for a value, and every flag as
// --NAME. goma and go-micro take flags with one dash or two, and the library would
// read -server_name x as -s erver_name, and ask another host. Values of flags and
// words behind -- stay as they are.
func arrange(root *cobra.Command, words []string) ([]string, error) {
	if n := len(words); n > 1 && (words[0] == cobra.ShellCompRequestCmd || words[0] == cobra.ShellCompNoDescRequestCmd) {
		return arrangeCompletion(root, words[0], words[1:n-1], words[n-1]), nil
	}
	known := flagsOf(root)
	var plain, all []string // without flags, and without the command
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--":
			rest := words[i+1:]
			if len(plain) == 0 && len(rest) > 0 {
				plain, rest = rest[:1], rest[1:]
			}
			plain, all = append(slices.Clip(plain), rest...), append(append(all, "--"), rest...)
			i = len(words)
		case len(word) < 2 || word[0] != '-':
			if plain = append(plain, word); len(plain) > 1 {
				all = append(all, word)
			}
		default:
			f, written, err := known.read(word)
			if err != nil {
				return nil, err
			}
			all = append(all, written)
			if f.NoOptDefVal == "" && !strings.Contains(written, "=") && i+1 < len(words) {
				i++
				all = append(all, words[i])
			}
		}
	}
	switch {
	case len(plain) == 0:
		return append([]string{}, all...), nil // never nil, for which the library reads os.Args
	case plain[0] == "help": // it takes no flags, and whoever asks for help may have given any
		return plain, nil
	}
	return append(plain[:1:1], all...), nil
}

// arrangeCompletion rewrites what a shell asks: the words so far, and the one to complete.
func arrangeCompletion(root *cobra.Command, request string, words []string, last string) []string {
	if arranged, err := arrange(root, words); err == nil {
		words = arranged
	}
	return append(append([]string{request}, words...), last)
}

// knownFlags are the flags of all commands by their names.
type knownFlags struct{ long, short map[string]*pflag.Flag }

func flagsOf(root *cobra.Command) knownFlags {
	known := knownFlags{make(map[string]*pflag.Flag), make(map[string]*pflag.Flag)}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			known.long[f.Name] = f
			if f.Shorthand != "" {
				known.short[f.Shorthand] = f
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	return known
}

// read finds the flag of a word and writes it as --NAME or --NAME=VALUE.
func (k knownFlags) read(word string) (*pflag.Flag, string, error) {
	name, value, hasValue := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	f := k.long[name]
	if len(name) == 1 {
		f = k.short[name]
	}
	if f == nil {
		hint := ""
		if near := document.Nearest(name, slices.Sorted(maps.Keys(k.long))); near != "" {
			hint = fmt.Sprintf("; did you mean --%s?", near)
		}
		given, _, _ := strings.Cut(word, "=")
		return nil, "", fmt.Errorf("unknown flag %s%s; see \"monitor-srv help\"", given, hint)
	}
	written := "--" + f.Name
	if hasValue {
		written += "=" + value
	}
	return f, written, nil
}

// flagError words what the library says of a flag.
func flagError(cmd *cobra.Command, err error) error {
	see := "see \"monitor-srv help\""
	if cmd.HasParent() {
		see = fmt.Sprintf("see \"monitor-srv help %s\"", cmd.Name())
	}
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var lacking *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%q has no flag --%s; %s", cmd.CommandPath(), unknown.GetSpecifiedName(), see)
	case errors.As(err, &invalid):
		return fmt.Errorf("--%s %q: %s; %s", invalid.GetFlag().Name, invalid.GetValue(), wantedOf(invalid.GetFlag()), see)
	case errors.As(err, &lacking):
		return fmt.Errorf("--%s needs a value; %s", lacking.GetFlag().Name, see)
	}
	return fmt.Errorf("%w; %s", err, see)
}

// wantedOf says what values of a flag look like.
func wantedOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "give a whole number"
	case "bool":
		return "give true or false"
	case "duration":
		return "give a duration such as 10s"
	}
	return "it is not a value of this flag"
}
