package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/action"
	"github.com/microhq/monitor-srv/probe"
	"github.com/microhq/monitor-srv/setting"
)

// safe is a bench whose kind "safe" reads a password from a file, for probes and
// actions, and says so in what it answers and is told.
type safe struct {
	*bench
	t    *testing.T
	dir  string
	log  strings.Builder
	mu   sync.Mutex
	made map[string]int // probes by name; guarded by mu
}

type safeKeys struct {
	Name         string         `toml:"name"`
	Password     setting.Secret `toml:"password"`
	PasswordFile string         `toml:"password_file"`
	TLS          struct {
		CAFile string `toml:"ca_file"`
	} `toml:"tls"`
}

type safeProbe struct {
	*fakeProbe
	password string
}

func (p *safeProbe) Probe(ctx context.Context) (probe.Result, error) {
	r, err := p.fakeProbe.Probe(ctx)
	r.Detail = p.password
	return r, err
}

func newSafe(t *testing.T) (s *safe, stop func()) {
	t.Helper()
	b, stop := newBench(t)
	s = &safe{bench: b, t: t, dir: t.TempDir(), made: map[string]int{}}
	b.Group.log = slog.New(slog.NewTextHandler(&s.log, nil))
	read := func(decode func(any) error) (k safeKeys, password string, err error) {
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
		s.made[k.Name]++
		return &safeProbe{&fakeProbe{b, k.Name}, password}, nil
	}
	b.kinds["safe"] = func(decode func(any) error, _ action.Env) (action.Action, error) {
		_, password, err := read(decode)
		return &fakeAction{b: b, To: password}, err
	}
	return s, stop
}

func (s *safe) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *safe) probesMade(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made[name]
}

func (s *safe) info(name string) Info {
	s.t.Helper()
	for _, i := range s.List(Filter{}) {
		if i.Name == name {
			return i
		}
	}
	s.t.Fatalf("no monitor %q", name)
	return Info{}
}

// lastDetail returns the newest detail of a monitor, which is the password that
// its probe had.
func (s *safe) lastDetail(name string) string {
	s.bench.mu.Lock()
	defer s.bench.mu.Unlock()
	for i := len(s.results) - 1; i >= 0; i-- {
		if s.results[i].Name == name {
			return s.results[i].Detail
		}
	}
	return ""
}

const safeDocument = `
[[monitor]]
name = "turns"
interval = 5
[monitor.probe]
type = "safe"
name = "turns"
password_file = "%[1]s/turns"
[monitor.filter]
type = "average"
window = 4
[[monitor.actions]]
type = "safe"
password_file = "%[1]s/mail"
[[monitor.actions]]
receiver = "ops"

[[monitor]]
name = "stays"
interval = 5
[monitor.probe]
type = "safe"
name = "stays"
password_file = "%[1]s/stays"
[monitor.probe.tls]
ca_file = "%[1]s/ca"
[[monitor.actions]]
receiver = "ops"

[[receiver]]
name = "ops"
type = "safe"
password_file = "%[1]s/ops"
`

