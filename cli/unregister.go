package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// runUnregister stops a monitor and removes it.
func runUnregister(ctx context.Context, inv *invocation) error {
	return change(ctx, inv, request{method: http.MethodDelete, path: monitorPath(inv.word())}, "unregistered")
}

// changed says what was done to a monitor.
type changed struct {
	ID     string `json:"id"`
	Result string `json:"result"`         // started, stopped or unregistered
	Note   string `json:"note,omitempty"` // how long that lasts
}

// change sends a request about a monitor, and prints its result.
func change(ctx context.Context, inv *invocation, r request, result string) error {
	c, err := inv.client()
	if err != nil {
		return err
	}
	id := inv.word()
	if inv.asJSON() {
		if id, err = c.idOf(ctx, id); err != nil {
			return err
		}
	}
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	lines := strings.ToUpper(result[:1]) + result[1:] + ".\n"
	if a.note != "" {
		lines += "It " + a.note + ".\n"
	}
	return inv.answer(lines, changed{id, result, a.note})
}

// idOf returns the id of the monitor that a word names.
func (c *client) idOf(ctx context.Context, word string) (string, error) {
	if _, err := strconv.ParseUint(word, 10, 63); err == nil {
		return word, nil
	}
	a, err := c.do(ctx, request{method: http.MethodGet, path: monitorPath(word)})
	if err != nil {
		return "", err
	}
	var m listed
	if err := json.Unmarshal([]byte(a.text), &m); err != nil {
		return "", fmt.Errorf("reading the monitor: %w", err)
	}
	return m.ID, nil
}
