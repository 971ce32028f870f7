package probe

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/microhq/monitor-srv/safefile"
)

// maxPostgresFile bounds the files that a DSN names, in bytes.
const maxPostgresFile = 1 << 20

// checkPostgresFiles checks the files that a DSN or the variables of PostgreSQL name.
// The driver reads them whatever they are, and would wait for a named pipe. Files that
// do not exist are left to the driver, which ignores some of them.
func checkPostgresFiles(dsn string) error {
	for _, f := range []struct{ key, variable string }{
		{"sslrootcert", "PGSSLROOTCERT"}, {"sslcert", "PGSSLCERT"}, {"sslkey", "PGSSLKEY"},
		{"passfile", "PGPASSFILE"}, {"servicefile", "PGSERVICEFILE"},
	} {
		path := cmp.Or(postgresSetting(dsn, f.key), os.Getenv(f.variable))
		if path == "" || path == "system" {
			continue
		}
		if _, err := safefile.Read(path, maxPostgresFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("dsn: reading %s: %w", f.key, err)
		}
	}
	return nil
}

// postgresSetting returns a setting of a DSN, which is a URL or has the form key=value
// or key='value'.
func postgresSetting(dsn, key string) string {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		u, err := url.Parse(dsn)
		if err != nil {
			return ""
		}
		return u.Query().Get(key)
	}
	m := regexp.MustCompile(`(?:^|\s)` + key + `\s*=\s*(?:'([^']*)'|(\S+))`).FindStringSubmatch(dsn)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}
