package main

// The packages of the benchmarks.
const (
	inDelivery = "delivery/"
	inCommand  = "command/"
	inEvents   = "ingest/"  // events in
	inAnswers  = "handler/" // answers out
	inHealth   = "health/"
	inMetrics  = "web/metrics/"
	inProbe    = "probe/"
	inRPC      = "guard/transport/"
	inStore    = "store/"
	inService  = "service/"
)

// Names of benchmarks that several rows use.
const (
	events = inEvents + "EventToState/"
	bus    = inEvents + "BusNATS/application/"
	plain  = inEvents + "BusPlain/application/"
	rpc    = inRPC + "Transport/"
	http   = peers + "HTTP/"
	tcp    = peers + "TCP/"
	detect = peers + "Detection/"

	restart     = inService + "Restart/100000"
	restartMost = inService + "Restart/1000000"

	cpuNS    = "cpu-ns/op"
	cpuS     = "CPU-s/1000"
	xMean    = "x-mean"
	late     = "late-p99-ms"
	perCall  = "cpu-us/call"
	perEvent = "cpu-ns/event"
)

// targets are the rows of the page. The numbers are those of the plan: 1 event to
// state, 2 memory, 3 question, 4 bus, 5 RPC, 6 HTTP monitors, 7 exec monitors,
// 8 scale, 9 detection, 10 restart, 15 metrics.
func targets() []target {
	var all []target
	for _, group := range [][]target{stateTargets(), questionTargets(), busTargets(), rpcTargets(), httpTargets(), execTargets(), scaleTargets(), restartTargets(), ownTargets()} {
		all = append(all, group...)
	}
	return all
}

func stateTargets() []target {
	return []target{
		{"1", "event to state, one id on 10,000 nodes", of(events+"now/10000", cpuNS), "CPU-ns", of(events+"2016/10000", cpuNS), "the path of 2016", timesLess(50)},
		{"1", "the same on 1,000,000 nodes", of(events+"now/1000000", cpuNS), "CPU-ns", of(events+"now/10", cpuNS), "on 10", ratioAtMost(2)},
		{"1", "the same on 10,000 against the floor", of(events+"now/10000", cpuNS), "CPU-ns", of(events+"raw/10000", cpuNS), "scan and raw upsert", ratioAtMost(2)},
		{"1", "the same on 1,000,000 against the floor", of(events+"now/1000000", cpuNS), "CPU-ns", of(events+"raw/1000000", cpuNS), "scan and raw upsert", ratioAtMost(2)},
		{"1", "store alone, 1,000,000 entries, node after node", of(inStore+"Put/nodes/1000000", cpuNS), "CPU-ns", of(inStore+"Put/nodes/10", cpuNS), "10 entries", ratioAtMost(2)},
		{"1", "store alone, 1,000,000 entries, shuffled against all caches", of(inStore+"Put/shuffled/1000000", cpuNS), "CPU-ns", of(inStore+"Put/shuffled/10", cpuNS), "10 entries", ratioAtMost(2)},
		{"2", "heap of an entry at 100,000", most("B/entry", inStore+"Memory/1000x100", inStore+"Memory/10000x10"), "B", of(inStore+"MemoryMessages", "B/entry"), "decoded messages in a map", atMost(400)},
		{"2", "heap of an entry at 1,000,000", most("B/entry", inStore+"Memory/10000x100", inStore+"Memory/100000x10"), "B", of(inStore+"MemoryMessages", "B/entry"), "decoded messages in a map", atMost(400)},
		{"2", "heap after expiry, against the empty store", most("x-empty-after", inStore+"Memory/"), "times", nil, "", atMost(1.2)},
	}
}