// A password that is rotated is taken by the next reading of the files. What it
// concerns goes on as it was otherwise, and nothing else is touched.
func TestRotatedSecretsAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := newSafe(t)
		defer stop()
		for _, name := range []string{"turns", "stays", "mail", "ops", "ca"} {
			s.file(name, name+"-old")
		}
		document := fmt.Sprintf(safeDocument, s.dir)
		if p := s.apply(t, "a.toml", document); len(p) != 0 {
			t.Fatal(p[0])
		}
		s.answer(down)
		time.Sleep(21 * time.Second)
		before := s.info("turns")
		if s.SecretsChanged() {
			t.Error("nothing has changed")
		}

		s.file("turns", "turns-new")
		s.file("mail", "mail-new")
		if !s.SecretsChanged() || s.SecretsChanged() {
			t.Error("a change is to be seen, once")
		}
		if p := s.apply(t, "a.toml", document); len(p) != 0 {
			t.Fatal(p[0])
		}
		if i := s.info("turns"); !i.NextProbe.Equal(before.NextProbe) || i.Probes != before.Probes || i.State != Failing || i.ID != before.ID {
			t.Errorf("before %+v\nafter %+v", before, i)
		}
		time.Sleep(5 * time.Second)
		if i := s.info("turns"); i.Probes != before.Probes+1 || i.Missed != 0 || s.lastDetail("turns") != "turns-new" {
			t.Errorf("%q: %+v", s.lastDetail("turns"), i)
		}
		if a, b := s.probesMade("turns"), s.probesMade("stays"); a != 2 || b != 1 {
			t.Errorf("made turns %d times and stays %d times", a, b)
		}
		s.answer(up)
		time.Sleep(10 * time.Second)
		if got := s.toldTo("mail-old") + "; " + s.toldTo("mail-new"); got != "turns:init turns:fail; turns:recover" {
			t.Errorf("told %s", got)
		}
		if got := s.toldTo("ops-new"); got != "" || !strings.Contains(s.toldTo("ops-old"), "turns:recover") {
			t.Errorf("told %s", got)
		}
		s.bench.mu.Lock()
		if s.closed["turns"] != 1 || s.closed["stays"] != 0 {
			t.Errorf("closed: %v", s.closed)
		}
		s.bench.mu.Unlock()
		synctest.Wait() // what is being logged
		if strings.Contains(s.log.String(), "-new") || strings.Contains(s.log.String(), "-old") || !strings.Contains(s.log.String(), "turns") {
			t.Errorf("the log says\n%s", s.log.String())
		}
	})
}

// Certificates count, and receivers of files; so do the files of what was
// registered at run time.
func TestRotatedCertificatesAndReceiversAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := newSafe(t)
		defer stop()
		for _, name := range []string{"turns", "stays", "mail", "ops", "ca", "api"} {
			s.file(name, name+"-old")
		}
		document := fmt.Sprintf(safeDocument, s.dir)
		s.apply(t, "a.toml", document)
		d, err := ParseOne(fmt.Sprintf(`{"name": "api", "interval": 5, "probe": {"type": "safe", "name": "api", "password_file": %q}}`, s.dir+"/api"))
		if err != nil {
			t.Fatal(err)
		}
		d.Trusted = true
		if _, err := s.Register(d); err != nil {
			t.Fatal(err)
		}
		s.apply(t, "a.toml", document)
		time.Sleep(11 * time.Second)
		s.file("ca", "ca-new")
		s.file("ops", "ops-new")
		s.file("api", "api-new")
		made := s.probesMade("api")
		s.apply(t, "a.toml", document)
		s.apply(t, "a.toml", document)
		if got := s.probesMade("stays"); got != 2 {
			t.Errorf("another authority: the probe was made %d times", got)
		}
		if got := s.probesMade("api") - made; got != 1 {
			t.Errorf("the registered probe was made %d times", got)
		}
		s.answer(down)
		time.Sleep(6 * time.Second)
		if got := s.toldTo("ops-new"); !strings.Contains(got, "turns:fail") || !strings.Contains(got, "stays:fail") || s.lastDetail("api") != "api-new" {
			t.Errorf("told %q; the registered one has %q", got, s.lastDetail("api"))
		}
	})
}

// A secret that is gone is told of at each reading, and what runs goes on with
// the one it has until there is another.
func TestSecretThatIsGoneIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := newSafe(t)
		defer stop()
		for _, name := range []string{"turns", "stays", "mail", "ops", "ca"} {
			s.file(name, name+"-old")
		}
		document := fmt.Sprintf(safeDocument, s.dir)
		s.apply(t, "a.toml", document)
		time.Sleep(11 * time.Second)
		for _, name := range []string{"turns", "ops", "mail"} {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			var said []string
			for _, p := range s.apply(t, "a.toml", document) {
				said = append(said, strings.ReplaceAll(p.Error(), s.dir, "DIR"))
			}
			const want = `a.toml:33: receiver "ops": action safe: reading password_file: open DIR/ops: no such file or directory; the previous one stays in use
a.toml:12: monitor "turns": action safe: reading password_file: open DIR/mail: no such file or directory; the previous one stays in use
a.toml:2: monitor "turns": probe safe: reading password_file: open DIR/turns: no such file or directory; the previous one stays in use`
			if got := strings.Join(said, "\n"); got != want {
				t.Errorf("said\n%s\nwant\n%s", got, want)
			}
		}
		time.Sleep(5 * time.Second)
		if got := s.lastDetail("turns"); got != "turns-old" {
			t.Errorf("it goes on with %q", got)
		}
		s.SecretsChanged()
		s.file("turns", "turns-new")
		if !s.SecretsChanged() {
			t.Error("the file is there again")
		}
		s.apply(t, "a.toml", document)
		time.Sleep(5 * time.Second)
		if got := s.lastDetail("turns"); got != "turns-new" {
			t.Errorf("it goes on with %q", got)
		}
	})
}

