package monitor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// Defaults and limits of a definition. The defaults are those of goma.
const (
	DefaultInterval = 60 * time.Second
	DefaultTimeout  = 59 * time.Second
	MinInterval     = time.Second
	MaxInterval     = 24 * time.Hour

	maxNameRunes  = 128
	maxNameBytes  = 200
	maxConfirm    = 1000
	maxLabels     = 32
	maxLabelBytes = 256
	maxActions    = 32
)

// Definition is the definition of one monitor. All its keys are checked, except
// for those of the kinds of probe, filter and actions. The kinds check them when the
// monitor is built.
type Definition struct {
	Name string
	// Origin is "file:NAME.toml" or "api".
	Origin string
	// file is the path of its file, text what was registered over the API.
	file, text string
	// Interval is the time between two probes, Timeout the limit of each.
	Interval, Timeout time.Duration
	// RetryInterval replaces Interval while a change of state is being confirmed.
	RetryInterval time.Duration
	Thresholds    Thresholds
	Labels        map[string]string
	// Trusted is false if an operator registered it over the API. Then it dials
	// public addresses only and has no inline actions.
	Trusted bool
	// Owner identifies the caller that registered it over the API, see MaxOwned. It
	// is empty if callers cannot be distinguished. It must not contain a secret.
	Owner string

	probe   document.Section
	filter  *document.Section
	actions []document.Section
	// tree holds all keys, json the same in compact form. One of them is nil.
	tree map[string]any
	json []byte
	line int
}

// definitionKeys are the keys of a definition in TOML and JSON.
type definitionKeys struct {
	Name                   string            `toml:"name"`
	Interval               *setting.Duration `toml:"interval"`
	Timeout                *setting.Duration `toml:"timeout"`
	RetryInterval          *setting.Duration `toml:"retry_interval"`
	Min                    float64           `toml:"min"`
	Max                    float64           `toml:"max"`
	WarnMin                *float64          `toml:"warn_min"`
	WarnMax                *float64          `toml:"warn_max"`
	FailuresBeforeAlert    *int              `toml:"failures_before_alert"`
	SuccessesBeforeRecover *int              `toml:"successes_before_recover"`
	Repeat                 setting.Duration  `toml:"repeat"`
	Status                 []string          `toml:"status"`
	Labels                 map[string]string `toml:"labels"`
	Probe                  map[string]any    `toml:"probe"`
	Filter                 map[string]any    `toml:"filter"`
	Actions                []map[string]any  `toml:"actions"`
}

// newDefinition decodes and checks the table at path. The definition is not nil
// even if it is invalid.
func newDefinition(tree map[string]any, path string, lines document.Lines) (*Definition, error) {
	keys := definitionKeys{}
	errs, wrongType := keyErrors(document.Decode(tree, path, lines, &keys))
	d := &Definition{
		Name:     keys.Name,
		Interval: durationOr(keys.Interval, DefaultInterval),
		Labels:   keys.Labels,
		Thresholds: Thresholds{
			Min: keys.Min, Max: keys.Max,
			WarnMin: keys.WarnMin, WarnMax: keys.WarnMax,
			FailuresBeforeAlert:    intOr(keys.FailuresBeforeAlert, 1),
			SuccessesBeforeRecover: intOr(keys.SuccessesBeforeRecover, 1),
			Repeat:                 time.Duration(keys.Repeat),
		},
		tree: tree,
		line: lines(path),
	}
	d.Timeout = durationOr(keys.Timeout, min(DefaultTimeout, d.Interval))
	d.RetryInterval = durationOr(keys.RetryInterval, d.Interval)
	addError := func(key string, err error) {
		// A value of the wrong type is not reported as missing too.
		if at := document.Join(path, key); err != nil && !wrongType[at] {
			errs = append(errs, document.NewKeyError(at, path, lines, err))
		}
	}
	addError("name", checkName(d.Name))
	addError("labels", checkLabels(d.Labels))
	warningFails, err := warningFails(keys.Status)
	d.Thresholds.WarningFails = warningFails
	addError("status", err)
	numbers := d.checkNumbers()
	for _, key := range slices.Sorted(maps.Keys(numbers)) {
		addError(key, numbers[key])
	}
	d.setSections(keys, path, lines, addError)
	return d, errors.Join(errs...)
}

// setSections sets the probe, the filter and the actions.
func (d *Definition) setSections(keys definitionKeys, path string, lines document.Lines, addError func(key string, err error)) {
	nested := func(s document.Section) document.Section {
		if path == "" { // the document is the definition, without [[monitor]]
			return s
		}
		return s.WithParent(definitionKeys{})
	}
	s, err := document.NewSection(keys.Probe, document.Join(path, "probe"), lines)
	addError("probe", err)
	d.probe = nested(s)
	if keys.Filter != nil {
		s, err := document.NewSection(keys.Filter, document.Join(path, "filter"), lines)
		addError("filter", err)
		s = nested(s)
		d.filter = &s
	}
	if len(keys.Actions) > maxActions {
		addError("actions", fmt.Errorf("%d actions: give at most %d", len(keys.Actions), maxActions))
	}
	for i, tree := range keys.Actions {
		key := fmt.Sprintf("actions.%d", i)
		s, err := document.NewActionSection(tree, document.Join(path, key), lines)
		addError(key, err)
		d.actions = append(d.actions, nested(s))
	}
}

