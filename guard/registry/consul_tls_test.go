package registry_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
	"github.com/microhq/monitor-srv/internal/testkit/registrytest"
)

const aclToken = "5ec2e7aa-1111-4222-8333-0123456789ab"

// startTLSAgent is an agent that speaks HTTPS alone, wants a client certificate and a
// token, and whose own certificate is for "consul.test".
func startTLSAgent(t *testing.T, ca *testkit.CA) (a *consultest.Agent, clientCert, clientKey string) {
	t.Helper()
	a = consultest.New(t)
	a.Token = aclToken
	cert, key := ca.Issue("consul.test")
	clientCert, clientKey = ca.Issue("client.test")
	config, err := json.Marshal(map[string]any{
		"ports": map[string]int{"https": a.Port, "http": -1},
		"tls": map[string]any{
			"defaults": map[string]any{"ca_file": ca.File, "cert_file": cert, "key_file": key},
			"https":    map[string]any{"verify_incoming": true},
		},
		"acl": map[string]any{
			"enabled": true, "default_policy": "deny",
			"tokens": map[string]string{"initial_management": aclToken, "agent": aclToken},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(a.Dir, "config.json")
	testkit.WriteFile(t, path, config)
	a.Args = append(a.Args, "-config-file="+path)
	for i, arg := range a.Args {
		if strings.HasPrefix(arg, "-http-port=") {
			a.Args[i] = "-http-port=-1"
		}
	}
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	a.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: ca.Pool(), ServerName: "consul.test", Certificates: []tls.Certificate{pair},
	}}
	a.Start()
	a.Ready()
	return a, clientCert, clientKey
}

// Faults: Trap12.
func TestConsulWithTLSAndACL(t *testing.T) {
	testkit.NoLeaks(t)
	ca, other := testkit.NewCA(t, "ours"), testkit.NewCA(t, "other")
	consultest.ClearEnv(t)
	a, cert, key := startTLSAgent(t, ca)
	tokenFile := testkit.NewFile(t, "token", aclToken+"\n")
	full := map[string]string{
		api.HTTPCAFile: ca.File, api.HTTPClientCert: cert, api.HTTPClientKey: key,
		api.HTTPTLSServerName: "consul.test", api.HTTPTokenEnvName: aclToken,
	}
	for _, c := range []struct {
		name   string
		flag   string
		change map[string]string
		reason string // in the State; empty: registered
	}{
		{name: "address by flag", flag: "https://" + a.Address()},
		{name: "address by variable", change: map[string]string{api.HTTPAddrEnvName: "https://" + a.Address()}},
		{name: "TLS by variable", flag: a.Address(), change: map[string]string{api.HTTPSSLEnvName: "true"}},
		{name: "CA directory", flag: "https://" + a.Address(), change: map[string]string{api.HTTPCAFile: "", api.HTTPCAPath: filepath.Dir(ca.File)}},
		{name: "token file", flag: "https://" + a.Address(), change: map[string]string{api.HTTPTokenEnvName: "", api.HTTPTokenFileEnvName: tokenFile}},
		{name: "not verified when asked so", flag: "https://" + a.Address(), change: map[string]string{api.HTTPCAFile: "", api.HTTPTLSServerName: "", api.HTTPSSLVerifyEnvName: "false"}},
		{name: "unknown CA", flag: "https://" + a.Address(), change: map[string]string{api.HTTPCAFile: other.File}, reason: "certificate signed by unknown authority"},
		{name: "system's CAs", flag: "https://" + a.Address(), change: map[string]string{api.HTTPCAFile: ""}, reason: "certificate signed by unknown authority"},
		{name: "other server name", flag: "https://" + a.Address(), change: map[string]string{api.HTTPTLSServerName: ""}, reason: "x509: cannot validate certificate for 127.0.0.1"},
		{name: "no client certificate", flag: "https://" + a.Address(), change: map[string]string{api.HTTPClientCert: "", api.HTTPClientKey: ""}, reason: "certificate required"},
		{name: "no token", flag: "https://" + a.Address(), change: map[string]string{api.HTTPTokenEnvName: ""}, reason: "403 (Permission denied"},
		{name: "wrong token", flag: "https://" + a.Address(), change: map[string]string{api.HTTPTokenEnvName: "deadbeef-1111-4222-8333-0123456789ab"}, reason: "403 ("},
		{name: "clear text", flag: "http://" + a.Address(), reason: "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			consultest.ClearEnv(t)
			for name, value := range full {
				t.Setenv(name, value)
			}
			for name, value := range c.change {
				t.Setenv(name, value)
			}
			id := strings.ReplaceAll(c.name, " ", "-")
			r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: c.flag}, guardregistry.Config{Logger: testkit.QuietLog()})
			if err != nil {
				t.Fatal(err)
			}
			testkit.Run(t, r)
			if err := r.Register(registrytest.Service("svc", id)); err != nil {
				t.Fatal(err)
			}
			if c.reason == "" {
				testkit.Eventually(t, 10*time.Second, "registered in the TLS agent", func() bool { return a.Passing("svc", id) })
				testkit.Eventually(t, 10*time.Second, "the state is OK", func() bool { return r.State().OK })
				return
			}
			testkit.Eventually(t, 10*time.Second, "the reason is told: "+c.reason, func() bool {
				s := r.State()
				return !s.OK && strings.Contains(s.Reason, c.reason)
			})
			if s := r.State(); strings.Contains(s.Reason, "deadbeef") || strings.Contains(s.Reason, aclToken) {
				t.Errorf("the reason shows a token: %q", s.Reason)
			}
			if a.Passing("svc", id) {
				t.Error("registered nevertheless")
			}
		})
	}
}