// TestSecretsOfRegisteredMonitorsAreWatched registers a monitor and rotates its
// password: that is seen at once, though no file of monitors was read since. A
// restart changes nothing in that.
func TestSecretsOfRegisteredMonitorsAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := newSafe(t)
		defer stop()
		document := fmt.Sprintf(`{"name": "api", "interval": 5, "probe": {"type": "safe", "name": "api", "password_file": %q},
			"actions": [{"type": "safe", "password_file": %q}]}`, s.file("api", "api-old"), s.file("mail", "mail-old"))
		d, err := ParseOne(document)
		if err != nil {
			t.Fatal(err)
		}
		d.Trusted = true
		if _, err := s.Register(d); err != nil {
			t.Fatal(err)
		}
		if p := s.RefreshSecrets(); len(p) > 0 || s.SecretsChanged() || s.probesMade("api") != 1 || s.log.Len() > 0 {
			t.Errorf("nothing has changed: %v, made %d times, logged %s", p, s.probesMade("api"), s.log.String())
		}
		s.file("api", "api-new")
		s.file("mail", "mail-new")
		if !s.SecretsChanged() {
			t.Error("a change is not seen")
		}
		if p := s.RefreshSecrets(); len(p) > 0 {
			t.Error(p[0])
		}
		s.answer(down)
		time.Sleep(11 * time.Second)
		if s.lastDetail("api") != "api-new" || !strings.Contains(s.toldTo("mail-new"), "api:fail") {
			t.Errorf("the probe has %q, told %q", s.lastDetail("api"), s.toldTo("mail-new"))
		}
		s.file("api", "api-newest")
		if !s.SecretsChanged() {
			t.Error("a second change is not seen")
		}

		again, stopAgain := newSafe(t)
		defer stopAgain()
		again.unrestored = []journalEntry{{ID: 1, Text: document, Trusted: true}}
		if errs := again.Restore(func(*Definition) error { return nil }); len(errs) > 0 {
			t.Fatal(errs[0])
		}
		s.file("api", "api-last")
		if !again.SecretsChanged() {
			t.Error("a change of what a restored monitor reads is not seen")
		}
		if err := again.Stop(1); err != nil {
			t.Fatal(err)
		}
		if err := again.Start(1); err != nil {
			t.Fatal(err)
		}
		again.RefreshSecrets()
		if n := again.probesMade("api"); n != 2 {
			t.Errorf("the probe of a monitor that was started again was made %d times, want 2", n)
		}
	})
}

// TestFilesThatAnOperatorNamesAreNotOpened registers without the right to files: not
// even a hash is made of what they hold, and nobody looks at them afterwards.
func TestFilesThatAnOperatorNamesAreNotOpened(t *testing.T) {
	s, stop := newSafe(t)
	defer stop()
	for _, trusted := range []bool{false, true} {
		d, err := ParseOne(fmt.Sprintf(`{"name": "a", "probe": {"type": "safe", "wrong": 1, "password_file": %q}}`, s.file("secret", "x")))
		if err != nil {
			t.Fatal(err)
		}
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
			t.Errorf("trusted %v: %d files are looked at for a monitor that was refused, %v", trusted, len(s.watchedFiles), err)
		}
	}
}