// keyErrors splits the error of document.Decode and returns the paths of its keys.
func keyErrors(err error) (errs []error, paths map[string]bool) {
	paths = make(map[string]bool)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		errs = many.Unwrap()
	}
	for _, err := range errs {
		var at *document.KeyError
		if errors.As(err, &at) {
			paths[at.Path] = true
		}
	}
	return errs, paths
}

// checkNumbers returns the errors of durations, thresholds and counts, by key.
func (d *Definition) checkNumbers() map[string]error {
	errs := make(map[string]error)
	t := d.Thresholds
	if d.Interval < MinInterval || d.Interval > MaxInterval {
		errs["interval"] = fmt.Errorf("%v is out of range: give %v to %v", setting.Duration(d.Interval), setting.Duration(MinInterval), setting.Duration(MaxInterval))
	} else if d.Timeout <= 0 || d.Timeout > d.Interval {
		errs["timeout"] = fmt.Errorf("%v is out of range: give more than 0 and at most the interval, %v", setting.Duration(d.Timeout), setting.Duration(d.Interval))
	} else if d.RetryInterval < MinInterval || d.RetryInterval > d.Interval {
		errs["retry_interval"] = fmt.Errorf("%v is out of range: give %v to the interval, %v", setting.Duration(d.RetryInterval), setting.Duration(MinInterval), setting.Duration(d.Interval))
	}
	if t.Min > t.Max {
		errs["min"] = fmt.Errorf("%v is more than max, %v: every value would fail%s", t.Min, t.Max, d.missingHint("max"))
	}
	if t.WarnMin != nil && t.WarnMax != nil && *t.WarnMin > *t.WarnMax {
		errs["warn_min"] = fmt.Errorf("%v is more than warn_max, %v: every value would be a warning", *t.WarnMin, *t.WarnMax)
	}
	for key, n := range map[string]int{
		"failures_before_alert":    t.FailuresBeforeAlert,
		"successes_before_recover": t.SuccessesBeforeRecover,
	} {
		if n < 1 || n > maxConfirm {
			errs[key] = fmt.Errorf("%d is out of range: give 1 to %d", n, maxConfirm)
		}
	}
	return errs
}

// missingHint suggests to set a key that the definition does not set.
func (d *Definition) missingHint(key string) string {
	if _, given := d.tree[key]; given {
		return ""
	}
	return "; set " + key + " too"
}

// checkName rejects names that are ambiguous in mails and lists, or not allowed in
// environment variables, headers and labels.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("this key is required")
	case len(name) > maxNameBytes || utf8.RuneCountInString(name) > maxNameRunes:
		return fmt.Errorf("longer than %d characters or %d bytes", maxNameRunes, maxNameBytes)
	}
	if err := text.CheckName(name); err != nil {
		return err
	}
	if strings.Join(strings.Fields(name), " ") != name {
		return fmt.Errorf("%q has leading, trailing or repeated spaces", name)
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%d labels: give at most %d", len(labels), maxLabels)
	}
	for k, v := range labels {
		if k == "" || len(k) > maxLabelBytes || len(v) > maxLabelBytes || !utf8.ValidString(k+v) {
			return fmt.Errorf("%.40q: give names and values of at most %d bytes of valid UTF-8", k, maxLabelBytes)
		}
		if err := text.CheckName(k); err != nil {
			return err
		}
	}
	return nil
}

// durationOr treats 0 as unset, which goma's client sends.
func durationOr(d *setting.Duration, unset time.Duration) time.Duration {
	if d == nil || *d == 0 {
		return unset
	}
	return time.Duration(*d)
}

// JSON returns the definition in the format of the API, which ParseOne reads back.
// It fails if a key of a kind is a date or a number that is not finite.
func (d *Definition) JSON() ([]byte, error) {
	if d.json != nil {
		return d.json, nil
	}
	return document.WriteJSON(d.tree)
}

// Line returns the first line of the definition in its file.
func (d *Definition) Line() int { return d.line }

// RunsCommands reports whether the probe or an inline action runs commands.
func (d *Definition) RunsCommands() bool { return len(d.Registration().Commands) > 0 }

// lacksBounds reports whether the probe measures something other than success and
// the definition has no range for it. Then every value except 0 fails.
func (d *Definition) lacksBounds() bool {
	_, hasMin := d.tree["min"]
	_, hasMax := d.tree["max"]
	parse, _ := d.probe.Tree["parse"].(bool)
	_, query := d.probe.Tree["query"]
	measure, _ := d.probe.Tree["measure"].(string)
	return !hasMin && !hasMax && (parse || query || measure != "" && measure != "status")
}

func intOr(n *int, unset int) int {
	if n == nil {
		return unset
	}
	return *n
}
