package registry_test

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go-micro.dev/v4/registry"

	guardregistry "github.com/microhq/monitor-srv/guard/registry"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/consultest"
)

func TestConsulAddress(t *testing.T) {
	for _, c := range []struct {
		flag, env, ssl string
		want           string
	}{
		{want: "127.0.0.1:8500"},
		{env: "10.0.0.1:8500", want: "10.0.0.1:8500"},
		{env: "https://consul.example:8501", want: "https://consul.example:8501"},
		{env: "consul.example", want: "consul.example:80"}, // as Consul's own tools
		{env: "consul.example", ssl: "true", want: "https://consul.example:443"},
		{flag: "other", env: "10.0.0.1:8500", want: "other:8500"}, // as go-micro
		{flag: "other:81", want: "other:81"},
		{flag: "other", ssl: "1", want: "https://other:8500"},
		{flag: "http://other", want: "other:80"},
		{flag: "http://other:8500", ssl: "true", want: "https://other:8500"}, // never back to clear text
		{flag: "https://other", want: "https://other:443"},
		{flag: "https://other:8501/consul/", want: "https://other:8501/consul"},
		{flag: "http://other:8500/consul", want: "http://other:8500/consul"},
		{flag: "::1", want: "[::1]:8500"},
		{flag: "[::1]", want: "[::1]:8500"},
		{flag: "[::1]:8600", want: "[::1]:8600"},
		{flag: "unix:///run/consul.sock", want: "unix:///run/consul.sock"},
		{flag: " first:1 , second:2", want: "first:1"},
		{flag: "first,", want: "first:8500"},
	} {
		consultest.ClearEnv(t)
		t.Setenv(api.HTTPAddrEnvName, c.env)
		t.Setenv(api.HTTPSSLEnvName, c.ssl)
		consul, err := guardregistry.NewConsulClient(guardregistry.ConsulConfig{Address: c.flag, Logger: testkit.QuietLog()})
		if err != nil {
			t.Errorf("flag %q, variable %q: %v", c.flag, c.env, err)
			continue
		}
		if got := consul.Address(); got != c.want {
			t.Errorf("flag %q, variable %q, ssl %q: got %q, want %q", c.flag, c.env, c.ssl, got, c.want)
		}
	}
}

func TestConsulBadConfigurationNamesTheRemedy(t *testing.T) {
	const forms = ": give host:port, http://host:port, https://host:port or unix:///path"
	for _, c := range []struct {
		flag string
		env  map[string]string
		want string
	}{
		{flag: "ftp://x", want: `registry address "ftp://x": unknown scheme "ftp"` + forms},
		{flag: "host:port", want: `registry address "host:port": port "port" is not a number from 1 to 65535` + forms},
		{flag: "host:0", want: `registry address "host:0": port "0" is not a number from 1 to 65535` + forms},
		{flag: "host:99999", want: `registry address "host:99999": port "99999" is not a number from 1 to 65535` + forms},
		{flag: "a b:1", want: `registry address "a b:1": "a b" is not a host` + forms},
		{flag: ":8500", want: `registry address ":8500": the host is missing` + forms},
		{flag: "https://", want: `registry address "https://": the host is missing` + forms},
		{flag: "a:1:2", want: `registry address "a:1:2": it is not host:port` + forms},
		{flag: "host/path", want: `registry address "host/path": a path needs http:// or https:// before the host` + forms},
		{flag: "unix://run/x", want: `registry address "unix://run/x": the path of a socket must start with a slash` + forms},
		{flag: "https://user:hunter2@x:1", want: `registry address "https://<secret>@x:1": it contains a user or password: set CONSUL_HTTP_AUTH instead` + forms},
		{env: map[string]string{api.HTTPAddrEnvName: "tcp://x"}, want: `CONSUL_HTTP_ADDR "tcp://x": unknown scheme "tcp"` + forms},
		{env: map[string]string{api.HTTPSSLEnvName: "yes"}, want: `CONSUL_HTTP_SSL "yes": give true or false`},
		{env: map[string]string{api.HTTPSSLVerifyEnvName: "on"}, want: `CONSUL_HTTP_SSL_VERIFY "on": give true or false`},
		{env: map[string]string{api.HTTPCAFile: "/nowhere"}, want: "CONSUL_CACERT"},
		{env: map[string]string{api.HTTPClientCert: "/nowhere"}, want: "set both CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY, or none"},
		{env: map[string]string{api.HTTPCAFile: "/dev/zero"}, want: "reading CONSUL_CACERT: open /dev/zero: not a regular file but a device"},
		{env: map[string]string{api.HTTPCAPath: "/nowhere"}, want: "reading the directory that CONSUL_CAPATH names"},
	} {
		consultest.ClearEnv(t)
		for name, value := range c.env {
			t.Setenv(name, value)
		}
		_, err := guardregistry.NewConsulClient(guardregistry.ConsulConfig{Address: c.flag, Logger: testkit.QuietLog()})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("flag %q, env %v:\n got %v\nwant %s", c.flag, c.env, err, c.want)
		}
	}
}

