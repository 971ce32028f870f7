module github.com/microhq/monitor-srv/tools/micro1

go 1.26.0

require (
	github.com/golang/protobuf v1.2.0
	github.com/micro/go-micro v1.0.0
)

require (
	github.com/armon/go-metrics v0.0.0-20180917152333-f0300d1749da // indirect
	github.com/go-log/log v0.1.0 // indirect
	github.com/google/uuid v1.1.0 // indirect
	github.com/hashicorp/consul v1.4.2 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.0 // indirect
	github.com/hashicorp/go-immutable-radix v1.0.0 // indirect
	github.com/hashicorp/go-rootcerts v1.0.0 // indirect
	github.com/hashicorp/golang-lru v0.5.0 // indirect
	github.com/hashicorp/serf v0.8.2 // indirect
	github.com/micro/go-log v0.1.0 // indirect
	github.com/micro/go-rcache v0.2.1 // indirect
	github.com/micro/mdns v0.1.0 // indirect
	github.com/micro/util v0.2.0 // indirect
	github.com/miekg/dns v1.1.4 // indirect
	github.com/mitchellh/hashstructure v1.0.0 // indirect
	github.com/mitchellh/mapstructure v1.1.2 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)
