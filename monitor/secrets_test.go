package monitor

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/setting"
)

// secretBench is a bench with the kind "safe" of probes and actions, which reads a
// password from a file. The password is the detail of results and the name for
// notifiedTo.
type secretBench struct {
	*bench
	t      *testing.T
	dir    string
	log    strings.Builder
	builds map[string]int // probes by name; guarded by the mutex of the bench
}

type secretKeys struct {
	Name         string         `toml:"name"`
	Password     setting.Secret `toml:"password"`
	PasswordFile string         `toml:"password_file"`
	TLS          struct {
		CAFile string `toml:"ca_file"`
	} `toml:"tls"`
}

type secretProbe struct {
	*fakeProbe
	password string
}

func (p *secretProbe) Probe(ctx context.Context) (probe.Result, error) {
	r, err := p.fakeProbe.Probe(ctx)
	r.Detail = p.password
	return r, err
}

// withSecretBench runs a test in a synctest bubble with a new secretBench.
func withSecretBench(t *testing.T, test func(t *testing.T, s *secretBench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newSecretBench(t)) })
}

func newSecretBench(t *testing.T) *secretBench {
	t.Helper()
	b := newPlainBench(t)
	s := &secretBench{bench: b, t: t, dir: t.TempDir(), builds: map[string]int{}}
	b.Group.log = testkit.InfoTo(&s.log)
	read := func(decode func(any) error) (k secretKeys, password string, err error) {
		if err = decode(&k); err != nil {
			return k, "", err
		}
		secret, err := setting.SecretFrom("password", k.Password, k.PasswordFile, "")
		return k, secret.Reveal(), err
	}
	b.cfg.Probes["safe"] = func(decode func(any) error, _ probe.Env) (probe.Probe, error) {
		k, password, err := read(decode)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.builds[k.Name]++
		return &secretProbe{&fakeProbe{b, k.Name}, password}, nil
	}
	b.kinds["safe"] = func(decode func(any) error, _ action.Env) (action.Action, error) {
		_, password, err := read(decode)
		return &fakeAction{b: b, To: password}, err
	}
	return s
}

func (s *secretBench) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	testkit.WriteFile(s.t, path, text)
	return path
}

func (s *secretBench) probesBuilt(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.builds[name]
}

func (s *secretBench) info(name string) Info {
	s.t.Helper()
	for _, i := range s.List(Filter{}) {
		if i.Name == name {
			return i
		}
	}
	s.t.Fatalf("no monitor %q", name)
	return Info{}
}

// lastDetail returns the latest detail of a monitor, which is the password of its
// probe.
func (s *secretBench) lastDetail(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.results) - 1; i >= 0; i-- {
		if s.results[i].Name == name {
			return s.results[i].Detail
		}
	}
	return ""
}

const secretTOML = `
[[monitor]]
name = "turns"
interval = 5
probe = { type = "safe", name = "turns", password_file = "%[1]s/turns" }
filter = { type = "average", window = 4 }
actions = [{ type = "safe", password_file = "%[1]s/mail" }, { receiver = "ops" }]

[[monitor]]
name = "stays"
interval = 5
probe = { type = "safe", name = "stays", password_file = "%[1]s/stays", tls = { ca_file = "%[1]s/ca" } }
actions = [{ receiver = "ops" }]

[[receiver]]
name = "ops"
type = "safe"
password_file = "%[1]s/ops"
`

