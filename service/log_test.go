package service

import (
	standardlog "log"
	"os"
	"strings"
	"testing"

	"go-micro.dev/v4/logger"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// A target of a probe that sends more than its answer makes net/http write a line with
// what it sent.
func TestTargetsCannotFloodTheStandardLogger(t *testing.T) {
	framework, flags := logger.DefaultLogger, standardlog.Flags()
	t.Cleanup(func() {
		logger.DefaultLogger = framework
		standardlog.SetOutput(os.Stderr)
		standardlog.SetFlags(flags)
	})
	var out testkit.LogBuffer
	QuietLibraries(out.Logger())
	for range 1000 {
		standardlog.Printf("Unsolicited response received on idle HTTP channel starting with %q", strings.Repeat("x", 4000))
	}
	got := out.String()
	if n := strings.Count(got, "message of a library"); n != 1 || len(got) > 500 || !strings.Contains(got, "Unsolicited response") {
		t.Errorf("%d lines of %d bytes, want one short one: %.600s", n, len(got), got)
	}
}
