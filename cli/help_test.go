package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	programs "github.com/microhq/monitor-srv/command"
	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/web"
)

// Tests set variables of the process, so none is parallel.
func TestMain(m *testing.M) {
	if programs.IsGuardian(os.Args) { // of the commands of a probe
		if err := programs.Guard(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "MICRO_") || strings.HasPrefix(name, "MONITOR_") || strings.HasPrefix(name, "CONSUL_") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// monitorSrv runs one command line with a standard input.
func monitorSrv(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	code = Run(t.Context(), append([]string{"monitor-srv"}, args...), Process{
		Version: "v1.2.3", Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
	})
	return out.String(), errs.String(), code
}

// closedAddress returns an address on loopback that nobody else is given, and at which
// nobody listens, until the test ends.
func closedAddress(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// instance is a server that answers as an instance does, by method and path, and
// returns its address.
func instance(t *testing.T, answers map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(web.VersionHeader, "v1.2.3")
		text, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func write(t *testing.T, file, text string) {
	t.Helper()
	testkit.WriteFile(t, filepath.Clean(file), text)
}
