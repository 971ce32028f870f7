package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	healthpb "github.com/microhq/monitor-srv/proto/health"
	"github.com/microhq/monitor-srv/store"
)

// naturalCheck decodes a check with an id, a service and the given members.
func naturalCheck(t *testing.T, members string) (*healthpb.HealthCheck, rejection) {
	t.Helper()
	body := `{"id":"x","service":{"name":"s","nodes":[{"id":"n"}]},` + members + `}`
	d := newDecoder()
	if rej := d.decodeJSON(store.KindCheck, []byte(body)); rej.reason != accepted {
		return nil, rej
	}
	return message(t, &d.event).(*healthpb.HealthCheck), rejection{}
}

// Faults: C25.
func TestValuesThatScriptsWriteAreTaken(t *testing.T) {
	results := func(pairs ...string) *healthpb.HealthCheck {
		m := &healthpb.HealthCheck{Results: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			m.Results[pairs[i]] = pairs[i+1]
		}
		return m
	}
	at := func(unix int64) *healthpb.HealthCheck { return &healthpb.HealthCheck{Timestamp: unix} }
	every := func(seconds int64) *healthpb.HealthCheck { return &healthpb.HealthCheck{Interval: seconds} }
	for members, want := range map[string]*healthpb.HealthCheck{
		`"timestamp":1790000000.987`:                               at(1790000000),
		`"timestamp":"1790000000.987"`:                             at(1790000000),
		`"timestamp":1790000000987`:                                at(1790000000),
		`"timestamp":1790000000987654`:                             at(1790000000),
		`"timestamp":1790000000987654321`:                          at(1790000000),
		`"timestamp":"2026-11-30T12:00:00Z"`:                       at(1796040000),
		`"timestamp":"2026-11-30T13:00:00.25+01:00"`:               at(1796040000),
		`"timestamp":"2026-11-30T13:00:00+0100"`:                   at(1796040000),
		`"timestamp":"2026-11-30 12:00:00.123456+00:00"`:           at(1796040000),
		`"timestamp":"2026-11-30 12:00:00+00"`:                     at(1796040000),
		`"timestamp":"2026-11-30 13:00:00 +0100"`:                  at(1796040000),
		`"timestamp":"2026-11-30 12:00:00 UTC"`:                    at(1796040000),
		`"timestamp":"Mon, 30 Nov 2026 12:00:00 GMT"`:              at(1796040000),
		`"timestamp":"2026-11-30T12:00:00,5+00:00"`:                at(1796040000),
		`"timestamp":"Mon, 30 Nov 2026 13:00:00 +0100"`:            at(1796040000),
		`"timestamp":" -7"`:                                        at(0),
		`"interval":"10s"`:                                         every(10),
		`"interval":"1m30s","ttl":"2d"`:                            {Interval: 90, Ttl: 172800},
		`"interval":"1w"`:                                          every(604800),
		`"interval":"10 s"`:                                        every(10),
		`"interval":"5 Minutes","ttl":"1 hour 30 min"`:             {Interval: 300, Ttl: 5400},
		`"interval":"90sec","ttl":"2 days"`:                        {Interval: 90, Ttl: 172800},
		`"interval":"1500ms","ttl":"2 weeks"`:                      {Interval: 2, Ttl: 1209600},
		`"interval":0.2`:                                           every(1),
		`"interval":"10"`:                                          every(10),
		`"interval":1e30`:                                          every(maxSeconds),
		`"results":{"bytes":52428800,"ok":true,"big":1e300}`:       results("bytes", "52428800", "ok", "true", "big", "1e300"),
		`"results":{"last":null,"ratio":0.50}`:                     results("last", "null", "ratio", "0.50"),
		`"results":{"disk":{"used": 7, "of":[1, 2]}}`:              results("disk", `{"used":7,"of":[1,2]}`),
		`"results":{"ratio":NaN,"n":-Infinity,"t":"NaN, \"NaN\""}`: results("ratio", "NaN", "n", "-Infinity", "t", `NaN, "NaN"`),
		`"results":[]`:                                             {},
		`"error":{"code":5}`:                                       {Error: `{"code":5}`},
		`"error":null,"status":null`:                               {},
		`"description":7`:                                          {Description: "7"},
		`"Status":"OK","TTL":9`:                                    {Status: 1, Ttl: 9},
		`"error":"first","error":"last"`:                           {Error: "last"},
		`"missing":"yes","since":"yesterday","source":[]`:          {},
		"\n\"status\" :\t\"ok\" ":                                  {Status: 1},
	} {
		got, rej := naturalCheck(t, members)
		if rej.reason != accepted {
			t.Errorf("%s: %v", members, rej)
			continue
		}
		want.Id, want.Service = "x", &healthpb.Service{Name: "s", Nodes: []*healthpb.Node{{Id: "n"}}}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", members, diff)
		}
	}
}

