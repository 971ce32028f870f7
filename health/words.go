package health

import healthpb "github.com/microhq/monitor-srv/proto/health"

// Topics of the bus. They are those of the publishers of 2016 and never change.
const (
	// TopicHealthCheck carries proto/health.HealthCheck.
	TopicHealthCheck = "micro.monitor.healthcheck"
	// TopicStatus carries proto/health.Status.
	TopicStatus = "micro.monitor.status"
	// TopicStats carries proto/health.Stats.
	TopicStats = "micro.monitor.stats"
)

// ContentType of the events this package publishes.
const ContentType = "application/protobuf"

// Statuses of a check. The zero value is CheckUnknown; a publisher never sends
// it, the monitoring service judges silence so.
const (
	CheckUnknown = healthpb.HealthCheck_UNKNOWN
	CheckOK      = healthpb.HealthCheck_OK
	CheckWarning = healthpb.HealthCheck_WARNING
	CheckError   = healthpb.HealthCheck_ERROR
)

// Statuses of a node. The zero value is NodeUnknown; a publisher never sends it.
const (
	NodeUnknown = healthpb.Status_UNKNOWN
	NodeStarted = healthpb.Status_STARTED
	NodeRunning = healthpb.Status_RUNNING
	NodeStopped = healthpb.Status_STOPPED
)

// Limits of one event, in bytes unless said otherwise. Text beyond a limit is
// cut with CutMark, both here and by the monitoring service; names and ids
// beyond theirs are refused.
const (
	MaxEventSize = 256 << 10

	MaxServiceName = 128
	MaxVersion     = 128
	MaxNodeID      = 256
	MaxCheckID     = 256

	// MaxResults is a number of pairs.
	MaxResults      = 64
	MaxResultKey    = 128
	MaxResultValue  = 4 << 10
	MaxResultsTotal = 32 << 10
	// MaxText holds for a description, an error and an info, each.
	MaxText = 4 << 10

	// MaxEndpoints is a number of endpoints in one Stats, OtherEndpoints included.
	MaxEndpoints = 512
	// OtherEndpoints is the method under which endpoints beyond MaxEndpoints are
	// summed.
	OtherEndpoints = "other"
)

// CutMark ends a text that was cut.
const CutMark = "…"