func questionTargets() []target {
	return []target{
		{"3", "a page of 100 of 1,000,000, the slowest filter and way", most(cpuNS, inStore+"Page/"), "CPU-ns", of(inStore+"PageSlice/walk", cpuNS), "walking a sorted slice", atMost(10000)},
		{"3", "the same against the floor", most(cpuNS, inStore+"Page/"), "CPU-ns", of(inStore+"PageSlice/copy", cpuNS), "copying 100 of a sorted slice", ratioAtMost(3)},
		{"3", "answer of 100 checks, protobuf, without the wire", of(inAnswers+"Answer/protobuf/ours", cpuNS), "CPU-ns", of(inAnswers+"Answer/protobuf/stock", cpuNS), "go-micro's codec", atMost(250000)},
		{"3", "answer of 100 checks, protobuf, over the wire, with the client", of(inAnswers+"Call/protobuf", cpuNS), "CPU-ns", of(inAnswers+"CallHTTP/protobuf", cpuNS), "net/http writing the same bytes", atMost(250000)},
		{"3", "the same against the floor", of(inAnswers+"Call/protobuf", cpuNS), "CPU-ns", of(inAnswers+"CallHTTP/protobuf", cpuNS), "net/http writing the same bytes", ratioAtMost(3)},
		{"3", "answer of 100 checks, JSON, over the wire, with the client", of(inAnswers+"Call/json/ours", cpuNS), "CPU-ns", of(inAnswers+"Call/json/stock", cpuNS), "go-micro's codec", atMost(250000)},
		{"3", "the same against the floor", of(inAnswers+"Call/json/ours", cpuNS), "CPU-ns", of(inAnswers+"CallHTTP/json", cpuNS), "net/http writing the same bytes", ratioAtMost(5)},
	}
}

func busTargets() []target {
	return []target{
		{"4", "NATS, protobuf, publisher in the same process", of(bus+"protobuf", "accepted/s"), "events/s", of(plain+"protobuf", "accepted/s"), "plain nats.go and Unmarshal", atLeast(60000)},
		{"4", "NATS, JSON, publisher in the same process", of(bus+"json", "accepted/s"), "events/s", of(plain+"json", "accepted/s"), "plain nats.go and Unmarshal", atLeast(60000)},
		{"4", "the same against the floor, protobuf", of(bus+"protobuf", "accepted/s"), "events/s", of(plain+"protobuf", "accepted/s"), "plain nats.go and Unmarshal", ratioAtLeast(0.7)},
		{"4", "the same against the floor, JSON", of(bus+"json", "accepted/s"), "events/s", of(plain+"json", "accepted/s"), "plain nats.go and Unmarshal", ratioAtLeast(0.7)},
		{"4", "NATS, protobuf, an event, publisher included", of(bus+"protobuf", perEvent), "CPU-ns", of(plain+"protobuf", perEvent), "plain nats.go and Unmarshal", ratioAtMost(1.1)},
		{"4", "NATS, JSON, an event, publisher included", of(bus+"json", perEvent), "CPU-ns", of(plain+"json", perEvent), "plain nats.go and Unmarshal", ratioAtMost(1.1)},
		{"4", "http broker, 1,000/s offered", of(inEvents+"BusHTTP/1000", "%taken"), "% taken", of(inEvents+"BusHTTP/1000", "%taken-trivial"), "a subscriber that counts", ratioAtLeast(0.9)},
		{"4", "http broker, 2,000/s offered", of(inEvents+"BusHTTP/2000", "%taken"), "% taken", of(inEvents+"BusHTTP/2000", "%taken-trivial"), "a subscriber that counts", ratioAtLeast(0.9)},
		{"4", "http broker, 4,000/s offered", of(inEvents+"BusHTTP/4000", "%taken"), "% taken", of(inEvents+"BusHTTP/4000", "%taken-trivial"), "a subscriber that counts", ratioAtLeast(0.9)},
	}
}