func TestConsulListWarnsOfTheIgnored(t *testing.T) {
	consultest.ClearEnv(t)
	log := &testkit.LogBuffer{}
	if _, err := guardregistry.NewConsulClient(guardregistry.ConsulConfig{Address: "a:1,b:2,c:3", Logger: log.Logger()}); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "ignored=b:2,c:3") {
		t.Errorf("log: %q", text)
	}
}

// fakeAgent answers as the handler says. It gives the registry on it.
func fakeAgent(t *testing.T, timeout time.Duration, handler http.HandlerFunc) registry.Registry {
	t.Helper()
	consultest.ClearEnv(t)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return consultest.Open(t, guardregistry.ConsulConfig{Address: server.URL, Timeout: timeout, Logger: testkit.QuietLog()})
}

func TestConsulDeadlineSparesBlockingQueries(t *testing.T) {
	testkit.NoLeaks(t)
	const timeout = 300 * time.Millisecond
	const prompt = 10 * time.Second // on a machine that is busy; the alternative is for ever
	release := make(chan struct{})
	var blocked atomic.Int64 // the longest that a blocking query could wait
	reg := fakeAgent(t, timeout, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Consul-Index", "7")
		if r.URL.Query().Get("index") != "" {
			start := time.Now()
			select {
			case <-time.After(4 * timeout):
			case <-r.Context().Done():
			}
			blocked.Store(max(blocked.Load(), int64(time.Since(start))))
			w.Header().Set("X-Consul-Index", "8")
			_, _ = w.Write([]byte("[]"))
			return
		}
		if strings.HasSuffix(r.URL.Path, "/stuck") {
			<-release
		}
		_, _ = w.Write([]byte("[]"))
	})
	t.Cleanup(func() { close(release) })
	start := time.Now()
	_, err := reg.GetService("stuck")
	if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "no answer within 300ms") || took > prompt {
		t.Errorf("a stuck question: %v after %v", err, took)
	}
	w, err := reg.Watch(registry.WatchService("svc"))
	if err != nil {
		t.Fatal(err)
	}
	_, ended := follow(w)
	<-time.After(7 * timeout)
	start = time.Now()
	w.Stop()
	if err := <-ended; err != registry.ErrWatcherStopped || time.Since(start) > prompt {
		t.Errorf("stop of a watch: %v after %v", err, time.Since(start))
	}
	if got := time.Duration(blocked.Load()); got < 3*timeout {
		t.Errorf("a blocking query was cut after %v", got)
	}
}

