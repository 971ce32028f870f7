package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == daemonWord {
		runDaemon(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == serverWord {
		runServer()
	}
	goleak.VerifyTestMain(m)
}

// decodeTOML returns the decode function of a TOML text. Unknown keys are errors.
func decodeTOML(text string) func(any) error {
	return func(target any) error {
		meta, err := toml.Decode(text, target)
		if err != nil {
			return err
		}
		for _, key := range meta.Undecoded() {
			// The library does not report keys of a field of type any as decoded.
			if key[0] != "expect_json" {
				return fmt.Errorf("%v: unknown key", key)
			}
		}
		return nil
	}
}

// build makes a probe that is closed at the end of the test.
func build(tb testing.TB, kind, text string, env Env) Probe {
	tb.Helper()
	p, err := New(Builtin(), kind, decodeTOML(text), env)
	if err != nil {
		tb.Fatalf("making a probe %s of %s: %v", kind, text, err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	return p
}

// refused makes a probe, which must fail, and returns the error.
func refused(tb testing.TB, kind, text string, env Env) error {
	tb.Helper()
	p, err := New(Builtin(), kind, decodeTOML(text), env)
	if err == nil {
		p.Close()
		tb.Fatalf("a probe %s of %s was made, want an error", kind, text)
	}
	return err
}

// run probes once with a timeout.
func run(tb testing.TB, p Probe, timeout time.Duration) (Result, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.Probe(ctx)
}

// ok probes once and ends the test on an error.
func ok(tb testing.TB, p Probe) Result {
	tb.Helper()
	r, err := run(tb, p, 10*time.Second)
	if err != nil {
		tb.Fatalf("probing: %v", err)
	}
	return r
}

// fails probes once, which must fail with an error that contains want.
func fails(tb testing.TB, p Probe, want string) (Result, error) {
	tb.Helper()
	r, err := run(tb, p, 10*time.Second)
	if err == nil {
		tb.Fatalf("value %v without an error, want an error with %q", r.Value, want)
	}
	if !strings.Contains(err.Error(), want) {
		tb.Fatalf("error %q, want one with %q", err, want)
	}
	return r, err
}

// timesOut probes with a short timeout and checks that the probe respects it.
func timesOut(tb testing.TB, p Probe) error {
	tb.Helper()
	const timeout = 300 * time.Millisecond
	begin := time.Now()
	_, err := run(tb, p, timeout)
	took := time.Since(begin)
	if err == nil {
		tb.Fatal("no error, want one of the deadline")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		tb.Fatalf("error %q, want one of the deadline", err)
	}
	if limit := timeout + 200*time.Millisecond + slack; took > limit {
		tb.Fatalf("took %v, want at most %v", took, limit)
	}
	return err
}

// slack is the extra time for busy machines and for -race.
const slack = 500 * time.Millisecond

// listen opens a listener on a free loopback port that is closed at the end of the
// test.
func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

// freePort returns an address on which nothing listens.
func freePort(tb testing.TB) string {
	tb.Helper()
	l := listen(tb)
	defer l.Close()
	return l.Addr().String()
}

// certificate makes a certificate for 127.0.0.1 and localhost and writes its
// authority to a file.
func certificate(tb testing.TB, notAfter time.Time) (tls.Certificate, string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             time.Now().Add(-48 * time.Hour),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// rss returns the resident memory of this process after a garbage collection, in
// bytes.
func rss(tb testing.TB) int {
	tb.Helper()
	runtime.GC()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		tb.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// eventually waits at most d for a condition.
func eventually(tb testing.TB, d time.Duration, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(d)
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", d, what)
		}
		runtime.Gosched()
		waitALittle()
	}
}

func waitALittle() {
	t := time.NewTimer(2 * time.Millisecond)
	<-t.C
}

// quietLog discards what servers log about malformed requests.
func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// pemFiles writes a certificate and its key to files.
func pemFiles(tb testing.TB, cert tls.Certificate) (certFile, keyFile string) {
	tb.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return certFile, keyFile
}