// TestRotatedSecretsAreReloaded rotates passwords and applies the files again. The
// monitor keeps its state, and others are not affected.
func TestRotatedSecretsAreReloaded(t *testing.T) {
	withSecretBench(t, func(t *testing.T, s *secretBench) {
		for _, name := range []string{"turns", "stays", "mail", "ops", "ca"} {
			s.write(name, name+"-old")
		}
		document := fmt.Sprintf(secretTOML, s.dir)
		s.mustApply(t, document)
		s.setProbe(down)
		time.Sleep(21 * time.Second)
		before := s.info("turns")
		if s.SecretsChanged(t.Context()) {
			t.Error("nothing has changed")
		}

		s.write("turns", "turns-new")
		s.write("mail", "mail-new")
		if !s.SecretsChanged(t.Context()) || s.SecretsChanged(t.Context()) {
			t.Error("want one change")
		}
		s.mustApply(t, document)
		if i := s.info("turns"); !i.NextProbe.Equal(before.NextProbe) || i.Probes != before.Probes || i.State != Failing || i.ID != before.ID {
			t.Errorf("before %+v\nafter %+v", before, i)
		}
		time.Sleep(5 * time.Second)
		if i := s.info("turns"); i.Probes != before.Probes+1 || i.Missed != 0 || s.lastDetail("turns") != "turns-new" {
			t.Errorf("%q: %+v", s.lastDetail("turns"), i)
		}
		if a, b := s.probesBuilt("turns"), s.probesBuilt("stays"); a != 2 || b != 1 {
			t.Errorf("built turns %d times and stays %d times", a, b)
		}
		s.setProbe(up)
		time.Sleep(10 * time.Second)
		if got := s.notifiedTo("mail-old") + "; " + s.notifiedTo("mail-new"); got != "turns:init turns:fail; turns:recover" {
			t.Errorf("notified %s", got)
		}
		if got := s.notifiedTo("ops-new"); got != "" || !strings.Contains(s.notifiedTo("ops-old"), "turns:recover") {
			t.Errorf("notified %s", got)
		}
		s.mu.Lock()
		if s.closed["turns"] != 1 || s.closed["stays"] != 0 {
			t.Errorf("closed: %v", s.closed)
		}
		s.mu.Unlock()
		synctest.Wait() // until all is logged
		if strings.Contains(s.log.String(), "-new") || strings.Contains(s.log.String(), "-old") || !strings.Contains(s.log.String(), "turns") {
			t.Errorf("log:\n%s", s.log.String())
		}
	})
}

// TestRotatedCertificatesAndReceiversAreReloaded rotates files of certificates, of
// receivers and of registered monitors.
func TestRotatedCertificatesAndReceiversAreReloaded(t *testing.T) {
	withSecretBench(t, func(t *testing.T, s *secretBench) {
		for _, name := range []string{"turns", "stays", "mail", "ops", "ca", "api"} {
			s.write(name, name+"-old")
		}
		document := fmt.Sprintf(secretTOML, s.dir)
		s.apply(t, "a.toml", document)
		d := mustParse(t, fmt.Sprintf(`{"name": "api", "interval": 5, "probe": {"type": "safe", "name": "api", "password_file": %q}}`, s.dir+"/api"))
		d.Trusted = true
		if _, err := s.Register(d); err != nil {
			t.Fatal(err)
		}
		s.apply(t, "a.toml", document)
		time.Sleep(11 * time.Second)
		s.write("ca", "ca-new")
		s.write("ops", "ops-new")
		s.write("api", "api-new")
		made := s.probesBuilt("api")
		s.apply(t, "a.toml", document)
		s.apply(t, "a.toml", document)
		if got := s.probesBuilt("stays"); got != 2 {
			t.Errorf("another authority: the probe was built %d times", got)
		}
		if got := s.probesBuilt("api") - made; got != 1 {
			t.Errorf("the registered probe was built %d times", got)
		}
		s.setProbe(down)
		time.Sleep(6 * time.Second)
		if got := s.notifiedTo("ops-new"); !strings.Contains(got, "turns:fail") || !strings.Contains(got, "stays:fail") || s.lastDetail("api") != "api-new" {
			t.Errorf("notified %q; the registered monitor has %q", got, s.lastDetail("api"))
		}
	})
}

