package e2e

import (
	"strings"
	"testing"
)

// The pages say what users of the two ancestors see in mails and errors.
// Faults: M6.
func TestMigrationPagesNameWhatMailsAndErrorsLookLike(t *testing.T) {
	for page, facts := range map[string][]string{
		"migrating/goma.md": {
			"`Message-ID`, `Auto-Submitted: auto-generated`, `X-Monitor-Incident`", "`Incident:`", "`404 page not found`",
		},
		"migrating/monitor-srv-2016.md": {"`go.micro.srv.monitor.Monitor.HealthCheck`"},
	} {
		text := readDoc(t, "docs/"+page)
		for _, fact := range facts {
			if !strings.Contains(text, fact) {
				t.Errorf("%s does not say %s", page, fact)
			}
		}
	}
}
