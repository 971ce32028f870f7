package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

const completionHelp = `Print the script by which a shell completes commands, flags and ids of monitors.

bash, with the package bash-completion:
  monitor-srv completion bash >/etc/bash_completion.d/monitor-srv
zsh:
  monitor-srv completion zsh >"${fpath[1]}/_monitor-srv"
fish:
  monitor-srv completion fish >~/.config/fish/completions/monitor-srv.fish`

// newCompletion is the command completion.
func newCompletion(root *cobra.Command) *cobra.Command {
	shells := map[string]func(io.Writer) error{
		"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  root.GenZshCompletion,
		"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	return &cobra.Command{
		Use: "completion bash|zsh|fish", Short: "print the completion script of a shell", Long: completionHelp,
		Example: examples("source <(monitor-srv completion bash)"), GroupID: groupOther,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) != 1 || shells[words[0]] == nil {
				return fmt.Errorf("give \"completion\" as in: monitor-srv completion bash|zsh|fish")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, words []string) error { return shells[words[0]](cmd.OutOrStdout()) },
	}
}
