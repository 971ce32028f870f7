package metrics

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// The reference has one row for each metric, with its type and labels, and no other.
func TestReferenceOfMetricsIsThatOfTheContract(t *testing.T) {
	page := string(testkit.ReadFile(t, filepath.Join(testkit.Root(t), "docs", "reference", "metrics.md")))
	listed := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|([^|]*)\\| [^|]+ \\|$").FindAllStringSubmatch(page, -1) {
		if listed[m[1]] != "" {
			t.Errorf("%s has two rows", m[1])
		}
		labels := regexp.MustCompile(`\w+`).FindAllString(m[3], -1)
		slices.Sort(labels)
		listed[m[1]] = m[2] + " " + strings.Join(labels, " ")
	}
	for _, f := range append(newContract().all, newProbeFamilies().all...) {
		want := strings.ToLower(f.kind.String()) + " " + strings.Join(f.labels, " ")
		if got := listed[f.name]; got != want {
			t.Errorf("%s is listed as %q, want %q", f.name, got, want)
		}
		delete(listed, f.name)
	}
	for name := range listed {
		t.Errorf("the page describes %s, which is not there", name)
	}
}
