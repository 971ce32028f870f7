package service

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/access"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/monitor"
)

func TestDefaultConfigIsValid(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Check(); err != nil {
		t.Error(err)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change  func(*Config)
		setting Setting
		want    string
	}{
		{func(c *Config) { c.Registry.Name = "zookeeper" }, Registry, `registry "zookeeper" is not known: give one of consul, mdns, memory`},
		{func(c *Config) { c.Broker.Name = "" }, Broker, `broker "" is not known: give one of http, nats`},
		{func(c *Config) { c.Log.Verbosity = "loud" }, Verbosity, `verbosity: the level "loud" is not known`},
		{func(c *Config) { c.Log.Format = "xml" }, LogFormat, `log_format "xml" is not known: give one of text, json`},
		{func(c *Config) { c.HTTP.Address = "3838" }, HTTPAddress, `http_address "3838" is not an address: give HOST:PORT`},
		{func(c *Config) { c.Server.Name = "monitor\u200b" }, ServerName, `server_name: "monitor\u200b" contains the unprintable character U+200B`},
		{func(c *Config) { c.Server.ID = "e\u0301" }, ServerID, `server_id: "e\u0301" is not in Unicode normal form NFC`},
		{func(c *Config) { c.Server.Advertise = "x" }, ServerAdvertise, `server_advertise "x" is not an address: give HOST:PORT`},
		{func(c *Config) { c.Retention = time.Second }, Retention, "retention 1s is out of range: give 1m to 2160h"},
		{func(c *Config) { c.MaxEntries = 1 }, MaxEntries, "max_entries 1 is out of range: give 100 to 10000000"},
		{func(c *Config) { c.Server.RegisterTTL = time.Second }, RegisterTTL, "register_ttl must be more than register_interval, which is 5s, and at most 86400 seconds"},
		{func(c *Config) { c.Client.PoolTTL = 0 }, PoolTTL, "client_pool_ttl 0s is out of range: give more than 0"},
		{func(c *Config) { c.Policy = access.Policy{Insecure: true, Tokens: &access.Tokens{}} }, InsecureAPI, "insecure_api and token_file are mutually exclusive"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		err := cfg.Check()
		var wrong *SettingError
		if !errors.As(err, &wrong) || wrong.Setting != c.setting || wrong.Unusable || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %+v (%v), want %s: %s", wrong, err, c.setting, c.want)
		}
	}
}

func TestSettingErrorIsWordedByWhoeverSetsIt(t *testing.T) {
	t.Parallel()
	flag := func(s Setting) string { return "--" + string(s) }
	cfg := DefaultConfig()
	cfg.Server.RegisterTTL = 0
	var wrong *SettingError
	if err := cfg.Check(); !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Words(flag), "--register_ttl must be more than --register_interval, which is 5s") {
		t.Errorf("got %q", wrong.Words(flag))
	}
	cause := errors.New("taken")
	err := unusable(HTTPAddress, "address", cause)
	if !errors.As(err, &wrong) || !wrong.Unusable || !errors.Is(err, cause) || wrong.Words(flag) != "taken; --http_address names another address" {
		t.Errorf("got %+v", wrong)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	testkit.WriteFile(t, file, text)
}

// TestSecretsAreTakenAlsoWithoutADirectoryOfMonitors rotates a token of a monitor
// that was registered with a program that reads no files.
func TestSecretsAreTakenAlsoWithoutADirectoryOfMonitors(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	log := testkit.InfoTo(&said)
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "first")
	group, _ := newGroup(groupConfig{recorder: discard{}, log: log})
	f := &files{dir: filepath.Join(t.TempDir(), "none"), log: log, group: group}
	d, err := monitor.ParseOne(fmt.Sprintf(`{"name": "web", "probe": {"type": "http", "url": "http://localhost/", "bearer_file": %q}}`, token))
	if err != nil {
		t.Fatal(err)
	}
	d.Trusted = true
	if _, err := group.Register(d); err != nil {
		t.Fatal(err)
	}
	write(t, token, "second")
	f.load(t.Context())
	if !strings.Contains(said.String(), "reloaded the secrets of a monitor") {
		t.Errorf("the log says\n%s", said.String())
	}
}

func TestFilesFailFromTheFirstProblemToTheLast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.toml")
	const text = "[[monitor]]\nname = \"a\"\nprobe = { type = \"tcp\", address = \"127.0.0.1:1\" }\n"
	write(t, file, text)
	log := testkit.QuietLog()
	group, _ := newGroup(groupConfig{recorder: discard{}, log: log})
	f := newFiles(t.Context(), dir, group, nil, log)
	defer f.close()
	look := f.definitions.look
	if c := look(); !c.OK || c.Reason != "" || time.Since(c.Since) > time.Minute {
		t.Errorf("good files: %+v", c)
	}
	write(t, file, strings.ReplaceAll(text, "type", "typ"))
	f.load(t.Context())
	failing := look()
	if failing.OK || !strings.HasPrefix(failing.Reason, "1 problem in the files of monitors, see the log; the first: ") {
		t.Errorf("a bad file: %+v", failing)
	}
	f.load(t.Context())
	if again := look(); again != failing {
		t.Errorf("read again: %+v, want %+v", again, failing)
	}
	write(t, file, text)
	f.load(t.Context())
	if c := look(); !c.OK || c.Reason != "" || !c.Since.After(failing.Since) {
		t.Errorf("mended: %+v", c)
	}
}