func TestConsulAnswerIsBounded(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"`))
		chunk := []byte(strings.Repeat("x", 1<<20))
		for { // without end
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	reg := consultest.Open(t, guardregistry.ConsulConfig{Address: server.URL, Timeout: 30 * time.Second, MaxResponse: 1 << 20})
	// The rest is not read either: the connection is cut.
	start := time.Now()
	_, err := reg.ListServices()
	if err == nil || !strings.Contains(err.Error(), "the response is larger than 1048576 bytes") || time.Since(start) > 20*time.Second {
		t.Errorf("an endless answer: %v after %v", err, time.Since(start))
	}
}

func TestConsulUnixSocket(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	path := filepath.Join(t.TempDir(), "consul.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"svc":[]}`))
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	reg := consultest.Open(t, guardregistry.ConsulConfig{Address: "unix://" + path})
	services, err := reg.ListServices()
	if err != nil || len(services) != 1 || services[0].Name != "svc" {
		t.Errorf("over a unix socket: %v, %v", services, err)
	}
}

func TestConsulHonoursTheEnvironment(t *testing.T) {
	testkit.NoLeaks(t)
	file := testkit.NewFile(t, "token", "from-file\n")
	for _, c := range []struct {
		env                map[string]string
		token, auth, query string
	}{
		{env: map[string]string{api.HTTPTokenEnvName: "t1"}, token: "t1"},
		{env: map[string]string{api.HTTPTokenFileEnvName: file}, token: "from-file"},
		{env: map[string]string{api.HTTPTokenFileEnvName: file, api.HTTPTokenEnvName: "t1"}, token: "from-file"},
		{env: map[string]string{api.HTTPAuthEnvName: "me:pw"}, auth: "me:pw"},
		{env: map[string]string{api.HTTPNamespaceEnvName: "ns1"}, query: "ns=ns1"},
		{env: map[string]string{api.HTTPPartitionEnvName: "p1"}, query: "partition=p1"},
	} {
		t.Run("", func(t *testing.T) {
			var got *http.Request
			consultest.ClearEnv(t)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				_, _ = w.Write([]byte("{}"))
			}))
			defer server.Close()
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			t.Setenv(api.HTTPAddrEnvName, server.URL)
			reg := consultest.Open(t, guardregistry.ConsulConfig{})
			if _, err := reg.ListServices(); err != nil {
				t.Fatal(err)
			}
			user, password, _ := got.BasicAuth()
			if token := got.Header.Get("X-Consul-Token"); token != c.token {
				t.Errorf("env %v: token %q, want %q", c.env, token, c.token)
			}
			if auth := strings.Trim(user+":"+password, ":"); auth != c.auth {
				t.Errorf("env %v: auth %q, want %q", c.env, auth, c.auth)
			}
			if !strings.Contains(got.URL.RawQuery, c.query) {
				t.Errorf("env %v: query %q, want %q in it", c.env, got.URL.RawQuery, c.query)
			}
		})
	}
}

func TestConsulTokenFileMayComeLater(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	file := filepath.Join(t.TempDir(), "token")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Consul-Token") != "late" {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`"127.0.0.1:8300"`))
	}))
	defer server.Close()
	t.Setenv(api.HTTPTokenFileEnvName, file)
	r, err := guardregistry.NewConsul(guardregistry.ConsulConfig{Address: server.URL},
		guardregistry.Config{RetryMin: 10 * time.Millisecond, RetryMax: 10 * time.Millisecond, Logger: testkit.QuietLog()})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, r)
	testkit.Eventually(t, 5*time.Second, "the reason names the variable", func() bool {
		return strings.Contains(r.State().Reason, "reading the token file named by CONSUL_HTTP_TOKEN_FILE")
	})
	testkit.WriteFile(t, file, "late")
	testkit.Eventually(t, 5*time.Second, "the token is read", func() bool { return r.State().OK })
}

// TestHostileTagsHarmNobody registers tags that the plugin panics on, and such that inflate
// to much more than they are.
//
// Faults: Trap18.
func TestHostileTagsHarmNobody(t *testing.T) {
	testkit.NoLeaks(t)
	consultest.ClearEnv(t)
	agent := consultest.Start(t)
	var bomb bytes.Buffer
	w := zlib.NewWriter(&bomb)
	_, _ = w.Write(bytes.Repeat([]byte{'0'}, 64<<20))
	_ = w.Close()
	for id, tags := range map[string][]string{
		"web-1": {"t", "e", "v"}, "web-2": {"v-" + hex.EncodeToString(bomb.Bytes())}, "web-3": {"v=1"},
	} {
		if err := agent.Client().Agent().ServiceRegister(&api.AgentServiceRegistration{ID: id, Name: "web", Address: "127.0.0.1", Port: 1, Tags: tags}); err != nil {
			t.Fatal(err)
		}
	}
	reg := consultest.Open(t, guardregistry.ConsulConfig{Address: agent.Address(), Logger: testkit.QuietLog()})
	watcher, err := reg.Watch(registry.WatchService("web"))
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	got := make(map[string]string)
	for range 2 {
		res, err := watcher.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range res.Service.Nodes {
			got[n.Id] = res.Service.Version
		}
	}
	if want := map[string]string{"web-1": "", "web-2": "", "web-3": "1"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
