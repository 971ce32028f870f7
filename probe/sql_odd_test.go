package probe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/microhq/monitor-srv/internal/testkit"
)

// sqlType is an expression of a type, and the number that it is or a part of the
// error.
type sqlType struct {
	expression string
	value      float64
	err        string
}

// sqlTypes checks the numbers of types.
func sqlTypes(t *testing.T, kind, dsn string, types []sqlType) {
	for _, c := range types {
		p := sqlProbeOf(t, kind, dsn, c.expression)
		if c.err != "" {
			fails(t, p, c.err)
		} else if r := ok(t, p); r.Value != c.value {
			t.Errorf("%s: %v, want %v", c.expression, r.Value, c.value)
		}
	}
}

func mariaDBTypes() []sqlType {
	return []sqlType{
		{"SELECT b FROM (SELECT CAST(1 AS UNSIGNED) AS b) AS t", 1, ""},
		{"SELECT enabled FROM flags", 1, ""},
		{"SELECT many FROM flags", 513, ""},
		{"SELECT 18446744073709551615", 18446744073709551615, ""},
		{"SELECT CAST('1.50' AS DECIMAL(5,2))", 1.5, ""},
		{"SELECT TRUE", 1, ""},
		{"SELECT CAST('7' AS BINARY)", 7, ""},
		{"SELECT 1e0/3", 1.0 / 3, ""},
		{"SELECT DATE('2026-01-02')", 0, `the answer of type DATE is not a decimal number: "2026-01-02"`},
		{"SELECT TIME('10:00:00')", 0, "of type TIME"},
		{"SELECT JSON_ARRAY(1)", 0, "is not a decimal number"},
		{"SELECT ST_GeomFromText('POINT(1 1)')", 0, "of type GEOMETRY"},
		{"SELECT 'yes'", 0, `the answer is not a decimal number: "yes"`},
		{"SELECT 1/0", 0, "NULL"},
	}
}

func postgreSQLTypes() []sqlType {
	return []sqlType{
		{"SELECT B'101'", 5, ""},
		{"SELECT B'1'::bit varying", 1, ""},
		{"SELECT 7::smallint", 7, ""},
		{"SELECT 1.50::numeric", 1.5, ""},
		{"SELECT '12.5'::text", 12.5, ""},
		{"SELECT true", 1, ""},
		{"SELECT 3::oid", 3, ""},
		{"SELECT 2.5::real", 2.5, ""},
		{"SELECT '1.5'::char(5)", 1.5, ""},
		{"SELECT DATE '2026-01-02'", 0, "of type DATE"},
		{"SELECT INTERVAL '1 day'", 0, "of type INTERVAL"},
		{"SELECT 1::money", 0, "is not a decimal number"},
		{"SELECT ARRAY[1]", 0, "of type _INT4"},
		{"SELECT 'NaN'::numeric", 0, `is not a decimal number: "NaN"`},
		{"SELECT repeat('1', 65)::bit(65)", 0, "of type BIT has 65 digits"},
	}
}

// pings checks probes without a query. socket is a DSN over a socket, and insecure
// the parameter that asks for TLS.
func pings(t *testing.T, kind string, db database, socket, insecure string) {
	host := strings.Replace(db.dsn, "127.0.0.1", "localhost", 1)
	of := func(dsn, keys string) Probe { return build(t, kind, fmt.Sprintf("dsn = %q\n%s", dsn, keys), Env{}) }
	trusted := fmt.Sprintf("tls = { ca_file = %q }", db.ca)
	for name, p := range map[string]Probe{
		"plain": of(db.dsn, ""), "over the socket": of(socket, ""),
		"over TLS": of(host, trusted), "over TLS by another name": of(db.dsn, fmt.Sprintf("tls = { ca_file = %q, server_name = \"localhost\" }", db.ca)),
		"over TLS with a query": of(host, trusted+"\nquery = \"SELECT 0\""),
	} {
		if r := ok(t, p); r.Value != 0 {
			t.Errorf("%s: value %v, want 0", name, r.Value)
		}
	}
	fails(t, of(db.dsn, trusted), "certificate")
	fails(t, of(host, "tls = {}"), "certificate signed by unknown authority")
	fails(t, of(strings.Replace(db.dsn, "canary-password", "canary-wrong", 1), ""), "connecting: ")
	if err := refused(t, kind, fmt.Sprintf("dsn = %q\n%s", socket, trusted), Env{}); !strings.Contains(err.Error(), "not possible over a unix socket") {
		t.Errorf("%v", err)
	}
	if insecure != "" {
		if err := refused(t, kind, fmt.Sprintf("dsn = %q\n%s", db.dsn+"?"+insecure, trusted), Env{}); !strings.Contains(err.Error(), "give only one of") {
			t.Errorf("%v", err)
		}
	}
}

