package broker_test

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"go-micro.dev/v4/broker"

	"github.com/microhq/monitor-srv/guard"
	guardbroker "github.com/microhq/monitor-srv/guard/broker"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/internal/testkit/natstest"
)

func TestNATSLogin(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "user", "hunter2" })
	for _, c := range []struct {
		address string
		ok      bool
	}{
		{"nats://user:hunter2@" + n.Address(), true},
		{"user:hunter2@" + n.Address(), true},
		{"nats://user:hunter3@" + n.Address(), false},
	} {
		log := &testkit.LogBuffer{}
		b, stop := startNATS(t, c.address, func(cfg *guardbroker.NATSConfig) {
			cfg.Logger = log.Logger()
			cfg.ReconnectWait = 5 * time.Millisecond
		})
		if c.ok {
			awaitConnected(t, b, 5*time.Second)
		} else {
			// Tried more often than nats.go would by itself, which is twice.
			testkit.Eventually(t, 5*time.Second, "the reason is told", func() bool {
				return strings.Contains(b.State().Reason, "Authorization Violation")
			})
			<-time.After(200 * time.Millisecond)
			if s := b.State(); s.OK || !strings.Contains(s.Reason, "Authorization Violation") {
				t.Errorf("%s: state %+v", c.address, s)
			}
		}
		stop()
		for what, text := range map[string]string{"address": b.Address(), "log": log.String(), "state": b.State().Reason} {
			if strings.Contains(text, "hunter") {
				t.Errorf("%s: the %s shows the password: %s", c.address, what, text)
			}
		}
	}
}

func TestNATSToken(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, func(o *server.Options) { o.Authorization = "s3cr3t" })
	b, _ := startNATS(t, "nats://s3cr3t@"+n.Address(), nil)
	awaitConnected(t, b, 5*time.Second)
}

func TestNATSLoginThatIsCorrectedWorks(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "user", "other" })
	b, _ := startNATS(t, "user:right@"+n.Address(), func(c *guardbroker.NATSConfig) { c.ReconnectWait = 5 * time.Millisecond })
	got := make(chan string, 1)
	subscribe(t, b, "t", func(e broker.Event) error { got <- string(e.Message().Body); return nil })
	testkit.Eventually(t, 5*time.Second, "refused", func() bool { return strings.Contains(b.State().Reason, "Authorization") })
	<-time.After(300 * time.Millisecond)
	n.Stop()
	n.Options.Password = "right"
	n.Start()
	awaitConnected(t, b, 6*time.Second)
	awaitSubscribed(t, b)
	if err := b.Publish("t", message("x")); err != nil || <-got != "x" {
		t.Error(err)
	}
}

func TestNATSPermissionsAreTold(t *testing.T) {
	testkit.NoLeaks(t)
	user := func(allowed ...string) *server.User {
		return &server.User{Username: "u", Password: "p", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Allow: allowed},
		}}
	}
	n := natstest.Start(t, func(o *server.Options) { o.Users = []*server.User{user("free", "_INBOX.>")} })
	b, _ := startNATS(t, "nats://u:p@"+n.Address(), func(c *guardbroker.NATSConfig) {
		c.RetryMin, c.RetryMax = 50*time.Millisecond, 50*time.Millisecond
	})
	awaitConnected(t, b, 5*time.Second)
	free, secret := countEvents(t, b, "free"), new(int)
	subscribe(t, b, "secret", func(broker.Event) error { *secret++; return nil })
	state := func(topic string) guard.State {
		for _, s := range b.Subscriptions() {
			if s.Topic == topic {
				return s.State
			}
		}
		return guard.State{}
	}
	testkit.Eventually(t, 5*time.Second, "the refusal is told", func() bool {
		return strings.Contains(state("secret").Reason, `subscribing to "secret": nats: permissions violation`)
	})
	<-time.After(300 * time.Millisecond) // some retries
	if s := state("secret"); s.OK || !state("free").OK {
		t.Errorf("secret %+v, free %+v", s, state("free"))
	}
	if err := b.Publish("free", message("x")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "the allowed topic works", func() bool { return free.Load() == 1 })
	n.Stop()
	n.Options.Users = []*server.User{user("free", "secret", "_INBOX.>")}
	n.Start()
	testkit.Eventually(t, 8*time.Second, "allowed at last", func() bool { return state("secret").OK })
	n.Stop()
	n.Options.Users = []*server.User{user("secret", "_INBOX.>")}
	n.Start() // the client subscribes again by itself, and is refused
	testkit.Eventually(t, 8*time.Second, "the loss of the other is told", func() bool {
		return !state("free").OK && state("secret").OK && strings.Contains(state("free").Reason, "permissions violation")
	})
}

