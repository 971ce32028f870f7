package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newHelp is the command help.
func newHelp(root *cobra.Command) *cobra.Command {
	help := &cobra.Command{Use: "help [COMMAND]", Short: "print the help of a command", GroupID: groupOther, Args: cobra.MaximumNArgs(1)}
	help.ValidArgsFunction = func(_ *cobra.Command, words []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		for _, c := range root.Commands() {
			if len(words) == 0 && c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	help.RunE = func(_ *cobra.Command, words []string) error {
		if len(words) == 0 {
			return root.Help()
		}
		for _, c := range root.Commands() {
			if c.Name() == words[0] {
				c.InitDefaultHelpFlag() // it is made late, and is part of the help
				return c.Help()
			}
		}
		return unknownCommand(root, words[0])
	}
	return help
}

func unknownCommand(root *cobra.Command, word string) error {
	hint := ""
	if near := root.SuggestionsFor(word); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean \"%s\"?", strings.Join(near, `" or "`))
	}
	return fmt.Errorf("unknown command %q%s; see \"monitor-srv help\"", word, hint)
}
