package probe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
)

func sqlProbeOf(tb testing.TB, kind, dsn, query string, keys ...string) Probe {
	tb.Helper()
	return build(tb, kind, fmt.Sprintf("dsn = %q\nquery = %q\nerrval = 123.5\n%s", dsn, query, strings.Join(keys, "\n")), Env{})
}

// database is a running server. Its certificate is for localhost.
type database struct {
	dsn string
	// dir holds its sockets, and ca is the file of the authority of its certificate.
	dir, ca string
}

// mariaDB starts a MariaDB server.
func mariaDB(tb testing.TB) database {
	tb.Helper()
	server, install := needProgram(tb, "mariadbd"), needProgram(tb, "mariadb-install-db")
	dir := serverDir(tb)
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	mustRun(tb, asPlainUser(tb, exec.Command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")))
	_, port, err := net.SplitHostPort(testkit.FreeAddress(tb))
	if err != nil {
		tb.Fatal(err)
	}
	init := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(init, []byte("CREATE DATABASE d;\nCREATE TABLE d.flags (enabled BIT(1), many BIT(10));\nINSERT INTO d.flags VALUES (b'1', b'1000000001');\nCREATE USER 'monitor'@'%' IDENTIFIED BY 'canary-password';\nGRANT ALL ON *.* TO 'monitor'@'%';\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
	ca, cert, key := serverCert(tb, dir)
	startServer(tb, asPlainUser(tb, exec.Command(server, "--no-defaults", "--ssl-cert="+cert, "--ssl-key="+key, "--datadir="+data, "--socket="+socket, "--pid-file="+filepath.Join(dir, "pid"),
		"--bind-address=127.0.0.1", "--port="+port, "--init-file="+init, "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=8M", "--skip-name-resolve", "--performance-schema=off")))
	dsn := "monitor:canary-password@tcp(127.0.0.1:" + port + ")/d"
	awaitSQL(tb, "mysql", dsn)
	return database{dsn, dir, ca}
}

// postgreSQL starts a PostgreSQL server.
func postgreSQL(tb testing.TB) database {
	tb.Helper()
	const bin = "/usr/lib/postgresql/*/bin"
	server, install := needProgram(tb, "postgres", bin), needProgram(tb, "initdb", bin)
	dir := serverDir(tb)
	data, password := filepath.Join(dir, "data"), filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("canary-password"), 0o644); err != nil {
		tb.Fatal(err)
	}
	mustRun(tb, asPlainUser(tb, exec.Command(install, "-D", data, "-U", "monitor", "--pwfile="+password, "-A", "scram-sha-256", "--no-sync", "--locale=C", "-E", "UTF8")))
	_, port, err := net.SplitHostPort(testkit.FreeAddress(tb))
	if err != nil {
		tb.Fatal(err)
	}
	ca, cert, key := serverCert(tb, dir)
	startServer(tb, asPlainUser(tb, exec.Command(server, "-c", "ssl=on", "-c", "ssl_cert_file="+cert, "-c", "ssl_key_file="+key, "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=4MB")))
	dsn := "postgres://monitor:canary-password@127.0.0.1:" + port + "/postgres?sslmode=disable"
	awaitSQL(tb, "postgres", dsn)
	return database{dsn, dir, ca}
}

func awaitSQL(tb testing.TB, kind, dsn string) {
	tb.Helper()
	ready := sqlProbeOf(tb, kind, dsn, "SELECT 1")
	testkit.Eventually(tb, 60*time.Second, kind+" answers", func() bool {
		_, err := run(tb, ready, 2*time.Second)
		return err == nil
	})
}

// Faults: T41, G27, U14, P4, C22.
func TestMySQLProbeAgainstMariaDB(t *testing.T) {
	db := mariaDB(t)
	dsn := db.dsn
	mariaDBMistakes(t, dsn)
	t.Run("without a query", func(t *testing.T) {
		pings(t, "mysql", db, "monitor:canary-password@unix("+filepath.Join(db.dir, "s")+")/d", "tls=skip-verify")
	})
	const running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(10)%' AND info NOT LIKE '%processlist%'"
	sqlServerTests(t, "mysql", dsn, sqlDialect{
		sleep:      "SELECT 100 FROM (SELECT SLEEP(10)) AS sub",
		running:    running,
		kill:       "KILL %d",
		connection: "SELECT CONNECTION_ID()",
		many:       "SELECT seq FROM seq_1_to_1000000",
		large:      "SELECT REPEAT('1', 3000000)",
		wide:       "SELECT 1, 2",
		huge:       "SELECT '1e999'",
		bad:        "SELECT hogenotfound()",
		write:      "SET @x = 1",
		types:      mariaDBTypes(),
	})
	t.Run("a server that cannot end a query", func(t *testing.T) {
		p := sqlProbeOf(t, "mysql", dsn, "SELECT 100 FROM (SELECT SLEEP(10)) AS sub")
		p.(*checkedProbe).kind.(*mysqlProbe).limits = limitNone
		timesOut(t, p)
		left := sqlProbeOf(t, "mysql", dsn, running)
		testkit.Eventually(t, 2*time.Second, "the query is ended", func() bool { return ok(t, left).Value == 0 })
	})
}

// Faults: T41, G27, U14, P4.
func TestPostgreSQLProbeAgainstPostgreSQL(t *testing.T) {
	db := postgreSQL(t)
	dsn := db.dsn
	postgreSQLMistakes(t, dsn)
	t.Run("without a query", func(t *testing.T) {
		_, rest, _ := strings.Cut(dsn, "127.0.0.1:")
		port, _, _ := strings.Cut(rest, "/")
		pings(t, "postgres", db, "host="+db.dir+" port="+port+" user=monitor password=canary-password dbname=postgres", "")
	})
	sqlServerTests(t, "postgres", dsn, sqlDialect{
		sleep:      "SELECT 100 FROM (SELECT pg_sleep(10)) AS sub",
		running:    "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(10)%' AND query NOT LIKE '%activity%' AND state = 'active'",
		kill:       "SELECT pg_terminate_backend(%d)",
		connection: "SELECT pg_backend_pid()",
		many:       "SELECT generate_series(1, 1000000)",
		large:      "SELECT REPEAT('1', 3000000)",
		wide:       "SELECT 1, 2",
		huge:       "SELECT '1e999'",
		bad:        "SELECT hogenotfound()",
		write:      "SET search_path = public",
		types:      postgreSQLTypes(),
	})
	if r := ok(t, sqlProbeOf(t, "postgres", dsn, "SELECT true")); r.Value != 1 {
		t.Errorf("true is %v, want 1", r.Value)
	}
	fails(t, sqlProbeOf(t, "postgres", dsn, "SELECT 'NaN'::float8"), "is NaN, want a finite number")
	fails(t, sqlProbeOf(t, "postgres", dsn, "SELECT 'Infinity'::float8"), "is +Inf, want a finite number")
	fails(t, sqlProbeOf(t, "postgres", dsn, "SELECT now()"), "want a number")
}

// sqlDialect holds the queries for one kind of server.
type sqlDialect struct {
	sleep, running, kill, connection, many, large, wide, huge, bad, write string

	types []sqlType
}

func sqlServerTests(t *testing.T, kind, dsn string, d sqlDialect) {
	t.Run("types", func(t *testing.T) { sqlTypes(t, kind, dsn, d.types) })
	probeOf := func(query string) Probe { return sqlProbeOf(t, kind, dsn, query) }
	for query, want := range map[string]float64{
		"SELECT 1": 1, "SELECT 123.45": 123.45, "SELECT -7": -7, "SELECT '12.5'": 12.5, "SELECT 1e3": 1000, "SELECT COUNT(*) FROM (SELECT 1) AS s": 1,
	} {
		if r := ok(t, probeOf(query)); r.Value != want {
			t.Errorf("%s = %v, want %v", query, r.Value, want)
		}
	}
	for query, want := range map[string]string{
		"SELECT NULL":  "the query returned NULL, want a number",
		"SELECT 'abc'": `the answer is not a decimal number: "abc"`,
		"SELECT ''":    "the answer is empty, want a number",
		d.huge:         "the answer is too large a number",
		d.many:         "the query returned more than 1 row",
		d.wide:         "the query returned 2 columns, want 1",
		d.large:        "larger than 1024 KiB",
		"SELECT 1 FROM (SELECT 1) AS s WHERE 1 = 0": "the query returned no row, want 1",
		d.bad:   "hogenotfound",
		d.write: "the query returned",
	} {
		begin := time.Now()
		r, _ := fails(t, probeOf(query), want)
		if r.Value != 123.5 {
			t.Errorf("%s: shown value %v, want errval", query, r.Value)
		}
		if took := time.Since(begin); took > 2*time.Second+slack {
			t.Errorf("%s: took %v", query, took)
		}
	}
	t.Run("a slow query ends on the server too", func(t *testing.T) {
		p := probeOf(d.sleep)
		timesOut(t, p)
		running := probeOf(d.running)
		testkit.Eventually(t, 3*time.Second, "the query is ended", func() bool { return ok(t, running).Value == 0 })
	})
	t.Run("one connection", func(t *testing.T) {
		p := probeOf(d.connection)
		first := ok(t, p).Value
		for range 5 {
			if r := ok(t, p); r.Value != first {
				t.Errorf("connection %v, want %v again", r.Value, first)
			}
		}
		_, _ = run(t, probeOf(fmt.Sprintf(d.kill, int(first))), 5*time.Second)
		if r := ok(t, p); r.Value == first {
			t.Errorf("connection %v again, which was killed", r.Value)
		}
	})
}

// Faults: G17, G18.
func TestSQLConstructorsDoNoIO(t *testing.T) {
	var accepted atomic.Int32
	silence := testkit.ServeConns(t, func(c net.Conn) { accepted.Add(1); io.Copy(io.Discard, c) })
	begin := time.Now()
	for kind, text := range map[string]string{
		"mysql":    "dsn = \"u:p@tcp(" + silence + ")/d\"\nquery = \"SELECT 1\"",
		"postgres": "dsn = \"postgres://u:p@" + silence + "/d\"\nquery = \"SELECT 1\"",
		"redis":    "address = \"" + silence + "\"",
		"http":     "url = \"http://" + silence + "/\"",
		"tcp":      "address = \"" + silence + "\"",
		"grpc":     "address = \"" + silence + "\"",
		"dns":      "name = \"a\"\nserver = \"" + silence + "\"",
		"ping":     "host = \"no-such-host.invalid\"",
		"exec":     "command = \"there-is-no-such-command\"",
	} {
		build(t, kind, text, Env{})
	}
	if took := time.Since(begin); took > slack {
		t.Errorf("making the probes took %v", took)
	}
	if n := accepted.Load(); n > 0 {
		t.Errorf("%d connections were made before the first probe", n)
	}
}

// Faults: T41.
func TestSilentDatabasesFailAtTheDeadline(t *testing.T) {
	silence := testkit.SilentServer(t)
	half := testkit.ServeConns(t, func(c net.Conn) {
		io.WriteString(c, "\x4a\x00\x00\x00\x0a5.5.5")
		io.Copy(io.Discard, c)
	})
	for name, c := range map[string]struct{ kind, dsn string }{
		"mysql, silent":             {"mysql", "u:p@tcp(" + silence + ")/d"},
		"mysql, half a handshake":   {"mysql", "u:p@tcp(" + half + ")/d"},
		"postgres, silent":          {"postgres", "postgres://u:p@" + silence + "/d?sslmode=disable"},
		"postgres with TLS, silent": {"postgres", "postgres://u:p@" + silence + "/d?sslmode=require"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timesOut(t, sqlProbeOf(t, c.kind, c.dsn, "SELECT 1"))
		})
	}
}

// The server answers the first query with a request for a file of the client.
// Faults: G26.
func TestRogueMySQLServerReadsNoFile(t *testing.T) {
	canary := testkit.NewFile(t, "canary", "canary-content")
	var mu sync.Mutex
	var received strings.Builder
	rogue := testkit.ServeConns(t, func(c net.Conn) {
		packet := func(seq byte, body string) {
			fmt.Fprintf(c, "%s%c%s", []byte{byte(len(body)), byte(len(body) >> 8), 0}, seq, body)
		}
		br := bufio.NewReader(c)
		read := func() {
			head := make([]byte, 4)
			if _, err := io.ReadFull(br, head); err != nil {
				return
			}
			body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
			io.ReadFull(br, body)
			mu.Lock()
			defer mu.Unlock()
			received.Write(body)
		}
		packet(0, "\x0a8.0.0\x00\x01\x00\x00\x0012345678\x00\xff\xf7\x21\x02\x00\xff\x81\x15"+strings.Repeat("\x00", 10)+"123456789012\x00mysql_native_password\x00")
		read()
		packet(2, "\x00\x00\x00\x02\x00\x00\x00")
		for range 5 {
			read()
			packet(1, "\xfb"+canary)
			read()
			packet(3, "\x00\x00\x00\x02\x00\x00\x00")
		}
	})
	p := sqlProbeOf(t, "mysql", "u:p@tcp("+rogue+")/d", "SELECT 1")
	if _, err := run(t, p, 2*time.Second); err == nil {
		t.Error("the rogue server was believed")
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(received.String(), "canary-content") {
		t.Error("the rogue server got the file")
	}
	refused(t, "mysql", "dsn = \"u:p@tcp(h:1)/d?a,b=1\"\nquery = \"SELECT 1\"", Env{})
	for _, option := range []string{"allowAllFiles=true", "allowCleartextPasswords=true", "allowOldPasswords=true"} {
		err := refused(t, "mysql", fmt.Sprintf("dsn = %q\nquery = \"SELECT 1\"", "u:canary@tcp(h:1)/d?"+option), Env{})
		if name, _, _ := strings.Cut(option, "="); !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "canary") {
			t.Errorf("error %q, want one that names %s and no secret", err, name)
		}
	}
}

// The server announces a message of 1 GB.
// Faults: T41.
func TestPostgreSQLProbeRefusesHugeMessages(t *testing.T) {
	rogue := testkit.ServeConns(t, func(c net.Conn) {
		io.WriteString(c, "R\x3f\xff\xff\xff\x00\x00\x00\x00")
		io.Copy(io.Discard, c)
	})
	fails(t, sqlProbeOf(t, "postgres", "postgres://u:p@"+rogue+"/d?sslmode=disable", "SELECT 1"), "larger than 1024 KiB")
}

// Faults: G28.
func TestDSNsStaySecret(t *testing.T) {
	port := testkit.FreeAddress(t)
	for name, c := range map[string]struct{ kind, dsn string }{
		"mysql":          {"mysql", "user:canary-pass@tcp(" + port + ")/d"},
		"mysql, unknown": {"mysql", "user:canary-pass@tcp(canary-pass.invalid:1)/d"},
		"postgres":       {"postgres", "postgres://user:canary-pass@" + port + "/d"},
		"postgres, keys": {"postgres", "host=127.0.0.1 port=1 user=u password=canary-pass dbname=d"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fails(t, sqlProbeOf(t, c.kind, c.dsn, "SELECT 1"), ""); strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
	for kind, dsn := range map[string]string{"mysql": "user:canary/pass@tcp(h:1)", "postgres": "postgres://user:canary%zz@h/d"} {
		if err := refused(t, kind, fmt.Sprintf("dsn = %q\nquery = \"SELECT 1\"", dsn), Env{}); strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a secret is in %q", kind, err)
		}
	}
}

func TestSQLKeysAreChecked(t *testing.T) {
	for _, kind := range []string{"mysql", "postgres"} {
		for text, want := range map[string]string{
			"":                                    "dsn: this key is required",
			"dsn = \"x\"\ndsn_env = \"X\"":        "give only one of dsn",
			"dsn = \"u@tcp(h:1)/d\"\nqury = \"\"": "unknown key",
		} {
			if err := refused(t, kind, text, Env{}); !strings.Contains(err.Error(), want) {
				t.Errorf("%s %q: error %q, want %q", kind, text, err, want)
			}
		}
	}
}
