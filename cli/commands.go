package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// A command is one command of the program.
type command struct {
	name     string
	aliases  []string
	words    string // as the help shows them
	usage    string
	group    string
	examples []string
	// How many words there are.
	least, most int
	flags       func(*options, flagSet)
	run         func(ctx context.Context, inv *invocation) error
	serves      bool // it runs an instance
	// complete lists what the next word may be; without it, words are files.
	complete func(ctx context.Context, inv *invocation) []string
}

// manyWords is more than anybody gives.
const manyWords = 1 << 20

// The headings under which the help lists commands.
const (
	groupServe    = "Serve"
	groupInstance = "Ask or change a running instance"
	groupFiles    = "Check monitor files"
	groupOther    = "Other commands"
)

func groups() []string { return []string{groupServe, groupInstance, groupFiles, groupOther} }

// serving is the command serve, which is also what the program does without one.
func serving() command {
	return command{
		name: "serve", group: groupServe, usage: "serve (the default command)", flags: servingFlags, run: runServe, serves: true,
		examples: []string{"monitor-srv serve --config_dir=/etc/monitor-srv --token_file=/etc/monitor-srv/tokens"},
	}
}

// commands returns all commands but those of the library, help and completion.
func commands() []command {
	return append(append([]command{serving()}, instanceCommands()...),
		command{
			name: "demo", group: groupServe, usage: "serve with a sample publisher, without anything else installed",
			flags: demoFlags, run: runDemo, serves: true, examples: []string{"monitor-srv demo"},
		},
		command{
			name: "check", words: "DIR|FILE|-...", least: 1, most: manyWords, group: groupFiles, flags: checkFlags, run: runCheck,
			usage:    "report problems in files of monitors; fails if there are any",
			examples: []string{"monitor-srv check /usr/local/etc/monitor-srv", "monitor-srv check --strict --no_secrets -o json shop.toml"},
		},
		command{
			name: "probe", words: "FILE|DIR|- [NAME]", least: 1, most: 2, group: groupFiles, flags: probeFlags, run: runProbe,
			usage:    "run the monitors of a file, or one of them, once and print the results; fails if one fails",
			examples: []string{"monitor-srv probe shop.toml", "monitor-srv probe shop.toml checkout -o json"},
		},
		command{
			name: "version", group: groupOther, usage: "print the version", flags: outputFlag, run: runVersion,
			examples: []string{"monitor-srv version"},
		},
	)
}

// instanceCommands ask or change a running instance; all but health, checks, status and
// receivers are goma's.
func instanceCommands() []command {
	all := []command{
		{name: "health", usage: "print the health of a running instance; fails unless it is ready", flags: healthFlags, run: runHealth, examples: []string{"monitor-srv health", "monitor-srv health -s 10.0.0.7"}},
		{
			name: "checks", aliases: []string{"healthchecks"}, words: "[SERVICE]", most: 1, usage: "list the health checks, of all services or of one", flags: askingFlags, run: runChecks, complete: nothing,
			examples: []string{"monitor-srv checks", "monitor-srv checks go.micro.srv.shop -o json"},
		},
		{
			name: "status", words: "[SERVICE]", most: 1, usage: "list what is not OK; fails if there is anything", flags: askingFlags, run: runStatus, complete: nothing,
			examples: []string{"monitor-srv status", "monitor-srv status go.micro.srv.shop"},
		},
		{name: "list", usage: "list the monitors", run: runList, examples: []string{"monitor-srv list", "monitor-srv list -s 10.0.0.7:3838 -o json"}},
		{name: "show", words: "ID|NAME", least: 1, most: 1, usage: "show one monitor", run: runShow, complete: monitorIDs, examples: []string{"monitor-srv show 1", "monitor-srv show checkout"}},
		{name: "start", words: "ID|NAME", least: 1, most: 1, usage: "start a stopped monitor", run: runStart, complete: monitorIDs, examples: []string{"monitor-srv start checkout -s x:TOKEN@127.0.0.1"}},
		{name: "stop", words: "ID|NAME", least: 1, most: 1, usage: "stop a monitor", run: runStop, complete: monitorIDs, examples: []string{"monitor-srv stop checkout -s x:TOKEN@127.0.0.1"}},
		{
			name: "register", words: "FILE|-", least: 1, most: 1, usage: "register the monitors of a TOML or JSON file", run: runRegister,
			examples: []string{"monitor-srv register shop.toml -s x:TOKEN@127.0.0.1", "MONITOR_TOKEN=TOKEN monitor-srv register - <shop.toml"},
		},
		{name: "unregister", words: "ID|NAME", least: 1, most: 1, usage: "stop a monitor and remove it", run: runUnregister, complete: monitorIDs, examples: []string{"monitor-srv unregister 1 -s x:TOKEN@127.0.0.1"}},
		{name: "receivers", usage: "list the receivers of notifications", flags: askingFlags, run: runReceivers, examples: []string{"monitor-srv receivers", "monitor-srv receivers -o json"}},
		{
			name: "verbosity", words: "[LEVEL]", most: 1, usage: "print or change the log level", run: runVerbosity,
			complete: func(context.Context, *invocation) []string { return levels() },
			examples: []string{"monitor-srv verbosity", "monitor-srv verbosity debug -s x:TOKEN@127.0.0.1"},
		},
	}
	for i := range all {
		all[i].group = groupInstance
		if all[i].flags == nil {
			all[i].flags = gomaFlags
		}
	}
	return all
}

// nothing completes a word that is neither a file nor known.
func nothing(context.Context, *invocation) []string { return nil }

// checkWords refuses too few or too many words.
func (c command) checkWords(words []string) error {
	switch n := len(words); {
	case c.most == 0 && n > 0:
		return fmt.Errorf("command %q takes no arguments, got %q", c.name, words[0])
	case n < c.least || n > c.most:
		return fmt.Errorf("give %q as in: monitor-srv %s %s", c.name, c.name, c.words)
	case slices.Contains(words, ""):
		return fmt.Errorf("an argument of %q is empty: give it as in: monitor-srv %s %s", c.name, c.name, c.words)
	}
	return nil
}

// completer lists for the shell what the next word may be.
func (c command) completer(inv *invocation) cobra.CompletionFunc {
	switch {
	case c.most == 0:
		return cobra.NoFileCompletions
	case c.complete == nil:
		return nil
	}
	return func(cmd *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(words) > 0 || setByVariables(cmd.Flags()) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.complete(cmd.Context(), inv), cobra.ShellCompDirectiveNoFileComp
	}
}