func TestNATSOverTLS(t *testing.T) {
	testkit.NoLeaks(t)
	ca := testkit.NewCA(t, "ours")
	pair := ca.KeyPair("127.0.0.1")
	n := natstest.Start(t, func(o *server.Options) {
		o.TLS, o.TLSConfig = true, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		o.TLSTimeout = 2
	})
	b, _ := startNATS(t, "tls://"+n.Address(), func(c *guardbroker.NATSConfig) { c.TLSConfig = &tls.Config{RootCAs: ca.Pool()} })
	awaitConnected(t, b, 5*time.Second)
	for _, address := range []string{"tls://" + n.Address(), "nats://" + n.Address()} {
		stranger, stop := startNATS(t, address, nil)
		testkit.Eventually(t, 5*time.Second, "the unknown authority is told", func() bool {
			return strings.Contains(stranger.State().Reason, "certificate signed by unknown authority")
		})
		stop()
	}
}

func TestNATSBadAddressNamesTheRemedy(t *testing.T) {
	const forms = ": give host:port, nats://host:port or tls://host:port"
	for address, want := range map[string]string{
		"http://x":                 `broker address "http://x": unknown scheme "http"` + forms,
		"host:port":                `broker address "host:port": it is not an address` + forms,
		"host:0":                   `broker address "host:0": port "0" is not a number from 1 to 65535` + forms,
		"nats://":                  `broker address "nats://": the host is missing` + forms,
		"nats://h/path":            `broker address "nats://h/path": nothing may follow the port` + forms,
		"nats://u:hunter2@h:x":     `broker address "nats://<secret>@h:x": it is not an address` + forms,
		"nats://u:hunt er2@h:4222": `broker address `,
	} {
		_, err := guardbroker.NewNATS(guardbroker.NATSConfig{Addresses: []string{address}})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s:\n got %v\nwant %s", address, err, want)
		}
	}
	for address, want := range map[string]string{
		"":                    "nats://127.0.0.1:4222",
		"h":                   "nats://h:4222",
		"h:1, tls":            "nats://h:1,nats://tls:4222",
		"tls://u:hunter2@h:1": "tls://<secret>@h:1",
		"nats://[::1]:4222/":  "nats://[::1]:4222",
	} {
		b, err := guardbroker.NewNATS(guardbroker.NATSConfig{Addresses: []string{address}})
		if err != nil || b.Address() != want {
			t.Errorf("%q: got %v, %v, want %s", address, b, err, want)
		}
	}
}

func TestNATSMalformedEventsAreCounted(t *testing.T) {
	testkit.NoLeaks(t)
	n := natstest.Start(t, nil)
	log := &testkit.LogBuffer{}
	b, _ := startNATS(t, n.Address(), func(c *guardbroker.NATSConfig) { c.Logger = log.Logger() })
	awaitConnected(t, b, 5*time.Second)
	count := countEvents(t, b, "t")
	raw, err := natsgo.Connect("nats://" + n.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for range 100 {
		for _, body := range []string{"", "garbage", "[]", `{"Header":1}`} {
			if err := raw.Publish("t", []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := raw.Publish("t", []byte(`{"Header":{},"Body":"eA=="}`)); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 5*time.Second, "all are counted", func() bool { return b.Stats().Refused == 400 && count.Load() == 1 })
	if lines := strings.Count(log.String(), "level=ERROR"); lines > 10 {
		t.Errorf("%d lines in the log:\n%s", lines, log.String())
	}
}
