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
	"github.com/microhq/monitor-srv/document"
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
	// Note is what the instance says about it, if nothing has changed.
	Note string `json:"note,omitempty"`
}

func (r registered) String() string {
	if r.Note != "" {
		return fmt.Sprintf("%s %s: monitor id=%s", r.Name, r.Note, r.ID)
	}
	return fmt.Sprintf("%s is registered and started as monitor id=%s", r.Name, r.ID)
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
		var one registered
		if one, err = registerOne(ctx, c, d); err != nil {
			break
		}
		done = append(done, one)
		if inv.asJSON() {
			continue
		}
		if err = inv.say(one); err != nil {
			break
		}
	}
	if inv.asJSON() {
		err = errors.Join(printJSON(inv.Stdout, done), err)
	}
	return err
}

// registerOne registers one monitor.
func registerOne(ctx context.Context, c *client, d *monitor.Definition) (registered, error) {
	body, err := d.JSON()
	if err != nil {
		return registered{}, fmt.Errorf("monitor %q: %w", d.Name, err)
	}
	doing := fmt.Sprintf("registering monitor %q: ", d.Name)
	a, err := whenAllowed(ctx, c, request{method: http.MethodPost, path: "/register", contentType: "application/json", body: string(body)})
	if err != nil {
		var refused *refusedError
		if errors.As(err, &refused) {
			refused.text = strings.TrimPrefix(refused.text, doing) // once is enough
		}
		return registered{}, fmt.Errorf("%s%w", doing, err)
	}
	if _, err := strconv.ParseInt(a.text, 10, 64); err != nil {
		return registered{}, fmt.Errorf("%sthe answer %.40q is no id", doing, a.text)
	}
	return registered{a.text, d.Name, a.note}, nil
}

// whenAllowed sends a request, again if the instance says when.
func whenAllowed(ctx context.Context, c *client, r request) (a answer, err error) {
	for begin := time.Now(); ; {
		a, err = c.do(ctx, r)
		var refused *refusedError
		if !errors.As(err, &refused) || refused.retryAfter <= 0 || refused.retryAfter > longestPause || time.Since(begin) > registerPatience {
			return a, err
		}
		pause(ctx, refused.retryAfter)
		if ctx.Err() != nil {
			return a, err
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
	if document.LooksLikeJSON(text) {
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
