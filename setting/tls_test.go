package setting_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/setting"
)

// pemFiles are files of certificates and keys as people have them.
type pemFiles struct {
	t   *testing.T
	dir string
}

func (f pemFiles) write(name, text string) {
	testkit.WriteFile(f.t, filepath.Join(f.dir, name), text)
}

// encrypt writes bytes that are no key, marked as tools mark encrypted keys.
func (f pemFiles) encrypt(name string, key []byte, kind string, headers map[string]string) {
	block, _ := pem.Decode(key)
	slices.Reverse(block.Bytes)
	f.write(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: block.Bytes})))
}

func newPEMFiles(t *testing.T) pemFiles {
	f := pemFiles{t, t.TempDir()}
	ca := testkit.NewCA(t, "ca")
	for _, host := range []string{"a", "b"} {
		cert, key := ca.Issue(host)
		f.write(host+".pem", string(testkit.ReadFile(t, cert)))
		f.write(host+".key", string(testkit.ReadFile(t, key)))
	}
	cert, key := testkit.ReadFile(t, filepath.Join(f.dir, "a.pem")), testkit.ReadFile(t, filepath.Join(f.dir, "a.key"))
	f.encrypt("pkcs8.key", key, "ENCRYPTED PRIVATE KEY", nil)
	f.encrypt("pkcs1.key", key, "RSA PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"})
	der, _ := pem.Decode(cert)
	f.write("a.der", string(der.Bytes))
	f.write("a.pfx", string(der.Bytes))
	derKey, _ := pem.Decode(key)
	f.write("key.der", string(derKey.Bytes))
	f.write("empty", "")
	f.write("text", "hello\n")
	f.write("broken.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der.Bytes[:40]})))
	f.write("broken.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: derKey.Bytes[:20]})))
	f.write("both.pem", string(key)+string(cert))
	testkit.MakeFIFO(t, filepath.Join(f.dir, "pipe"))
	return f
}

// Faults: C07, C26.
func TestNameInTheCertificateIsKnownByItsASCIIForm(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "shop.example": "shop.example", "bücher.example": "xn--bcher-kva.example", "_x.shop.example": "_x.shop.example",
		"192.0.2.1": "192.0.2.1", "[2001:db8::1]": "2001:db8::1", "fe80::1%eth0": "fe80::1",
		"shop.example:443": "!", "https://shop.example": "!", "shop example": "!", "a@shop.example": "!", "-ü.example": "!",
	} {
		switch c, err := (setting.TLS{ServerName: name}).Config(); {
		case want == "!":
			if err == nil || !strings.HasPrefix(err.Error(), "server_name: ") {
				t.Errorf("%q: error %v, want one of server_name", name, err)
			}
		case err != nil || c.ServerName != want:
			t.Errorf("%q: %v, error %v, want %q", name, c, err, want)
		}
	}
}

// Faults: C04.
func TestByteOrderMarkBeforeCertificatesIsPassedOver(t *testing.T) {
	f := newPEMFiles(t)
	for _, name := range []string{"a.pem", "a.key"} {
		f.write("mark-"+name, "\ufeff"+string(testkit.ReadFile(t, filepath.Join(f.dir, name))))
	}
	cert, key := filepath.Join(f.dir, "mark-a.pem"), filepath.Join(f.dir, "mark-a.key")
	if _, err := (setting.TLS{CAFile: cert, CertFile: cert, KeyFile: key}).Config(); err != nil {
		t.Error(err)
	}
}

