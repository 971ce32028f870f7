package guard_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/microhq/monitor-srv/guard"
)

const regToken = "5ec2e7aa-1111-4222-8333-0123456789ab"

// regTLSAgent is an agent that speaks HTTPS alone, wants a client certificate and a
// token, and whose own certificate is for "consul.test".
func regTLSAgent(t *testing.T, ca *CA) (a *ConsulAgent, clientCert, clientKey string) {
	t.Helper()
	a = NewConsul(t, false)
	a.token = regToken
	cert, key := ca.issue("consul.test")
	clientCert, clientKey = ca.issue("client.test")
	config, err := json.Marshal(map[string]any{
		"ports": map[string]int{"https": a.port, "http": -1},
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

func TestTrap12TLSAndACL(t *testing.T) {
	NoLeaks(t)
	ca, other := NewCA(t, "ours"), NewCA(t, "other")
	ClearConsulEnv(t)
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
			ClearConsulEnv(t)
			for name, value := range full {
				t.Setenv(name, value)
			}
			for name, value := range c.change {
				t.Setenv(name, value)
			}
			id := strings.ReplaceAll(c.name, " ", "-")
			r, err := guard.NewConsulRegistry(guard.ConsulConfig{Address: c.flag}, guard.RegistryConfig{Logger: QuietLog()})
			if err != nil {
				t.Fatal(err)
			}
			Run(t, r)
			if err := r.Register(NewService("svc", id)); err != nil {
				t.Fatal(err)
			}
			if c.reason == "" {
				Eventually(t, 10*time.Second, "registered in the TLS agent", func() bool { return a.passing("svc", id) })
				Eventually(t, 10*time.Second, "the state is OK", func() bool { return r.State().OK })
				return
			}
			Eventually(t, 10*time.Second, "the reason is told: "+c.reason, func() bool {
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
