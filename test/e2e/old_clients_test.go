package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/microhq/monitor-srv/internal/testkit"
	monitorpb "github.com/microhq/monitor-srv/proto/monitor"
)

// The client of go-micro v1.0.0 finds the instance in Consul, or is given its address and
// then writes calls as clients of 2018 did.
// Faults: M2.
func TestClientsOnGoMicro1AreAnswered(t *testing.T) {
	c, m := startWithConsul(t)
	testkit.Eventually(t, ample, "registered", func() bool { return isPassing(c, srv) })
	micro1 := testkit.Tool(t, "micro1", "MICRO1_BIN")
	call := func(kind, method, request string, address ...string) ([]byte, string) {
		args := append([]string{"call", "-registry", c.Address(), "-timeout", "20s", "-type", kind}, address...)
		cmd := exec.Command(micro1, append(args, srv, method)...)
		cmd.Env, cmd.Stdin = cleanEnv(), strings.NewReader(request)
		var failure bytes.Buffer
		cmd.Stderr = &failure
		out, err := cmd.Output()
		if err == nil {
			return out, ""
		}
		return out, failure.String() + err.Error()
	}
	ask, err := proto.Marshal(&monitorpb.HealthChecksRequest{Service: srv})
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := proto.Marshal(&monitorpb.HealthChecksRequest{Service: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	for where, address := range map[string][]string{"by Consul": nil, "by address": {"-address", m.rpcAddress()}} {
		for _, kind := range []string{"application/json", "application/json-rpc", "application/protobuf", "application/proto-rpc", "application/octet-stream"} {
			good, bad := `{"service":"`+srv+`"}`, `{"service":"nobody"}`
			if !strings.Contains(kind, "json") {
				good, bad = string(ask), string(unknown)
			}
			out, failure := call(kind, "Monitor.HealthChecks", good, address...)
			if failure != "" {
				t.Errorf("%s, %s: %s", where, kind, failure)
				continue
			}
			if err := answersChecks(kind, out); err != nil {
				t.Errorf("%s, %s: %v in %.300q", where, kind, err, out)
			}
			want := `"code":404`
			if kind == "application/octet-stream" && address == nil {
				want = "is not type of *[]byte" // the old client cannot skip the body of an error
			}
			if _, failure := call(kind, "Monitor.HealthChecks", bad, address...); !strings.Contains(failure, want) {
				t.Errorf("%s, %s: got the error %q, want %s", where, kind, failure, want)
			}
		}
	}
}

// answersChecks reads an answer of HealthChecks, with what a client of 2016 knows of it.
func answersChecks(kind string, out []byte) error {
	var rsp monitorpb.HealthChecksResponse
	if strings.Contains(kind, "json") {
		var a answer
		if err := json.Unmarshal(out, &a); err != nil || len(a.HealthChecks) == 0 {
			return fmt.Errorf("%d checks, error %v", len(a.HealthChecks), err)
		}
		return nil
	}
	if err := proto.Unmarshal(out, &rsp); err != nil || len(rsp.GetHealthChecks()) == 0 {
		return fmt.Errorf("%d checks, error %v", len(rsp.GetHealthChecks()), err)
	}
	return nil
}
