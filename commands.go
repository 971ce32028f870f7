package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/microhq/monitor-srv/web"
)

// newApp describes the command line. Serving is what it does without a command.
func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:           "monitor-srv",
		Usage:          "health monitor for go-micro services",
		UsageText:      "monitor-srv [flags] [command]",
		Version:        version,
		Reader:         stdin,
		Writer:         stdout,
		ErrWriter:      stderr,
		HideVersion:    true,
		Flags:          flags(),
		Action:         serveAction(stderr),
		OnUsageError:   onUsageError,
		ExitErrHandler: func(*cli.Context, error) {},
		Commands: []*cli.Command{
			{Name: "serve", Usage: "serve (what it does without a command)", Action: serveAction(stderr), OnUsageError: onUsageError},
			{Name: "demo", Usage: "serve with a sample publisher, without anything else installed", Action: demoAction(stdout, stderr), OnUsageError: onUsageError},
			{Name: "health", Usage: "ask a running instance how it is; fails unless it is ready", Action: healthAction(stdout), OnUsageError: onUsageError},
			{Name: "version", Usage: "print the version", Action: versionAction(stdout), OnUsageError: onUsageError},
		},
		EnableBashCompletion: true,
	}
	app.Commands = append(app.Commands, clientCommands(stdin, stdout)...)
	app.Commands = append(app.Commands, fileCommands(stdin, stdout, stderr)...)
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	if len(c.Lineage()) > 2 { // a command's own context, the app's and the root
		return usageError{fmt.Errorf("%w; flags come before the command, see \"monitor-srv help\"", err)}
	}
	return usageError{fmt.Errorf("%w; see \"monitor-srv help\"", err)}
}

// noWords refuses words where a command takes none. The flags behind them would
// be words too, and so silently without effect.
func noWords(c *cli.Context) error {
	if c.NArg() == 0 {
		return nil
	}
	word := c.Args().First()
	if c.Command.Name == "monitor-srv" || c.Command.Name == "" {
		return usageError{fmt.Errorf("unknown command %q; see \"monitor-srv help\"", word)}
	}
	if err := noLateFlags(c); err != nil {
		return err
	}
	return usageError{fmt.Errorf("command %q takes no word %q", c.Command.Name, word)}
}

// noLateFlags refuses flags among the words of a command.
func noLateFlags(c *cli.Context) error {
	for _, word := range c.Args().Slice() {
		if len(word) > 1 && word[0] == '-' {
			return usageError{fmt.Errorf("flag %q stands behind the command %q; flags come first", word, c.Command.Name)}
		}
	}
	return nil
}

func serveAction(stderr io.Writer) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := noWords(c); err != nil {
			return err
		}
		cfg, err := configFrom(c)
		if err != nil {
			return err
		}
		return serve(c.Context, cfg, stderr)
	}
}

func versionAction(stdout io.Writer) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := noWords(c); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, version)
		return err
	}
}

// healthTimeout bounds how long "health" waits for an answer, in all.
const healthTimeout = 3 * time.Second

func healthAction(stdout io.Writer) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := noWords(c); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context, healthTimeout)
		defer cancel()
		return askHealth(ctx, c.String(flagHTTPAddress), stdout)
	}
}

// askHealth prints the parts of the instance at address that are not well, and
// fails unless it is ready.
func askHealth(ctx context.Context, address string, stdout io.Writer) error {
	address, _ = splitToken(address) // it needs none
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return usageError{fmt.Errorf("--%s %q: %w", flagHTTPAddress, address, err)}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking %q: %w; is it running, and is --%s right?", address, errors.Unwrap(err), flagHTTPAddress)
	}
	defer resp.Body.Close()
	var report web.Report
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&report); err != nil {
		return fmt.Errorf("reading the answer of %q: %w", address, err)
	}
	fmt.Fprintf(stdout, "%s %s\n", report.Status, report.Version)
	for _, p := range report.Parts {
		if !p.OK {
			fmt.Fprintf(stdout, "%s: not well since %s: %s\n", p.Name, p.Since.UTC().Format(time.RFC3339), p.Reason)
		}
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the instance at %q is not ready", address)
	}
	return nil
}
