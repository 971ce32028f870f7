package guard_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/guard"
)

// regCA is a certificate authority of a test.
type regCA struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func regNewCA(t testing.TB, name string) *regCA {
	t.Helper()
	ca := &regCA{t: t, dir: t.TempDir()}
	ca.key = regKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	all := ca.dir
	ca.dir = t.TempDir() // of its own, to serve as a directory of authorities
	ca.file = ca.write("ca.pem", "CERTIFICATE", der)
	ca.dir = all
	return ca
}

// issue makes a certificate for the host and gives its files.
func (ca *regCA) issue(host string) (cert, key string) {
	ca.t.Helper()
	k := regKey(ca.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{host},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, k.Public(), ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		ca.t.Fatal(err)
	}
	return ca.write(host+".pem", "CERTIFICATE", der), ca.write(host+".key", "PRIVATE KEY", keyDER)
}

func (ca *regCA) write(name, kind string, der []byte) string {
	ca.t.Helper()
	path := filepath.Join(ca.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		ca.t.Fatal(err)
	}
	return path
}

func (ca *regCA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

func regKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const regToken = "5ec2e7aa-1111-4222-8333-0123456789ab"

// regTLSAgent is an agent that speaks HTTPS alone, wants a client certificate and a
// token, and whose own certificate is for "consul.test".
func regTLSAgent(t *testing.T, ca *regCA) (a *regAgent, clientCert, clientKey string) {
	t.Helper()
	a = regNewAgent(t, false)
	a.token = regToken
	cert, key := ca.issue("consul.test")
	clientCert, clientKey = ca.issue("client.test")
	config, err := json.Marshal(map[string]any{
		"ports": map[string]int{"https": a.http, "http": -1},
		"tls": map[string]any{
			"defaults": map[string]any{"ca_file": ca.file, "cert_file": cert, "key_file": key},
			"https":    map[string]any{"verify_incoming": true},
		},
		"acl": map[string]any{
			"enabled": true, "default_policy": "deny",
			"tokens": map[string]string{"initial_management": regToken, "agent": regToken},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(a.dir, "config.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	a.args = append(a.args, "-config-file="+path)
	for i, arg := range a.args {
		if strings.HasPrefix(arg, "-http-port=") {
			a.args[i] = "-http-port=-1"
		}
	}
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	a.transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: ca.pool(), ServerName: "consul.test", Certificates: []tls.Certificate{pair},
	}}
	a.start()
	a.ready()
	return a, clientCert, clientKey
}

// Faults: Trap12.
func TestConsulWithTLSAndACL(t *testing.T) {
	regNoLeaks(t)
	ca, other := regNewCA(t, "ours"), regNewCA(t, "other")
	regClearEnv(t)
	a, cert, key := regTLSAgent(t, ca)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(regToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := map[string]string{
		api.HTTPCAFile: ca.file, api.HTTPClientCert: cert, api.HTTPClientKey: key,
		api.HTTPTLSServerName: "consul.test", api.HTTPTokenEnvName: regToken,
	}
	for _, c := range []struct {
		name   string
		flag   string
		change map[string]string
		reason string // in the State; empty: registered
	}{
		{name: "address by flag", flag: "https://" + a.address()},
		{name: "address by variable", change: map[string]string{api.HTTPAddrEnvName: "https://" + a.address()}},
		{name: "TLS by variable", flag: a.address(), change: map[string]string{api.HTTPSSLEnvName: "true"}},
		{name: "CA directory", flag: "https://" + a.address(), change: map[string]string{api.HTTPCAFile: "", api.HTTPCAPath: filepath.Dir(ca.file)}},
		{name: "token file", flag: "https://" + a.address(), change: map[string]string{api.HTTPTokenEnvName: "", api.HTTPTokenFileEnvName: tokenFile}},
		{name: "not verified when asked so", flag: "https://" + a.address(), change: map[string]string{api.HTTPCAFile: "", api.HTTPTLSServerName: "", api.HTTPSSLVerifyEnvName: "false"}},
		{name: "unknown CA", flag: "https://" + a.address(), change: map[string]string{api.HTTPCAFile: other.file}, reason: "certificate signed by unknown authority"},
		{name: "system's CAs", flag: "https://" + a.address(), change: map[string]string{api.HTTPCAFile: ""}, reason: "certificate signed by unknown authority"},
		{name: "other server name", flag: "https://" + a.address(), change: map[string]string{api.HTTPTLSServerName: ""}, reason: "x509: cannot validate certificate for 127.0.0.1"},
		{name: "no client certificate", flag: "https://" + a.address(), change: map[string]string{api.HTTPClientCert: "", api.HTTPClientKey: ""}, reason: "certificate required"},
		{name: "no token", flag: "https://" + a.address(), change: map[string]string{api.HTTPTokenEnvName: ""}, reason: "403 (Permission denied"},
		{name: "wrong token", flag: "https://" + a.address(), change: map[string]string{api.HTTPTokenEnvName: "deadbeef-1111-4222-8333-0123456789ab"}, reason: "403 ("},
		{name: "clear text", flag: "http://" + a.address(), reason: "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			regClearEnv(t)
			for name, value := range full {
				t.Setenv(name, value)
			}
			for name, value := range c.change {
				t.Setenv(name, value)
			}
			id := strings.ReplaceAll(c.name, " ", "-")
			r, err := guard.NewConsulRegistry(guard.ConsulConfig{Address: c.flag}, guard.RegistryConfig{Logger: regQuiet()})
			if err != nil {
				t.Fatal(err)
			}
			regRun(t, r)
			if err := r.Register(regService("svc", id)); err != nil {
				t.Fatal(err)
			}
			if c.reason == "" {
				regEventually(t, 10*time.Second, "registered in the TLS agent", func() bool { return a.passing("svc", id) })
				regEventually(t, 10*time.Second, "the state is OK", func() bool { return r.State().OK })
				return
			}
			regEventually(t, 10*time.Second, "the reason is told: "+c.reason, func() bool {
				s := r.State()
				return !s.OK && strings.Contains(s.Reason, c.reason)
			})
			if s := r.State(); strings.Contains(s.Reason, "deadbeef") || strings.Contains(s.Reason, regToken) {
				t.Errorf("the reason shows a token: %q", s.Reason)
			}
			if a.passing("svc", id) {
				t.Error("registered nevertheless")
			}
		})
	}
}