func rpcTargets() []target {
	return []target{
		{"5", "server alone, answers of 100 checks, 1 caller", of(rpc+"raw/protobuf/Stored/guarded/1", "calls/s"), "calls/s", of(rpc+"raw/protobuf/List/stock/1", "calls/s"), "stock go-micro", ratioAtLeast(3)},
		{"5", "server alone, answers of 100 checks, 16 callers", of(rpc+"raw/protobuf/Stored/guarded/16", "calls/s"), "calls/s", of(rpc+"raw/protobuf/List/stock/16", "calls/s"), "stock go-micro", ratioAtLeast(3)},
		{"5", "server alone, p99 at 16 callers", of(rpc+"raw/protobuf/Stored/guarded/16", "p99-ms"), "ms", of(rpc+"raw/protobuf/List/stock/16", "p99-ms"), "stock go-micro", atMost(10)},
		{"5", "server alone, a call against the floor, 1 caller", of(rpc+"raw/protobuf/Stored/guarded/1", perCall), "CPU-us", of(rpc+"raw/protobuf/Stored/net-http/1", perCall), "net/http writing the same bytes", ratioAtMost(2)},
		{"5", "the same, 16 callers", of(rpc+"raw/protobuf/Stored/guarded/16", perCall), "CPU-us", of(rpc+"raw/protobuf/Stored/net-http/16", perCall), "net/http writing the same bytes", ratioAtMost(2)},
		{"5", "calls lost, the worst of all loads", most("lost", guarded()...), "lost", most("lost", stock()...), "stock go-micro", atMost(0)},
		{"5", "with the stock client, 1 caller", of(rpc+"client/protobuf/Stored/guarded/1", "calls/s"), "calls/s", of(rpc+"client/protobuf/List/stock/1", "calls/s"), "stock go-micro", ratioAtLeast(3)},
		{"5", "with the stock client, 16 callers", of(rpc+"client/protobuf/Stored/guarded/16", "calls/s"), "calls/s", of(rpc+"client/protobuf/List/stock/16", "calls/s"), "stock go-micro", ratioAtLeast(3)},
		{"5", "with the stock client, 16 callers: p99", of(rpc+"client/protobuf/Stored/guarded/16", "p99-ms"), "ms", of(rpc+"client/protobuf/List/stock/16", "p99-ms"), "stock go-micro", atMost(10)},
		{"5", "server alone, a call, 16 callers", of(rpc+"raw/protobuf/Stored/guarded/16", perCall), "CPU-us", of(rpc+"raw/protobuf/List/stock/16", perCall), "stock go-micro", timesLess(3)},
		{"5", "our handler and store behind it, a call, 1 caller", scaled(of(inAnswers+"Call/protobuf", cpuNS), 1e-3), "CPU-us", of(rpc+"raw/protobuf/List/stock/1", perCall), "stock go-micro", timesLess(3)},
	}
}

func guarded() []string { return loads("guarded") }
func stock() []string   { return loads("stock") }

func loads(transport string) (names []string) {
	for _, load := range []string{"client/protobuf/List/", "client/protobuf/Stored/", "client/json/List/", "raw/protobuf/List/", "raw/protobuf/Stored/", "raw/json/List/"} {
		names = append(names, rpc+load+transport+"/")
	}
	return names
}

func httpTargets() (all []target) {
	for _, rate := range []string{"1000", "200"} {
		most := 1.5
		if rate == "200" {
			most = 2.5 // goma's monitors run together and share the cost of waking up
		}
		ours := http + rate + "/ours"
		name := "1,000 HTTP monitors, " + rate + "/s: "
		all = append(all,
			target{"6", name + "CPU", of(ours, cpuS), "CPU-s", of(http+rate+"/goma", cpuS), "goma", ratioAtMost(most)},
			target{"6", name + "CPU", of(ours, cpuS), "CPU-s", of(http+rate+"/gatus", cpuS), "Gatus", timesLess(3)},
			target{"6", name + "CPU", of(ours, cpuS), "CPU-s", of(http+rate+"/blackbox_exporter", cpuS), "blackbox_exporter", ratioAtMost(1)},
			target{"6", name + "memory", of(ours, "RSS-MB"), "MB", of(http+rate+"/goma", "RSS-MB"), "goma", ratioAtMost(1)},
			target{"6", name + "most in 100 ms, against the mean", of(ours, xMean), "times", of(http+rate+"/goma", xMean), "goma", atMost(2)},
			target{"6", name + "drift of the median monitor", size(of(ours, "drift-ms/min")), "ms a minute", size(of(http+rate+"/goma", "drift-ms/min")), "goma", atMost(5)},
		)
	}
	return append(all, target{"6", "10,000 HTTP monitors at 10 s: memory", of(peers+"HTTPMany/1000-a-second", "RSS-MB"), "MB", of(http+"1000/ours", "RSS-MB"), "1,000 at 1 s", atMost(250)})
}

func execTargets() []target {
	return []target{
		{"7", "exec probe of /bin/true, flat out, children included", of(inProbe+"ExecProbe", cpuS), "CPU-s per 1,000", of(inProbe+"ExecBare", cpuS), "bare os/exec", atMost(0.9)},
		{"7", "the same against the floor", of(inProbe+"ExecProbe", cpuS), "CPU-s per 1,000", of(inProbe+"ExecBare", cpuS), "bare os/exec", ratioAtMost(1.2)},
		{"7", "exec of /bin/true, 200 a second", of(inCommand+"Run/200/s", cpuS), "CPU-s per 1,000", of(inCommand+"RunBare/200/s", cpuS), "bare os/exec", atMost(0.9)},
		{"7", "the same against the floor", of(inCommand+"Run/200/s", cpuS), "CPU-s per 1,000", of(inCommand+"RunBare/200/s", cpuS), "bare os/exec", ratioAtMost(1.2)},
		{"7", "exec probe of /bin/true, runs flat out", of(inProbe+"ExecProbe", "runs/s"), "runs/s", of(inProbe+"ExecBare", "runs/s"), "bare os/exec", atLeast(2000)},
	}
}