// TestErrorsOfCertificatesNameKeyFileAndRemedy gives wrong files.
// Faults: C30, S2.
func TestErrorsOfCertificatesNameKeyFileAndRemedy(t *testing.T) {
	f := newPEMFiles(t)
	const encrypted = `the key is encrypted with a passphrase, which nobody can type here: write a key without one by "openssl pkey -in DIR/NAME -out KEY", give that, and let nobody else read it (chmod 0600 KEY)`
	for _, c := range []struct{ ca, cert, key, want string }{
		{"a.pem", "a.pem", "a.key", ""},
		{"", "both.pem", "both.pem", ""},
		{"", "a.pem", "pkcs8.key", `reading key_file "DIR/pkcs8.key": ` + strings.Replace(encrypted, "NAME", "pkcs8.key", 1)},
		{"", "a.pem", "pkcs1.key", `reading key_file "DIR/pkcs1.key": ` + strings.Replace(encrypted, "NAME", "pkcs1.key", 1)},
		{"", "a.pem", "b.key", `reading key_file "DIR/b.key": the key is not that of the certificate in cert_file "DIR/a.pem": give the two that belong together, the certificate of the client first in its file`},
		{"", "a.pem", "", "give both cert_file and key_file, or none: key_file is missing"},
		{"", "", "a.key", "give both cert_file and key_file, or none: cert_file is missing"},
		{"", "a.key", "a.key", `reading cert_file "DIR/a.key": it contains no certificate but a private key`},
		{"", "a.pem", "a.pem", `reading key_file "DIR/a.pem": it contains no private key but a certificate`},
		{"", "a.der", "a.key", `reading cert_file "DIR/a.der": it is not PEM but DER: convert it by "openssl x509 -inform der -in DIR/a.der -out FILE"`},
		{"", "a.pem", "key.der", `reading key_file "DIR/key.der": it is not PEM but DER: convert it by "openssl pkey -inform der -in DIR/key.der -out FILE"`},
		{"", "a.pfx", "a.key", `reading cert_file "DIR/a.pfx": it is not PEM but PKCS #12: convert it by "openssl pkcs12 -in DIR/a.pfx -nodes -out FILE"`},
		{"", "text", "a.key", `reading cert_file "DIR/text": it contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)`},
		{"", "a.pem", "empty", `reading key_file "DIR/empty": it contains no private key in PEM format (-----BEGIN PRIVATE KEY-----)`},
		{"", "broken.pem", "a.key", `reading cert_file "DIR/broken.pem": the certificate cannot be decoded: x509: malformed certificate`},
		{"", "a.pem", "broken.key", `reading key_file "DIR/broken.key": the key cannot be decoded: failed to parse private key`},
		{"", "none", "a.key", "reading cert_file: open DIR/none: no such file or directory"},
		{"", "a.pem", "pipe", "reading key_file: open DIR/pipe: not a regular file but a named pipe: give the path of a regular file"},
		{"a.key", "", "", `reading ca_file "DIR/a.key": it contains no certificate but a private key`},
		{"a.der", "", "", `reading ca_file "DIR/a.der": it is not PEM but DER: convert it by "openssl x509 -inform der -in DIR/a.der -out FILE"`},
		{"broken.pem", "", "", `reading ca_file "DIR/broken.pem": it contains no certificate that can be decoded`},
		{"text", "", "", `reading ca_file "DIR/text": it contains no certificate in PEM format (-----BEGIN CERTIFICATE-----)`},
		{"none", "", "", "reading ca_file: open DIR/none: no such file or directory"},
		{"pipe", "", "", "reading ca_file: open DIR/pipe: not a regular file but a named pipe: give the path of a regular file"},
	} {
		path := func(name string) string {
			if name == "" {
				return ""
			}
			return filepath.Join(f.dir, name)
		}
		_, err := setting.TLS{CAFile: path(c.ca), CertFile: path(c.cert), KeyFile: path(c.key)}.Config()
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), f.dir, "DIR")
		}
		if got != c.want {
			t.Errorf("%q %q %q:\ngot  %s\nwant %s", c.ca, c.cert, c.key, got, c.want)
		}
	}
}

// Faults: S2.
func TestDevicesAreNoCertificates(t *testing.T) {
	for _, keys := range []setting.TLS{{CAFile: "/dev/zero"}, {CertFile: "/dev/zero", KeyFile: "/dev/zero"}} {
		if _, err := keys.Config(); err == nil || !strings.Contains(err.Error(), "not a regular file but a device") {
			t.Errorf("%+v: error %v", keys, err)
		}
	}
}

// TestExpiredClientCertificateIsNamed connects to a server that asks for a
// certificate. The file is valid until somebody asks.
// Faults: C30.
func TestExpiredClientCertificateIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		notAfter time.Time
		want     string
	}{
		"valid":   {time.Now().Add(time.Hour), ""},
		"expired": {time.Now().Add(-time.Hour), "expired at "},
	} {
		pair, ca := testkit.SelfSigned(t, c.notAfter)
		cert, key := testkit.PEMFiles(t, filepath.Join(t.TempDir(), "client"), pair)
		config, err := setting.TLS{CertFile: cert, KeyFile: key, CAFile: ca, InsecureSkipVerify: true}.Config()
		if err != nil {
			t.Fatal(err)
		}
		err = handshake(t, config, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), `the client certificate in cert_file "`+cert+`" `+c.want)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// handshake connects the client to a server and returns its error.
func handshake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("hello"))
		_ = conn.Close()
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.ReadAll(conn)
	return err
}

// TestSecretsAreReadFromRegularFiles gives other files.
// Faults: C04, S2.
func TestSecretsAreReadFromRegularFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, large, fine := filepath.Join(dir, "pipe"), filepath.Join(dir, "large"), filepath.Join(dir, "fine")
	testkit.MakeFIFO(t, pipe)
	testkit.WriteFile(t, large, strings.Repeat("x", 64<<10+1))
	testkit.WriteFile(t, fine, "\ufeffpass word\r\n")
	empty := filepath.Join(dir, "empty")
	testkit.WriteFile(t, empty, "\ufeff\r\n")
	for path, want := range map[string]string{
		fine:        "",
		pipe:        "not a regular file but a named pipe: give the path of a regular file",
		dir:         "not a regular file but a directory: give the path of a regular file",
		"/dev/zero": "not a regular file but a device: give the path of a regular file",
		empty:       "the file is empty",
		large:       "larger than the limit of 64 KiB",
		"/none":     "no such file or directory",
	} {
		secret, err := setting.SecretFrom("password", setting.Secret{}, path, "")
		switch {
		case want == "":
			if err != nil || secret.Reveal() != "pass word" {
				t.Errorf("%q, %v", secret.Reveal(), err)
			}
		case err == nil || !strings.HasPrefix(err.Error(), "reading password_file: ") || !strings.HasSuffix(err.Error(), path+": "+want):
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
	if _, err := setting.SecretFrom("password", setting.Secret{}, "/none", ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v does not wrap its cause", err)
	}
}
