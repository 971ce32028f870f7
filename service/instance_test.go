package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/store"
	"github.com/microhq/monitor-srv/web"
)

// aloneConfig is that of an instance that needs nothing else.
func aloneConfig(t *testing.T) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.HTTP.Address, cfg.Server.Address = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Registry.Name = "memory"
	cfg.ConfigDir, cfg.StateDir = t.TempDir(), t.TempDir()
	return cfg
}

func newAlone(ctx context.Context, cfg Config) (*Instance, error) {
	log := testkit.QuietLog()
	return New(ctx, cfg, log, new(slog.LevelVar))
}

// Whoever runs an instance knows when and where it answers, through its own methods.
func TestInstanceTellsWhereItAnswers(t *testing.T) {
	t.Parallel()
	cfg := aloneConfig(t)
	cfg.Server.ID = "one"
	i, err := newAlone(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if i.RPCAddress() != "" {
		t.Errorf("RPC at %s before it runs", i.RPCAddress())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	select {
	case <-i.Serving():
	case <-time.After(20 * time.Second):
		t.Fatal("it does not serve")
	}
	conn, err := net.Dial("tcp", i.RPCAddress())
	if err != nil {
		t.Error(err)
	} else {
		_ = conn.Close()
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + i.HTTPAddress() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var report web.Report
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range report.Components {
		name, _, _ := strings.Cut(c.Name, " ") // a subscription names its topic
		names = append(names, name)
	}
	want := []string{"rpc", "registry", "broker", "subscription", "subscription", "subscription", "queue", "store", "connections", "files", "monitors", "state"}
	if !slices.Equal(names, want) || report.Instance != "go.micro.srv.monitor-one" {
		t.Errorf("%s has %q, want %q", report.Instance, names, want)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		page, err := i.Store().Checks(store.Query{Service: cfg.Server.Name})
		if err == nil && page.Total >= 8 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it knows %d checks of itself (%v), want 8 or more", page.Total, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestInstanceRefusesWhatAnotherUses(t *testing.T) {
	t.Parallel()
	taken := testkit.Listen(t)
	cfg := aloneConfig(t)
	cfg.HTTP.Address = taken.Addr().String()
	var wrong *SettingError
	if _, err := newAlone(t.Context(), cfg); !errors.As(err, &wrong) || !wrong.Unusable || wrong.Setting != HTTPAddress {
		t.Errorf("an address that is taken: %v", err)
	}
	held, err := openState(cfg.StateDir, testkit.QuietLog())
	if err != nil {
		t.Fatalf("the failed start holds the directory: %v", err)
	}
	cfg.HTTP.Address = "127.0.0.1:0"
	if _, err := newAlone(t.Context(), cfg); !errors.As(err, &wrong) || !wrong.Unusable || wrong.Setting != StateDir {
		t.Errorf("a directory that is locked: %v", err)
	}
	held.close()
	cfg.Registry = RegistryConfig{Name: "consul", Address: "http://a:b:c"}
	if _, err := newAlone(t.Context(), cfg); !errors.As(err, &wrong) || wrong.Unusable || wrong.Setting != RegistryAddress {
		t.Errorf("a wrong address: %v", err)
	}
}