// Faults: C25.
func TestStatusesAreTakenInTheWordsOfScripts(t *testing.T) {
	for words, want := range map[string]healthpb.HealthCheck_Status{
		`"OK" "ok" "Up" "1" 1 1.0 "pass" "PASSING" "success" "healthy" "green" "SERVING" true " ok " "okay" "running"`: healthpb.HealthCheck_OK,
		`"WARNING" "warn" 3 "3" "degraded" "Yellow"`:                                                                 healthpb.HealthCheck_WARNING,
		`"ERROR" "err" 2 "down" "FAIL" "failing" "critical" "unhealthy" "NOT_SERVING" "not-serving" "offline" false`: healthpb.HealthCheck_ERROR,
		`"UNKNOWN" "unknown" 0 "0"`: healthpb.HealthCheck_UNKNOWN,
	} {
		for word := range strings.SplitSeq(strings.ReplaceAll(words, `" ok "`, `"_ok_"`), " ") {
			word = strings.ReplaceAll(word, "_ok_", " ok ")
			got, rej := naturalCheck(t, `"status":`+word)
			if rej.reason != accepted || got.Status != want {
				t.Errorf("%s: got %v, %v, want %v", word, got.GetStatus(), rej, want)
			}
		}
	}
	for word, want := range map[string]healthpb.Status_Status{
		`"running"`: healthpb.Status_RUNNING, `"up"`: healthpb.Status_RUNNING, `"OK"`: healthpb.Status_RUNNING, `"active"`: healthpb.Status_RUNNING, `2`: healthpb.Status_RUNNING,
		`"Started"`: healthpb.Status_STARTED, `"stopped"`: healthpb.Status_STOPPED,
	} {
		d := newDecoder()
		rej := d.decodeJSON(store.KindStatus, []byte(`{"service":"s","node":"n","status":`+word+`}`))
		if rej.reason != accepted || d.event.Status != int32(want) {
			t.Errorf("%s: got %d, %v, want %v", word, d.event.Status, rej, want)
		}
	}
}

// Faults: C25.
func TestServicesAreTakenInTheFormsOfScripts(t *testing.T) {
	whole := &healthpb.Service{Name: "s", Version: "1.2", Nodes: []*healthpb.Node{{Id: "n"}}}
	for service, want := range map[string]*healthpb.Service{
		`"service":{"name":"s","version":1.2,"nodes":[{"id":"n"}]}`:               whole,
		`"service":{"name":"s","version":"1.2","nodes":["n"]}`:                    whole,
		`"service":{"name":"s","version":"1.2","nodes":"n"}`:                      whole,
		`"service":{"name":"s","version":"1.2","nodes":{"id":"n"}}`:               whole,
		`"service":{"name":"s","version":"1.2","node":"n"}`:                       whole,
		`"service":{"Name":"s","Version":"1.2","Nodes":[{"ID":"n"}]}`:             whole,
		`"service":"s","version":"1.2","node":"n"`:                                whole,
		`"service":"s","version":"1.2","node":{"id":"n"}`:                         whole,
		`"service":"s","version":"1.2","nodes":["n"]`:                             whole,
		`"service":"s","node":7`:                                                  {Name: "s", Nodes: []*healthpb.Node{{Id: "7"}}},
		`"service":{"name":"s","nodes":[{"id":"n","metadata":{"rack":7}}]}`:       {Name: "s", Nodes: []*healthpb.Node{{Id: "n", Metadata: map[string]string{"rack": "7"}}}},
		`"node":"elsewhere","service":{"name":"s","nodes":[{"id":"n"}],"id":"i"}`: {Name: "s", Nodes: []*healthpb.Node{{Id: "n"}}},
	} {
		d := newDecoder()
		if rej := d.decodeJSON(store.KindCheck, []byte(`{"id":"x",`+service+`}`)); rej.reason != accepted {
			t.Errorf("%s: %v", service, rej)
			continue
		}
		got := message(t, &d.event).(*healthpb.HealthCheck).Service
		if diff := cmp.Diff(proto.Message(want), proto.Message(got), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", service, diff)
		}
	}
}

