package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/monitor"
	"github.com/microhq/monitor-srv/text"
)

// result is one monitor's result as JSON.
type result struct {
	Name    string   `json:"name"`
	Verdict string   `json:"verdict"`
	Value   *float64 `json:"value,omitempty"` // absent if the probe failed
	// Error says why the probe failed, Reason which threshold the value is beyond.
	Error   string             `json:"error,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Detail  string             `json:"detail,omitempty"`
	Filter  string             `json:"filter,omitempty"` // not shown by one run
	Seconds float64            `json:"seconds"`
	Phases  map[string]float64 `json:"phases,omitempty"` // seconds

	phases []string // for people, in order
}

func resultOf(name string, single monitor.SingleResult, err error) result {
	if err != nil { // it was good a moment ago: a file it names has changed
		return result{Name: name, Verdict: monitor.Failing.String(), Error: err.Error()}
	}
	r := result{
		Name: name, Verdict: single.State.String(), Reason: single.Violation, Detail: single.Detail, Filter: single.Filter,
		Seconds: single.Took.Seconds(),
	}
	if single.Err != nil {
		r.Error = single.Err.Error()
	} else {
		r.Value = &single.Value
	}
	for _, p := range single.Phases {
		if r.Phases == nil {
			r.Phases = make(map[string]float64)
		}
		r.Phases[p.Name] = p.Duration.Seconds()
		r.phases = append(r.phases, fmt.Sprintf("%s %v", strings.ReplaceAll(p.Name, "_", " "), short(p.Duration)))
	}
	return r
}

// A printer prints results one by one, and what belongs behind the last.
type printer struct {
	print func(result) error
	end   func() error
}

// printer returns the printer of the results.
func (inv *invocation) printer() printer {
	if inv.asJSON() {
		all := []result{}
		return printer{
			print: func(r result) error { all = append(all, r); return nil },
			end:   func() error { return printJSON(inv.Stdout, all) },
		}
	}
	return printer{
		print: func(r result) error { _, err := io.WriteString(inv.Stdout, r.table()); return err },
		end:   func() error { return nil },
	}
}

// table returns the lines for people: the verdict, and below it why.
func (r result) table() string {
	value := "-"
	if r.Value != nil {
		value = text.Number(*r.Value)
	}
	var b strings.Builder
	took := short(time.Duration(r.Seconds * float64(time.Second)))
	fmt.Fprintf(&b, "%-8s %s value %-12s in %v\n", r.Verdict, text.Pad(r.Name, 32), value, took)
	note := ""
	if r.Filter != "" {
		note = "filter " + r.Filter + ": one run does not show what it makes of several values"
	}
	for _, line := range []string{r.Error, r.Reason, r.Detail, strings.Join(r.phases, ", "), note} {
		if line != "" {
			fmt.Fprintf(&b, "         %s\n", line)
		}
	}
	return b.String()
}

// short drops the digits of a duration that nobody reads.
func short(d time.Duration) time.Duration {
	switch {
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