// Faults: T41, P4.
func TestDatabaseProbesSayWhatElseAnswered(t *testing.T) {
	for name, odd := range map[string]struct{ says, want string }{
		"ssh":                 {"SSH-2.0-OpenSSH_9.2\r\n", `the server speaks another protocol: it says "SSH-2.0-OpenSSH_9.2"`},
		"http":                {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", `the server speaks another protocol: it says "HTTP/1.1 400 Bad Request"`},
		"smtp":                {"220 mail.example ESMTP\r\n", `the server speaks another protocol: it says "220 mail.example ESMTP"`},
		"redis":               {"-ERR unknown command\r\n", `the server speaks another protocol: it says "-ERR unknown command"`},
		"nothing":             {"", "connecting: "},
		"NULs":                {strings.Repeat("\x00", 64), ""},
		"an alert of TLS":     {"\x15\x03\x01\x00\x02\x02\x46", ""},
		"a bell and a screen": {"\a\x1b[2J hello\r\n", ""},
		"a huge packet":       {"\xff\xff\xff\x00" + strings.Repeat("x", 2000), ""},
		"one letter":          {"N", "connecting: "},
	} {
		for kind, dsn := range map[string]string{"mysql": "u:p@tcp(%s)/d", "postgres": "postgres://u:p@%s/d?sslmode=disable"} {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				server := testkit.ServeConns(t, func(c net.Conn) {
					_, _ = io.WriteString(c, odd.says)
					_ = c.Close()
				})
				_, err := fails(t, sqlProbeOf(t, kind, fmt.Sprintf(dsn, server), ""), odd.want)
				if strings.ContainsAny(err.Error(), "\x00\a\x1b\n") {
					t.Errorf("%q holds control characters", err)
				}
			})
		}
	}
}

// A proxy's administration port speaks MySQL's protocol, and knows few statements.
//
// Faults: C21, C22.
func TestMySQLProbeOfAServerThatKnowsFewStatements(t *testing.T) {
	server := testkit.ServeConns(t, func(c net.Conn) {
		packet := func(seq byte, body string) {
			_, _ = fmt.Fprintf(c, "%s%c%s", []byte{byte(len(body)), byte(len(body) >> 8), 0}, seq, body)
		}
		const ok = "\x00\x00\x00\x02\x00\x00\x00"
		br := bufio.NewReader(c)
		read := func() (string, error) {
			head := make([]byte, 4)
			if _, err := io.ReadFull(br, head); err != nil {
				return "", err
			}
			body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
			_, err := io.ReadFull(br, body)
			return string(body), err
		}
		packet(0, "\x0a8.0.0\x00\x01\x00\x00\x0012345678\x00\xff\xf7\x21\x02\x00\xff\x81\x15"+strings.Repeat("\x00", 10)+"123456789012\x00mysql_native_password\x00")
		_, _ = read()
		packet(2, ok)
		for {
			query, err := read()
			switch {
			case err != nil:
				return
			case strings.HasSuffix(query, "SELECT enabled"):
				packet(1, "\x01")
				packet(2, "\x03def\x00\x00\x00\x07enabled\x00\x0c\x3f\x00\x01\x00\x00\x00\x10\x20\x00\x00\x00\x00")
				packet(3, "\xfe\x00\x00\x02\x00")
				packet(4, "\x01\x01")
				packet(5, "\xfe\x00\x00\x02\x00")
			default:
				packet(1, "\xff\x15\x04#42000ProxySQL Admin Error: near \"SET\": syntax error")
			}
		}
	})
	p := sqlProbeOf(t, "mysql", "u:p@tcp("+server+")/d", "SELECT enabled")
	for range 3 {
		if r := ok(t, p); r.Value != 1 {
			t.Errorf("%v, want 1 for a BIT that is set", r.Value)
		}
	}
	fails(t, sqlProbeOf(t, "mysql", "u:p@tcp("+server+")/d", "SELECT other"), `running the query: Error 1045 (42000): ProxySQL Admin Error`)
}