// TestMissingSecretIsReported removes secrets. Each reload reports them, and the
// previous ones stay in use.
func TestMissingSecretIsReported(t *testing.T) {
	withSecretBench(t, func(t *testing.T, s *secretBench) {
		for _, name := range []string{"turns", "stays", "mail", "ops", "ca"} {
			s.write(name, name+"-old")
		}
		document := fmt.Sprintf(secretTOML, s.dir)
		s.apply(t, "a.toml", document)
		time.Sleep(11 * time.Second)
		for _, name := range []string{"turns", "ops", "mail"} {
			testkit.Remove(t, filepath.Join(s.dir, name))
		}
		for range 2 {
			var got []string
			for _, p := range s.apply(t, "a.toml", document) {
				got = append(got, strings.ReplaceAll(p.Error(), s.dir, "DIR"))
			}
			const want = `a.toml:18: receiver "ops": action safe: reading password_file: open DIR/ops: no such file or directory; the previous one stays in use
a.toml:7: monitor "turns": action safe: reading password_file: open DIR/mail: no such file or directory; the previous one stays in use
a.toml:2: monitor "turns": probe safe: reading password_file: open DIR/turns: no such file or directory; the previous one stays in use`
			if got := strings.Join(got, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		}
		time.Sleep(5 * time.Second)
		if got := s.lastDetail("turns"); got != "turns-old" {
			t.Errorf("it uses %q", got)
		}
		s.SecretsChanged(t.Context())
		s.write("turns", "turns-new")
		if !s.SecretsChanged(t.Context()) {
			t.Error("the new file is not detected")
		}
		s.apply(t, "a.toml", document)
		time.Sleep(5 * time.Second)
		if got := s.lastDetail("turns"); got != "turns-new" {
			t.Errorf("it uses %q", got)
		}
	})
}

// TestSecretsOfRegisteredMonitorsAreWatched rotates the password of a registered
// monitor, before and after a restart.
func TestSecretsOfRegisteredMonitorsAreWatched(t *testing.T) {
	withSecretBench(t, func(t *testing.T, s *secretBench) {
		document := fmt.Sprintf(`{"name": "api", "interval": 5, "probe": {"type": "safe", "name": "api", "password_file": %q},
			"actions": [{"type": "safe", "password_file": %q}]}`, s.write("api", "api-old"), s.write("mail", "mail-old"))
		d := mustParse(t, document)
		d.Trusted = true
		if _, err := s.Register(d); err != nil {
			t.Fatal(err)
		}
		if p := s.RefreshSecrets(); len(p) > 0 || s.SecretsChanged(t.Context()) || s.probesBuilt("api") != 1 || s.log.Len() > 0 {
			t.Errorf("nothing has changed: %v, built %d times, logged %s", p, s.probesBuilt("api"), s.log.String())
		}
		s.write("api", "api-new")
		s.write("mail", "mail-new")
		if !s.SecretsChanged(t.Context()) {
			t.Error("the change is not detected")
		}
		if p := s.RefreshSecrets(); len(p) > 0 {
			t.Error(p[0])
		}
		s.setProbe(down)
		time.Sleep(11 * time.Second)
		if s.lastDetail("api") != "api-new" || !strings.Contains(s.notifiedTo("mail-new"), "api:fail") {
			t.Errorf("the probe has %q, notified %q", s.lastDetail("api"), s.notifiedTo("mail-new"))
		}
		s.write("api", "api-newest")
		if !s.SecretsChanged(t.Context()) {
			t.Error("the second change is not detected")
		}

		again := newSecretBench(t)
		again.unrestored = []journalEntry{{ID: 1, Text: document, Trusted: true}}
		if errs := again.Restore(allowAll); len(errs) > 0 {
			t.Fatal(errs[0])
		}
		s.write("api", "api-last")
		if !again.SecretsChanged(t.Context()) {
			t.Error("the change of a file of a restored monitor is not detected")
		}
		if err := again.Stop(1); err != nil {
			t.Fatal(err)
		}
		if err := again.Start(1); err != nil {
			t.Fatal(err)
		}
		again.RefreshSecrets()
		if n := again.probesBuilt("api"); n != 2 {
			t.Errorf("the probe of a restarted monitor was built %d times, want 2", n)
		}
	})
}

// TestFilesThatAnOperatorNamesAreNotOpened registers a monitor that names a file.
// Without trust the file is neither read nor watched.
func TestFilesThatAnOperatorNamesAreNotOpened(t *testing.T) {
	s := newSecretBench(t)
	for _, trusted := range []bool{false, true} {
		d := mustParse(t, fmt.Sprintf(`{"name": "a", "probe": {"type": "safe", "wrong": 1, "password_file": %q}}`, s.write("secret", "x")))
		d.Trusted = trusted
		s.configMu.Lock()
		s.readFiles = make(fingerprints)
		p, _, err := s.prepare(d)
		if err == nil || (p.fingerprint != "") != trusted || (len(s.readFiles) > 0) != trusted {
			t.Errorf("trusted %v: %d files were read, %v", trusted, len(s.readFiles), err)
		}
		s.readFiles = nil
		s.configMu.Unlock()
		if _, err := s.Register(d); err == nil || len(s.watchedFiles) > 0 {
			t.Errorf("trusted %v: %d files are watched for a rejected monitor, %v", trusted, len(s.watchedFiles), err)
		}
	}
}
