package monitor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/microhq/monitor-srv/document"
	"github.com/microhq/monitor-srv/setting"
)

// Defaults and bounds of a definition. 60 s and 59 s are goma's.
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

// Definition is one monitor as a document defines it, checked but for the kinds
// of its probe, filter and actions, which check themselves when it is built.
type Definition struct {
	Name string
	// Origin is "file:NAME.toml" or "api".
	Origin string
	// file is the path it was read from, text what was registered over the API.
	file, text string
	// Interval between two probes, and the deadline of each.
	Interval, Timeout time.Duration
	// RetryInterval replaces Interval while a change is being confirmed.
	RetryInterval time.Duration
	Thresholds    Thresholds
	Labels        map[string]string
	// Trusted is set unless an operator registered it over the API: then it
	// dials only public addresses and acts only through receivers.
	Trusted bool
	// Owner names who registered it over the API, for MaxOwned; empty if nobody
	// can be told from others. It must not hold a secret.
	Owner string

	probe   document.Section
	filter  *document.Section
	actions []document.Section
	// tree is the whole definition, or json is if it was packed.
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
	Labels                 map[string]string `toml:"labels"`
	Probe                  map[string]any    `toml:"probe"`
	Filter                 map[string]any    `toml:"filter"`
	Actions                []map[string]any  `toml:"actions"`
}

// define checks the table at path and returns its definition.
func newDefinition(tree map[string]any, path string, line document.Lines) (*Definition, error) {
	doc := definitionKeys{}
	errs, wrongType := keyErrors(document.Decode(tree, path, line, &doc))
	d := &Definition{
		Name:     doc.Name,
		Interval: durationOr(doc.Interval, DefaultInterval),
		Labels:   doc.Labels,
		Thresholds: Thresholds{
			Min: doc.Min, Max: doc.Max,
			WarnMin: doc.WarnMin, WarnMax: doc.WarnMax,
			FailuresBeforeAlert:    intOr(doc.FailuresBeforeAlert, 1),
			SuccessesBeforeRecover: intOr(doc.SuccessesBeforeRecover, 1),
			Repeat:                 time.Duration(doc.Repeat),
		},
		tree: tree,
		line: line(path),
	}
	d.Timeout = durationOr(doc.Timeout, min(DefaultTimeout, d.Interval))
	d.RetryInterval = durationOr(doc.RetryInterval, d.Interval)
	fail := func(key string, err error) {
		// What has the wrong type is not also told to be missing.
		if at := document.Join(path, key); err != nil && !wrongType[at] {
			errs = append(errs, document.NewKeyError(at, path, line, err))
		}
	}
	fail("name", checkName(d.Name))
	fail("labels", checkLabels(d.Labels))
	wrong := d.check()
	for _, key := range slices.Sorted(maps.Keys(wrong)) {
		fail(key, wrong[key])
	}
	var err error
	inner := func(s document.Section) document.Section {
		if path == "" { // the definition is a document of its own
			return s
		}
		return s.WithParent(definitionKeys{})
	}
	d.probe, err = document.NewSection(doc.Probe, document.Join(path, "probe"), line)
	d.probe = inner(d.probe)
	fail("probe", err)
	if doc.Filter != nil {
		f, err := document.NewSection(doc.Filter, document.Join(path, "filter"), line)
		fail("filter", err)
		f = inner(f)
		d.filter = &f
	}
	if len(doc.Actions) > maxActions {
		fail("actions", fmt.Errorf("%d actions: give at most %d", len(doc.Actions), maxActions))
	}
	for i, tree := range doc.Actions {
		key := fmt.Sprintf("actions.%d", i)
		s, err := document.NewActionSection(tree, document.Join(path, key), line)
		fail(key, err)
		d.actions = append(d.actions, inner(s))
	}
	return d, errors.Join(errs...)
}

// flat returns the errors of decodeTree and the paths that they are about.
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

// check returns what is wrong with the numbers, by key.
func (d *Definition) check() map[string]error {
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

// without asks for a key if the definition has none.
func (d *Definition) missingHint(key string) string {
	if _, given := d.tree[key]; given {
		return ""
	}
	return "; give " + key + " too"
}

// checkName refuses names that a person could not read in a mail, or that a
// process, a header or a label could not carry.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("this key is required")
	case !utf8.ValidString(name):
		return errors.New("not valid UTF-8")
	case len(name) > maxNameBytes || utf8.RuneCountInString(name) > maxNameRunes:
		return fmt.Errorf("longer than %d characters or %d bytes", maxNameRunes, maxNameBytes)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%q holds the character %U, which does not print", name, r)
		}
	}
	if strings.Join(strings.Fields(name), " ") != name {
		// Mails and lists would show two such names as one.
		return fmt.Errorf("%q has a blank at an end, or two together", name)
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
	}
	return nil
}

// duration takes zero for unset, as goma does and its client sends.
func durationOr(d *setting.Duration, unset time.Duration) time.Duration {
	if d == nil || *d == 0 {
		return unset
	}
	return time.Duration(*d)
}

// JSON returns the definition as the API takes it.
// ParseOne reads it back as the same. It fails if the keys of a kind, which are
// not checked yet, hold a date or a number that is not finite.
func (d *Definition) JSON() ([]byte, error) {
	if d.json != nil {
		return d.json, nil
	}
	return document.WriteJSON(d.tree)
}

// Line is the line of its file at which the definition begins.
func (d *Definition) Line() int { return d.line }

// RunsCommands tells whether its probe or one of its own actions runs commands.
func (d *Definition) RunsCommands() bool { return len(d.Registration().Commands) > 0 }

// boundless tells whether the value is one of the target's own and no threshold
// was set for it: then any value but 0 fails, which is seldom meant.
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
