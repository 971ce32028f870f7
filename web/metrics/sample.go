package metrics

import (
	"crypto/sha256"
	"fmt"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/microhq/monitor-srv/text"
)

// family is one metric of the contract.
type family struct {
	name   string
	kind   dto.MetricType
	labels []string // sorted
	desc   *prometheus.Desc
}

// label is a name and a value, which samples share.
type label = *dto.LabelPair

// maxLabel bounds the value of a label, in bytes.
const maxLabel = 256

// newLabel returns a label. A value that is no UTF-8 or too long is repaired and gets a
// part of its hash, so that different values stay different.
func newLabel(name, value string) label {
	if len(value) > maxLabel || !utf8.ValidString(value) {
		hash := fmt.Sprintf("~%x", sha256.Sum256([]byte(value)))[:17]
		value = text.Clip(value, maxLabel-len(hash), "") + hash
	}
	return &dto.LabelPair{Name: &name, Value: &value}
}

// sample is one series with its value. It costs a third of prometheus.NewConstMetric,
// which copies and sorts the labels of each.
type sample struct {
	family *family
	labels []label
	value  float64
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.family.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.labels
	if s.family.kind == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: &s.value}
		return nil
	}
	m.Gauge = &dto.Gauge{Value: &s.value}
	return nil
}

// sink takes the samples of a scrape.
type sink chan<- prometheus.Metric

// add adds a series. Its labels are in the order of those of the family.
func (s sink) add(f *family, value float64, labels ...label) {
	s <- &sample{f, labels, value}
}

// addStrings is add with the values of the labels.
func (s sink) addStrings(f *family, value float64, values ...string) {
	labels := make([]label, len(values))
	for i, v := range values {
		labels[i] = newLabel(f.labels[i], v)
	}
	s.add(f, value, labels...)
}
