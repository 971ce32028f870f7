package service

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/access"
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
