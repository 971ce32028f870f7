package metrics

import (
	"crypto/tls"
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/microhq/monitor-srv/monitor"
)

// probeFamilies are the metrics of /probe. All but timestamp are named as those of
// blackbox_exporter.
type probeFamilies struct {
	all []*family

	success, duration, timestamp, value, dns           *family
	status, version, redirects, length, size, modified *family
	phases, ssl                                        *family
	firstEnd, chainEnd, tlsVersion                     *family
}

func newProbeFamilies() *probeFamilies {
	f := &probeFamilies{}
	gauge := func(name, help string, labels ...string) *family {
		g := newFamily(dto.MetricType_GAUGE, "probe_"+name, help, labels...)
		f.all = append(f.all, g)
		return g
	}
	f.success = gauge("success", "1 if the last probe of the monitor was good or a warning, 0 if it failed.")
	f.duration = gauge("duration_seconds", "Duration of the last probe.")
	f.timestamp = gauge("timestamp_seconds", "When the last probe began, in unix seconds.")
	f.value = gauge("value", "Value of the last probe, after the filter.")
	f.dns = gauge("dns_lookup_time_seconds", "Time to resolve the name of the target.")
	f.status = gauge("http_status_code", "Status of the response.")
	f.version = gauge("http_version", "Version of HTTP of the response.")
	f.redirects = gauge("http_redirects", "Redirects that were followed.")
	f.length = gauge("http_content_length", "Content-Length of the response, -1 without one.")
	f.size = gauge("http_uncompressed_body_length", "Bytes that were read of the body, without its coding.")
	f.modified = gauge("http_last_modified_timestamp_seconds", "The header Last-Modified of the response, in unix seconds.")
	f.phases = gauge("http_duration_seconds", "Duration of the request by phase, summed over redirects.", "phase")
	f.ssl = gauge("http_ssl", "1 if TLS was used, else 0.")
	f.firstEnd = gauge("ssl_earliest_cert_expiry", "When the first certificate expires that the server sent, in unix seconds.")
	f.chainEnd = gauge("ssl_last_chain_expiry_timestamp_seconds", "When the verified chain of certificates expires, in unix seconds.")
	f.tlsVersion = gauge("tls_version_info", "The version of TLS. The value is 1.", "version")
	return f
}

// result is the collector of the last result of one monitor.
type result struct {
	families *probeFamilies
	last     monitor.Last
}

// Describe implements prometheus.Collector.
func (r *result) Describe(out chan<- *prometheus.Desc) {
	for _, f := range r.families.all {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector. Without a result there are no series.
func (r *result) Collect(ch chan<- prometheus.Metric) {
	out, f, last := sink(ch), r.families, &r.last
	if last.At.IsZero() || last.Verdict == monitor.Unknown {
		return
	}
	success := 0.0
	if last.Verdict != monitor.Failing {
		success = 1
	}
	out.add(f.success, success)
	out.add(f.duration, last.Took.Seconds())
	out.add(f.timestamp, float64(last.At.UnixMilli())/1000)
	out.add(f.value, last.Value)
	phases := make(map[string]float64, len(last.Phases))
	for _, p := range last.Phases {
		phases[p.Name] = p.Duration.Seconds()
	}
	out.add(f.dns, phases["resolve"])
	if last.Kind == "http" {
		r.collectHTTP(out, phases)
	}
	r.collectTLS(out)
}

// collectHTTP adds what blackbox_exporter says of an HTTP request, zero without a response.
func (r *result) collectHTTP(out sink, phases map[string]float64) {
	f, facts := r.families, &r.last.Facts
	out.add(f.status, float64(facts.Status))
	version, err := strconv.ParseFloat(fmt.Sprintf("%d.%d", facts.MajorHTTP, facts.MinorHTTP), 64)
	if err == nil {
		out.add(f.version, version)
	}
	out.add(f.redirects, float64(facts.Redirects))
	out.add(f.length, float64(facts.Length))
	out.add(f.size, float64(facts.Size))
	if facts.Modified != 0 {
		out.add(f.modified, float64(facts.Modified))
	}
	for phase, ours := range map[string]string{
		"resolve": "resolve", "connect": "connect", "tls": "tls", "processing": "first_byte", "transfer": "body",
	} {
		out.addStrings(f.phases, phases[ours], phase)
	}
	secure := 0.0
	if facts.TLS != 0 {
		secure = 1
	}
	out.add(f.ssl, secure)
}

func (r *result) collectTLS(out sink) {
	f, facts := r.families, &r.last.Facts
	if facts.TLS == 0 {
		return
	}
	out.addStrings(f.tlsVersion, 1, tls.VersionName(facts.TLS))
	if facts.FirstEnd != 0 {
		out.add(f.firstEnd, float64(facts.FirstEnd))
	}
	if facts.ChainEnd != 0 {
		out.add(f.chainEnd, float64(facts.ChainEnd))
	}
}