func scaleTargets() []target {
	big := tcp + "10000/1000-a-second"
	return []target{
		{"8", "10,000 TCP monitors at 10 s: lateness p99", of(big, late), "ms", of(tcp+"1000/1000-a-second", late), "1,000 at 1 s", atMost(100)},
		{"8", "the same: memory", of(big, "RSS-MB"), "MB", of(tcp+"1000/1000-a-second", "RSS-MB"), "1,000 at 1 s", atMost(80)},
		{"8", "CPU of a probe, 10,000 monitors at 10 s", of(big, cpuS), "CPU-s per 1,000", of(tcp+"1000/1000-a-second", cpuS), "1,000 at 1 s", ratioAtMost(1.5)},
		{"8", "CPU of a probe, 1,000 monitors at 10 s", of(tcp+"1000/100-a-second", cpuS), "CPU-s per 1,000", of(tcp+"100/100-a-second", cpuS), "100 at 1 s", ratioAtMost(1.5)},
		{"9", "failure to first attempt, interval 10 s: slowest", of(detect+"ours", "s-most"), "s", of(detect+"goma", "s-most"), "goma", atMost(12.5)},
		{"9", "failure to first attempt: median", of(detect+"ours", "s-median"), "s", of(detect+"gatus", "s-median"), "Gatus' default", atMost(7.5)},
		{"9", "verdict to start of the action: slowest", of(inDelivery+"EnqueueToAttempt", "ns/worst"), "ns", of(inDelivery+"HandOver", "ns/worst"), "waking a goroutine", atMost(50e6)},
	}
}

func restartTargets() []target {
	return []target{
		{"10", "snapshot of 100,000 entries, with the disk", of(restart, "write-s"), "s", of(restartMost, "write-s"), "1,000,000", atMost(1)},
		{"10", "snapshot of 1,000,000 entries", of(restartMost, "write-s"), "s", of(restart, "write-s"), "100,000", atMost(10)},
		{"10", "questions meanwhile, p99", of(restart, "query-p99-ms"), "ms", of(restartMost, "query-p99-ms"), "1,000,000", atMost(50)},
		{"10", "memory meanwhile", of(restart, "more-MiB"), "MiB", of(restartMost, "more-MiB"), "1,000,000", atMost(64)},
		{"10", "restored, 100,000 entries", of(restart, "restore-s"), "s", of(restartMost, "restore-s"), "1,000,000", atMost(3)},
		{"10", "restored, 1,000,000 entries", of(restartMost, "restore-s"), "s", of(restart, "restore-s"), "100,000", atMost(15)},
		{"10", "an entry in the snapshot", of(restart, "B/entry"), "B", of(restartMost, "B/entry"), "1,000,000", atMost(400)},
	}
}

func ownTargets() []target {
	return []target{
		{"15", "scrape of 20,000 series", of(inMetrics+"Scrape/identity", cpuNS), "CPU-ns", of(inMetrics+"ScrapeConstant/identity", cpuNS), "client_golang's constant metrics", atMost(50e6)},
		{"15", "the same with gzip", of(inMetrics+"Scrape/gzip", cpuNS), "CPU-ns", of(inMetrics+"ScrapeConstant/gzip", cpuNS), "client_golang's constant metrics", atMost(50e6)},
		{"15", "memory of a scrape", of(inMetrics+"Scrape/identity", "B/op"), "B", of(inMetrics+"ScrapeConstant/identity", "B/op"), "client_golang's constant metrics", atMost(8 << 20)},
		{"", "handler wrapper of the client library, a request", most("ns/op", inHealth+"HandlerWrapper/"), "ns", of(inHealth+"HandlerTimed", "ns/op"), "taking the time", atMost(1000)},
		{"", "the same, allocations", most("allocs/op", inHealth+"HandlerWrapper/"), "", nil, "", atMost(0)},
	}
}
