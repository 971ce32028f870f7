package wire

// Numbers of the fields of proto/health. They never change: publishers and
// clients since 2016 rely on them. A test compares them with the descriptors.
const (
	ServiceName    = 1
	ServiceVersion = 2
	ServiceNodes   = 3
	ServiceID      = 4

	NodeID       = 1
	NodeAddress  = 2
	NodeMetadata = 3
	NodeConflict = 16

	HealthCheckID          = 1
	HealthCheckDescription = 2
	HealthCheckTimestamp   = 3
	HealthCheckInterval    = 4
	HealthCheckTTL         = 5
	HealthCheckService     = 6
	HealthCheckStatus      = 7
	HealthCheckResults     = 8
	HealthCheckError       = 9
	HealthCheckReceived    = 16
	HealthCheckSince       = 17
	HealthCheckReported    = 18
	HealthCheckSource      = 19
	HealthCheckMissing     = 20
	HealthCheckSkewed      = 21
	HealthCheckStopped     = 22
	HealthCheckStatusName  = 23

	StatusService      = 1
	StatusStatus       = 2
	StatusInfo         = 3
	StatusTimestamp    = 4
	StatusInterval     = 5
	StatusTTL          = 6
	StatusReceived     = 16
	StatusSince        = 17
	StatusReported     = 18
	StatusMissing      = 20
	StatusSkewed       = 21
	StatusStatusName   = 23
	StatusUnknownNodes = 24
	StatusStartedNodes = 25
	StatusRunningNodes = 26
	StatusStoppedNodes = 27

	StatsService   = 1
	StatsTimestamp = 2
	StatsInterval  = 3
	StatsTTL       = 4
	StatsCPU       = 5
	StatsMemory    = 6
	StatsDisk      = 7
	StatsRuntime   = 8
	StatsEndpoints = 9
	StatsReceived  = 16
	StatsMissing   = 20
	StatsSkewed    = 21
	StatsStopped   = 22

	CPUUserTime     = 1
	CPUSystemTime   = 2
	CPUVolCtxSwitch = 3
	CPUInvCtxSwitch = 4

	MemoryMaxRSS = 1

	DiskInBlock = 1
	DiskOuBlock = 2

	RuntimeNumThreads = 1
	RuntimeHeapTotal  = 2
	RuntimeHeapInUse  = 3

	EndpointService = 1
	EndpointMethod  = 2
	EndpointErrors  = 3
	EndpointSuccess = 4
	EndpointDropped = 5
	EndpointSide    = 16

	MetricsCount   = 1
	MetricsMean    = 2
	MetricsStdDev  = 3
	MetricsUpper95 = 4
)

// Numbers of the fields of a map entry, fixed by the protobuf encoding.
const (
	MapKey   = 1
	MapValue = 2
)

// HealthChecksResponseHealthChecks is the field of the RPC answer that holds the
// health checks as they are on the bus.
const HealthChecksResponseHealthChecks = 1
