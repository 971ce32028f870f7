package health

import healthpb "github.com/microhq/monitor-srv/proto/health"

// Topics of the broker on which events are published.
const (
	// TopicHealthCheck carries messages of the type HealthCheck of proto/health.
	TopicHealthCheck = "micro.monitor.healthcheck"
	// TopicStatus carries messages of the type Status of proto/health.
	TopicStatus = "micro.monitor.status"
	// TopicStats carries messages of the type Stats of proto/health.
	TopicStats = "micro.monitor.stats"
)

// ContentType is the content type of the events that this package publishes.
const ContentType = "application/protobuf"

// Statuses of a check. CheckUnknown, the zero value, is never published: it is the
// status that the monitoring service gives to a check that is stale.
const (
	CheckUnknown = healthpb.HealthCheck_UNKNOWN
	CheckOK      = healthpb.HealthCheck_OK
	CheckWarning = healthpb.HealthCheck_WARNING
	CheckError   = healthpb.HealthCheck_ERROR
)

// Statuses of a node. NodeUnknown, the zero value, is never published.
const (
	NodeUnknown = healthpb.Status_UNKNOWN
	// NodeStarted is published once, by Reporter.Start.
	NodeStarted = healthpb.Status_STARTED
	// NodeRunning is published each interval.
	NodeRunning = healthpb.Status_RUNNING
	// NodeStopped is published once, by Reporter.Close.
	NodeStopped = healthpb.Status_STOPPED
)

// Limits of one event. The monitoring service has the same limits. Text that is
// longer is truncated and ends with CutMark; a name or an id that is longer is
// refused.
const (
	// MaxEventSize is the greatest size of an encoded event in bytes.
	MaxEventSize = 256 << 10

	// MaxServiceName is the greatest length of the name of a service in bytes.
	MaxServiceName = 128
	// MaxVersion is the greatest length of the version of a service in bytes.
	MaxVersion = 128
	// MaxNodeID is the greatest length of the id of a node in bytes.
	MaxNodeID = 256
	// MaxCheckID is the greatest length of the id of a check in bytes.
	MaxCheckID = 256

	// MaxResults is the greatest number of results of a check.
	MaxResults = 64
	// MaxResultKey is the greatest length of the key of a result in bytes.
	MaxResultKey = 128
	// MaxResultValue is the greatest length of the value of a result in bytes.
	MaxResultValue = 4 << 10
	// MaxResultsTotal is the greatest length of all keys and values of a check in bytes.
	MaxResultsTotal = 32 << 10
	// MaxText is the greatest length in bytes of a description, of an error and of the text
	// of a status (WithInfo).
	MaxText = 4 << 10

	// MaxEndpoints is the greatest number of endpoints in one Stats message, including
	// OtherEndpoints.
	MaxEndpoints = 512
	// OtherEndpoints is the method under which the endpoints beyond MaxEndpoints are
	// summed, one for each side.
	OtherEndpoints = "other"
)

// CutMark ends a text that was truncated. As the key of a result, it holds how many
// results were left out.
const CutMark = "…"
