package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fleet is a number of monitors of one kind for one program.
type fleet struct {
	program  string
	monitors int
	interval time.Duration
	keys     string // of each monitor, more of them
	alert    bool
	tcp      bool
}

// toml writes the fleet as a directory of goma's format, which ours reads too.
func (b *bench) toml(f fleet) (string, error) {
	dir := filepath.Join(b.dir, f.program)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	var text strings.Builder
	for i := range f.monitors {
		if i > 0 && i%1000 == 0 { // a file has at most 4 MiB
			if err := writeTOML(dir, i, &text); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(&text, "[[monitor]]\nname = \"%s-%d\"\ninterval = %d\ntimeout = 1\n%s", f.program, i, int(f.interval.Seconds()), f.keys)
		if f.tcp {
			fmt.Fprintf(&text, "[monitor.probe]\ntype = \"tcp\"\naddress = \"127.1.%d.%d:%d\"\n", i>>8, i&255, b.target.tcpPort)
		} else {
			fmt.Fprintf(&text, "[monitor.probe]\ntype = \"http\"\nurl = \"%s%s\"\n", b.target.url, path(f.program, i))
		}
		if f.alert || f.program == "goma" { // goma wants an action
			fmt.Fprintf(&text, "[[monitor.actions]]\ntype = \"http\"\nurl_fail = \"%s/alert%s\"\n", b.target.url, path(f.program, i))
		}
	}
	return dir, writeTOML(dir, f.monitors, &text)
}

// writeTOML writes what there is to a file of its own and empties it.
func writeTOML(dir string, i int, text *strings.Builder) error {
	defer text.Reset()
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("monitors-%d.toml", i)), []byte(text.String()), 0o600)
}

// startOurs starts monitor-srv with the fleet, in the memory registry.
func (b *bench) startOurs(ctx context.Context, f fleet) (*process, error) {
	dir, err := b.toml(f)
	if err != nil {
		return nil, err
	}
	return b.startService(ctx, "--registry=memory", "-d", dir)
}

// startService starts monitor-srv and waits until it is ready.
func (b *bench) startService(ctx context.Context, flags ...string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	rpc, err := freePort()
	if err != nil {
		return nil, err
	}
	b.rpc = "127.0.0.1:" + rpc
	argv := append([]string{filepath.Join(b.bin, "monitor-srv"), "--http_address=127.0.0.1:" + port, "--server_address=" + b.rpc}, flags...)
	p, err := b.start("monitor-srv", nil, argv...)
	if err != nil {
		return nil, err
	}
	return p, p.answers(ctx, "http://127.0.0.1:"+port+"/readyz")
}

func (b *bench) startGoma(ctx context.Context, f fleet) (*process, error) {
	dir, err := b.toml(f)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := b.start("goma", nil, filepath.Join(b.bin, "goma"), "-d", dir, "-s", "127.0.0.1:"+port, "serve")
	if err != nil {
		return nil, err
	}
	return p, p.answers(ctx, "http://127.0.0.1:"+port+"/list")
}

// startGatus starts Gatus with its defaults. It is not waited for.
func (b *bench) startGatus(f fleet) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "web:\n  address: 127.0.0.1\n  port: %s\n", port)
	if f.alert {
		fmt.Fprintf(&text, "alerting:\n  custom:\n    url: \"%s/alert/%s/[ENDPOINT_NAME]\"\n    method: POST\n    body: \"x\"\n", b.target.url, f.program)
	}
	text.WriteString("endpoints:\n")
	for i := range f.monitors {
		fmt.Fprintf(&text, "  - name: \"%d\"\n    url: \"%s%s\"\n    interval: %s\n    conditions: [\"[STATUS] == 200\"]\n", i, b.target.url, path(f.program, i), f.interval)
		if f.alert {
			text.WriteString("    alerts:\n      - type: custom\n")
		}
	}
	file := filepath.Join(b.dir, f.program+".yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	return b.start(f.program, []string{"GATUS_CONFIG_PATH=" + file}, filepath.Join(b.bin, "gatus"))
}
