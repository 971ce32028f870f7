package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/config"
	"github.com/microhq/monitor-srv/monitor"
)

// An instance takes a few registrations a second and says when to go on; what asks for
// more than longestPause at once, or registerPatience in all, is another kind of
// refusal.
const (
	longestPause     = 2 * time.Second
	registerPatience = 30 * time.Second
)

// registered is a monitor that an instance has taken.
type registered struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// runRegister registers each monitor of a file by itself, and stops at the first that is
// refused.
func runRegister(ctx context.Context, inv *invocation) error {
	definitions, err := readDefinitions(inv.word(), inv.Stdin)
	if err != nil {
		return err
	}
	c, err := inv.client()
	if err != nil {
		return err
	}
	done := []registered{}
	for _, d := range definitions {
		var id string
		if id, err = registerOne(ctx, c, d); err != nil {
			break
		}
		done = append(done, registered{id, d.Name})
		if inv.asJSON() {
			continue
		}
		if err = inv.say(d.Name, "is registered and started as monitor id="+id); err != nil {
			break
		}
	}
	if inv.asJSON() {
		err = errors.Join(printJSON(inv.Stdout, done), err)
	}
	return err
}

// registerOne registers one monitor and returns its id.
func registerOne(ctx context.Context, c *client, d *monitor.Definition) (id string, err error) {
	body, err := d.JSON()
	if err != nil {
		return "", fmt.Errorf("monitor %q: %w", d.Name, err)
	}
	doing := fmt.Sprintf("registering monitor %q: ", d.Name)
	id, err = whenAllowed(ctx, c, request{method: http.MethodPost, path: "/register", contentType: "application/json", body: string(body)})
	if err != nil {
		var refused *refusedError
		if errors.As(err, &refused) {
			refused.text = strings.TrimPrefix(refused.text, doing) // once is enough
		}
		return "", fmt.Errorf("%s%w", doing, err)
	}
	if _, err := strconv.ParseInt(id, 10, 64); err != nil {
		return "", fmt.Errorf("%sthe answer %.40q is no id", doing, id)
	}
	return id, nil
}

// whenAllowed sends a request, again if the instance says when.
func whenAllowed(ctx context.Context, c *client, r request) (answer string, err error) {
	for begin := time.Now(); ; {
		answer, err = c.do(ctx, r)
		var refused *refusedError
		if !errors.As(err, &refused) || refused.retryAfter <= 0 || refused.retryAfter > longestPause || time.Since(begin) > registerPatience {
			return answer, err
		}
		pause(ctx, refused.retryAfter)
		if ctx.Err() != nil {
			return "", err
		}
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// readDefinitions reads the monitors of a file, or of standard input for "-". A text
// that begins with a brace is one monitor as JSON.
func readDefinitions(file string, stdin io.Reader) ([]*monitor.Definition, error) {
	place, read := placeOf(file), config.ReadFile
	if file == "-" {
		read = func(string) (string, error) { return config.ReadText(stdin) }
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
