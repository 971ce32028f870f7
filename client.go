package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	files "github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/monitor"
)

const (
	// askTimeout bounds one question to a running instance.
	askTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 16 << 20
	// An instance takes a few registrations a second and says when to go on; what
	// asks for more than longestPause at once, or patience in all, is another kind
	// of refusal.
	longestPause = 2 * time.Second
	patience     = 30 * time.Second
)

// asker asks a running instance over HTTP, as goma's command does.
type asker struct {
	address string
	token   string
	http    http.Client
}

// newAsker takes HOST:PORT, or goma's way to give a password, USER:TOKEN@HOST:PORT.
func newAsker(address string) *asker {
	// A transport of its own: the default one is for what libraries ask.
	a := &asker{http: http.Client{Timeout: askTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}}
	a.address, a.token = splitToken(address)
	if a.token == "" {
		a.token = os.Getenv("MONITOR_TOKEN")
	}
	return a
}

// splitToken splits what stands before an @ from an address, so that the address
// may be shown. The token is what follows the first colon of it, if there is one.
func splitToken(text string) (address, token string) {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return text, ""
	}
	_, token, _ = strings.Cut(text[:i], ":")
	return text[i+1:], token
}

// ask sends one request and returns the answer, or what the instance says is
// wrong.
func (a *asker) ask(ctx context.Context, method, path, contentType, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.address+path, strings.NewReader(body))
	if err != nil {
		return "", usageError{fmt.Errorf("--%s %q: %w", flagHTTPAddress, a.address, err)}
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking %q: %w; is it running, and is --%s right?", a.address, errors.Unwrap(err), flagHTTPAddress)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("reading the answer of %q: %w", a.address, err)
	}
	text := strings.TrimSpace(string(answer))
	if resp.StatusCode/100 != 2 {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return "", &refusedError{a.address, resp.Status, text, time.Duration(seconds) * time.Second}
	}
	return text, nil
}

// refusedError is what an instance says is wrong.
type refusedError struct {
	address, status, text string
	// retryAfter is when to ask again, or 0 if there is no use in it.
	retryAfter time.Duration
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("%q says %s: %s", e.address, e.status, e.text)
}

// clientCommands are goma's commands.
func clientCommands(stdin io.Reader, stdout io.Writer) []*cli.Command {
	say := func(words ...any) error { _, err := fmt.Fprintln(stdout, words...); return err }
	control := func(word, done string) func(context.Context, *asker, string) error {
		return func(ctx context.Context, a *asker, id string) error {
			if _, err := a.ask(ctx, http.MethodPost, "/monitor/"+url.PathEscape(id), "text/plain", word); err != nil {
				return err
			}
			return say(done)
		}
	}
	return []*cli.Command{
		word("list", "", "list the monitors", func(ctx context.Context, a *asker, _ string) error { return list(ctx, a, stdout) }),
		word("show", "ID", "show one monitor", func(ctx context.Context, a *asker, id string) error { return show(ctx, a, id, stdout) }),
		word("start", "ID", "start a monitor that was stopped", control("start", "Started.")),
		word("stop", "ID", "stop a monitor", control("stop", "Stopped.")),
		word("register", "FILE|-", "register the monitors of a TOML or JSON file", func(ctx context.Context, a *asker, file string) error {
			return register(ctx, a, file, stdin, stdout)
		}),
		word("unregister", "ID", "end a monitor for good", func(ctx context.Context, a *asker, id string) error {
			if _, err := a.ask(ctx, http.MethodDelete, "/monitor/"+url.PathEscape(id), "", ""); err != nil {
				return err
			}
			return say("Unregistered.")
		}),
		word("verbosity", "[LEVEL]", "tell or change the level of the log", func(ctx context.Context, a *asker, level string) error {
			if level == "" {
				text, err := a.ask(ctx, http.MethodGet, "/verbosity", "", "")
				if err != nil {
					return err
				}
				return say(text)
			}
			if _, err := a.ask(ctx, http.MethodPut, "/verbosity", "text/plain", level); err != nil {
				return err
			}
			return say("success.")
		}),
	}
}

