package probe

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// TestFilesOfADSNAreRegular has a named pipe and a device in the place of files that
// the driver reads. One that is read lets the test time out.
// Faults: S2.
func TestFilesOfADSNAreRegular(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	testkit.MakeFIFO(t, pipe)
	for _, key := range []string{"sslrootcert", "sslcert", "sslkey", "passfile", "servicefile"} {
		for _, path := range []string{pipe, "/dev/zero"} {
			for _, dsn := range []string{"postgres://u:canary@h/d?" + key + "=" + path, "host=h password=canary " + key + "=" + path, "host=h password=canary " + key + " = '" + path + "'"} {
				_, err := newPostgres(decodeTOML("dsn = \""+dsn+"\""), Env{})
				if err == nil || !strings.Contains(err.Error(), "dsn: reading "+key+": open "+path+": not a regular file but") || strings.Contains(err.Error(), "canary") {
					t.Errorf("%s: %v", dsn, err)
				}
			}
		}
	}
	t.Setenv("PGPASSFILE", pipe)
	if _, err := newPostgres(decodeTOML(`dsn = "postgres://u@h/d"`), Env{}); err == nil || !strings.Contains(err.Error(), "reading passfile") {
		t.Errorf("PGPASSFILE: %v", err)
	}
}
