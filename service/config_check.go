package service

import (
	guardbroker "github.com/microhq/monitor-srv/guard/broker"

	"cmp"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/microhq/monitor-srv/setting"
	"github.com/microhq/monitor-srv/text"
)

// Check returns the first SettingError of a configuration.
func (c Config) Check() error {
	if _, err := setting.ParseLevel(c.Log.Verbosity); err != nil {
		return invalid(Verbosity, ": %v", err)
	}
	if c.Policy.Insecure && c.Policy.Tokens != nil {
		return &SettingError{
			Setting: InsecureAPI, args: []any{InsecureAPI, TokenFile},
			format: "%v and %v are mutually exclusive: with a token file, changes need a token",
		}
	}
	return cmp.Or(
		c.Registry.Check(),
		known(Broker, c.Broker.Name, guardbroker.Names()...),
		known(LogFormat, c.Log.Format, "text", "json"),
		isAddress(HTTPAddress, c.HTTP.Address),
		c.checkStore(),
		c.Server.check(),
		c.Client.Check(),
	)
}

func (c Config) checkStore() error {
	switch {
	case c.Retention < time.Minute || c.Retention > 90*24*time.Hour:
		return invalid(Retention, " %v is out of range: give 1m to 2160h", c.Retention)
	case c.MaxEntries < 100 || c.MaxEntries > 10_000_000:
		return invalid(MaxEntries, " %d is out of range: give 100 to 10000000", c.MaxEntries)
	}
	return nil
}

// Check returns the first SettingError of a RegistryConfig.
func (c RegistryConfig) Check() error { return known(Registry, c.Name, "consul", "mdns", "memory") }

func (c ServerConfig) check() error {
	if err := cmp.Or(isName(ServerName, c.Name), isName(ServerVersion, c.Version), isName(ServerID, c.ID)); err != nil {
		return err
	}
	if err := isAddress(ServerAddress, c.Address); err != nil {
		return err
	}
	if c.Advertise != "" {
		if err := isAddress(ServerAdvertise, c.Advertise); err != nil {
			return err
		}
	}
	switch ttl, interval := c.RegisterTTL, c.RegisterInterval; {
	case interval < time.Second || interval > time.Hour:
		return invalid(RegisterInterval, " is out of range: give 1 to 3600 seconds")
	case ttl <= interval || ttl > 24*time.Hour:
		return invalid(RegisterTTL, " must be more than %v, which is %v, and at most 86400 seconds", RegisterInterval, interval)
	}
	return nil
}

// Check returns the first SettingError of a ClientConfig.
func (c ClientConfig) Check() error {
	switch {
	case c.Timeout <= 0:
		return invalid(RequestTimeout, " %v is out of range: give more than 0", c.Timeout)
	case c.Retries < 0:
		return invalid(Retries, " %d is out of range: give 0 or more", c.Retries)
	case c.PoolSize < 1:
		return invalid(PoolSize, " %d is out of range: give 1 or more", c.PoolSize)
	case c.PoolTTL <= 0:
		return invalid(PoolTTL, " %v is out of range: give more than 0", c.PoolTTL)
	}
	return nil
}

// known checks a setting that takes one of a few words.
func known(s Setting, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return invalid(s, " %q is not known: give one of %s", value, strings.Join(words, ", "))
}

// isName checks a setting that is part of what identifies the instance.
func isName(s Setting, value string) error {
	if err := text.CheckName(value); err != nil {
		return invalid(s, ": %v", err)
	}
	return nil
}

// isAddress checks a setting that takes HOST:PORT.
func isAddress(s Setting, value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return invalid(s, " %q is not an address: give HOST:PORT", value)
	}
	return nil
}