// word is a command that takes one word: none if name is empty, at most one if it
// stands in brackets, else exactly one.
func word(command, name, usage string, run func(context.Context, *asker, string) error) *cli.Command {
	return &cli.Command{
		Name: command, ArgsUsage: name, Usage: usage, OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noLateFlags(c); err != nil {
				return err
			}
			n := c.NArg()
			most, least := 1, 1
			switch {
			case name == "":
				most, least = 0, 0
			case strings.HasPrefix(name, "["):
				least = 0
			}
			if n > most || n < least {
				return usageError{fmt.Errorf("give %q as in: monitor-srv %s %s", command, command, name)}
			}
			return run(c.Context, newAsker(c.String(flagHTTPAddress)), c.Args().First())
		},
	}
}

// listed is one monitor of goma's list; its id is a number in a string.
type listed struct {
	ID               string `json:"id"`
	Name             string `json:"name"`
	Running, Failing bool
}

func list(ctx context.Context, a *asker, stdout io.Writer) error {
	text, err := a.ask(ctx, http.MethodGet, "/list", "", "")
	if err != nil {
		return err
	}
	var all []listed
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("reading the list: %w", err)
	}
	fmt.Fprintf(stdout, "%-8s  %-32s  Running  Failing\n", "ID", "Name")
	for _, m := range all {
		fmt.Fprintf(stdout, "%-8s  %-32s  %-7v  %v\n", m.ID, m.Name, m.Running, m.Failing)
	}
	return nil
}

func show(ctx context.Context, a *asker, id string, stdout io.Writer) error {
	text, err := a.ask(ctx, http.MethodGet, "/monitor/"+url.PathEscape(id), "", "")
	if err != nil {
		return err
	}
	var m listed
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return fmt.Errorf("reading the monitor: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "Name: %s\nRunning: %v\nFailing: %v\n", m.Name, m.Running, m.Failing)
	return err
}

// register sends each monitor of a file by itself, and stops at the first that is
// refused.
func register(ctx context.Context, a *asker, file string, stdin io.Reader, stdout io.Writer) error {
	definitions, err := readDefinitions(file, stdin)
	if err != nil {
		return err
	}
	for _, d := range definitions {
		body, err := d.JSON()
		if err != nil {
			return fmt.Errorf("monitor %q: %w", d.Name, err)
		}
		id, err := registerOne(ctx, a, string(body))
		if err != nil {
			doing := fmt.Sprintf("registering monitor %q: ", d.Name)
			var refused *refusedError
			if errors.As(err, &refused) {
				refused.text = strings.TrimPrefix(refused.text, doing) // it is said once
			}
			return fmt.Errorf("%s%w", doing, err)
		}
		if _, err := strconv.ParseInt(id, 10, 64); err != nil {
			return fmt.Errorf("registering monitor %q: the answer %.40q is no id", d.Name, id)
		}
		if _, err := fmt.Fprintf(stdout, "%s is registered and started as monitor id=%s\n", d.Name, id); err != nil {
			return err
		}
	}
	return nil
}

// registerOne registers one monitor, and waits if the instance says that others
// come first.
func registerOne(ctx context.Context, a *asker, body string) (id string, err error) {
	for begin := time.Now(); ; {
		id, err = a.ask(ctx, http.MethodPost, "/register", "application/json", body)
		var refused *refusedError
		if !errors.As(err, &refused) || refused.retryAfter <= 0 || refused.retryAfter > longestPause || time.Since(begin) > patience {
			return id, err
		}
		pause(ctx, refused.retryAfter)
		if ctx.Err() != nil {
			return "", err
		}
	}
}

// readDefinitions reads the monitors of a file, or of standard input for "-". A
// text that begins with a brace is one monitor as JSON.
func readDefinitions(file string, stdin io.Reader) ([]*monitor.Definition, error) {
	place, read := placeOf(file), readFile
	if file == "-" {
		read = func(string) (string, error) { return readText(stdin) }
	}
	text, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", place, err)
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		d, err := monitor.ParseOne(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		return []*monitor.Definition{d}, nil
	}
	set, problems := monitor.Parse(place, text)
	if err := errorOf(problems); err != nil {
		return nil, err
	}
	if len(set.Monitors) == 0 {
		return nil, fmt.Errorf("%s defines no monitor", place)
	}
	return set.Monitors, nil
}

func readFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", errors.Unwrap(err) // without the path
	}
	defer f.Close()
	return readText(f)
}

// readText reads as much as a document may hold.
func readText(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, files.MaxDocument+1))
	if err == nil && len(text) > files.MaxDocument {
		err = fmt.Errorf("larger than %d bytes", files.MaxDocument)
	}
	return string(text), err
}