// What cannot mean one thing only is refused with the place and what is wanted, and the
// publisher is told.
// Faults: C25.
func TestAmbiguousValuesAreRefusedWithTheirPlace(t *testing.T) {
	for members, want := range map[string]string{
		`"status":"flaky"`:                             `status: want one of UNKNOWN, OK, ERROR, WARNING, got "flaky"`,
		`"status":""`:                                  `status: want one of`,
		`"status":77`:                                  `status: want one of`,
		`"status":1.5`:                                 `status: want one of`,
		`"status":["OK"]`:                              `status: want one of`,
		`"status":{"status":"OK"}`:                     `status: want one of`,
		`"timestamp":"yesterday"`:                      `timestamp: want unix seconds or a time with a zone such as`,
		`"timestamp":"2026-11-30T12:00:00"`:            `timestamp: want unix seconds`,
		`"timestamp":"2026-11-30 12:00:00"`:            `timestamp: want unix seconds`,
		`"timestamp":"2026-11-30 12:00:00 GMT+1"`:      `timestamp: want unix seconds`,
		`"timestamp":"2026-11-30 12:00:00 CET"`:        `timestamp: want unix seconds`,
		`"interval":"minute"`:                          `interval: want seconds or a duration`,
		`"timestamp":true`:                             `timestamp: want unix seconds`,
		`"timestamp":NaN`:                              `timestamp: want unix seconds`,
		`"timestamp":1e30`:                             `timestamp: want unix seconds`,
		`"interval":"soon"`:                            `interval: want seconds or a duration such as "10s", got "soon"`,
		`"interval":"0x10"`:                            `interval: want seconds`,
		`"ttl":"1_000"`:                                `ttl: want seconds`,
		`"ttl":"99999999999h"`:                         `ttl: want seconds`,
		`"results":"all fine"`:                         `results: want an object, got "all fine"`,
		`"results":["a","b"]`:                          `results: want an object`,
		`"results":7`:                                  `results: want an object, got 7`,
		`"ttl":5,"TTL":6`:                              `ttl: is given twice`,
		`"id":true`:                                    `id: want a string, got true`,
		`"service":{"name":{}}`:                        `service.name: want a string, got {}`,
		`"service":{"name":"s","nodes":[{"id":[]}]}`:   `service.nodes.id: want a string, got []`,
		`"status":"` + strings.Repeat("x", 5000) + `"`: `status: want one of`,
	} {
		_, rej := naturalCheck(t, members)
		if rej.reason != badValue || !strings.HasPrefix(rej.place, want) || len(rej.place) > 300 {
			t.Errorf("%.60s: got %v, want %q", members, rej, want)
		}
		if err, ok := errors.AsType[interface {
			error
			StatusCode() int
		}](rej.err()); !ok || err.StatusCode() != http.StatusBadRequest || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: the publisher gets %v", members, err)
		}
	}
}

// Faults: C25.
func TestHostileJSONIsRefusedQuickly(t *testing.T) {
	many := new(strings.Builder)
	for i := range 20000 {
		fmt.Fprintf(many, `"m%d":%d,`, i, i)
	}
	for name, c := range map[string]struct {
		body string
		want reason
	}{
		"single quotes":    {`{'id':'x'}`, malformed},
		"two events":       {`{"id":"x"}{"id":"y"}`, malformed},
		"list of events":   {`[{"id":"x"}]`, malformed},
		"a text":           {`"{}"`, malformed},
		"a comment":        {`{"id":"x"} // why`, malformed},
		"a comma too many": {`{"id":"x",}`, malformed},
		"torn":             {`{"id":"x","results":{"a":`, malformed},
		"deep results":     {`{"id":"x","results":` + strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000) + `}`, malformed},
		"no node":          {`{"id":"x","service":"s"}`, noNode},
		"blank node":       {`{"id":"x","service":"s","node":""}`, noNode},
		"many members":     {`{` + many.String() + `"id":"x","service":"s"}`, noNode},
		"control in node":  {`{"id":"x","service":"s","node":"a\u0007"}`, badIdentity},
		"null in nodes":    {`{"id":"x","service":{"name":"s","nodes":[null]}}`, badValue},
		"UTF-16":           {"\xff\xfe{\x00}\x00", malformed},
	} {
		d := newDecoder()
		if got := d.decodeJSON(store.KindCheck, []byte(c.body)); got.reason != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Faults: C25.
func TestEventsAreToldApartWithoutAContentType(t *testing.T) {
	const event = `{"id":"x","service":"s","node":"n","status":"ok"}`
	for _, body := range []string{event, "\n " + event, "\xef\xbb\xbf" + event, "\xef\xbb\xbf\r\n" + event + "\n", "\n" + strings.Replace(event, "}", `,"results":{"ratio":NaN}}`, 1)} {
		d := newDecoder()
		if rej := d.decodeMessage(store.KindCheck, nil, []byte(body)); rej.reason != accepted {
			t.Errorf("%q: %v", body, rej)
		}
	}
	// In protobuf it is an id of 123 bytes.
	id := "{" + strings.Repeat("x", 122)
	d := newDecoder()
	if rej := d.decodeMessage(store.KindCheck, nil, identityOf("s", "1", "n", id)); rej.reason != accepted || string(d.event.ID) != id {
		t.Errorf("protobuf that begins like JSON: %v", rej)
	}
}
