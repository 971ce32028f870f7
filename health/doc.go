// Package health publishes the health of a go-micro service: the results of its
// health checks, its status (started, running, stopped), the resources it uses, and
// how its endpoints perform. monitor-srv, the monitoring service, collects these
// events from the broker.
//
// An existing service needs three lines:
//
//	reporter := health.NewReporter(service)
//	reporter.Check("go.micro.healthcheck.db", "the database answers", pingDB)
//	service.Init(micro.AfterStart(reporter.Start), micro.BeforeStop(reporter.Stop))
//
// pingDB is the check. It returns results to show, if any, and an error:
//
//	func pingDB(ctx context.Context) (map[string]string, error) {
//		err := db.PingContext(ctx)
//		return map[string]string{"open": strconv.Itoa(db.Stats().OpenConnections)}, err
//	}
//
// The check is OK if the error is nil, WARNING if the error was made by [Warning],
// and otherwise ERROR. To count requests too, give service.Init two more options:
//
//	micro.WrapHandler(reporter.HandlerWrapper()), micro.WrapClient(reporter.ClientWrapper())
//
// # What is published
//
// Each check runs every ten seconds and is published after each run. The status and
// stats of the node are published at the same interval. [WithInterval] changes the
// interval for all of them, [Check.Interval] for one check.
//
// A check never runs twice at once. One that has not returned after five seconds
// ([Check.Timeout]) is published as ERROR, and again each interval until it returns.
// One that panics is published as ERROR too.
//
// # While the broker is away
//
// Requests, checks and the start of the service never wait for the broker. Events
// wait in a queue that holds the newest one of each check, the newest status and the
// newest stats; a newer event replaces an older one. The Reporter retries with
// pauses of 0.1 s to 5 s, and sends what is queued when the broker is back. If the
// broker hangs, a call is abandoned after five seconds ([WithPublishTimeout]), and at
// most four calls hang at once.
//
// [Reporter.Close] publishes STOPPED and returns within two seconds, whatever the
// broker does. The Reporter logs when publishing begins to fail and when it works
// again; [Reporter.Counters] counts failures and losses.
//
// Neither the http broker nor the NATS broker of go-micro confirms that an event
// arrived, so an event can be lost without an error. The next one follows within an
// interval.
//
// # Cost
//
// [Reporter.HandlerWrapper] adds less than a microsecond and no allocation to a
// request. A Reporter has two goroutines, and one more for each check while it runs
// and for each call of the broker. A node with ten checks publishes 1.2 events a
// second at the default interval, each of about 250 bytes. The package requires
// go-micro and protobuf, and no other module.
//
// # Tests
//
// A [Publisher] has one method, so the test of a service needs no broker: give
// [WithPublisher] a [PublisherFunc]. All timers obey the fake clock of
// testing/synctest.
package health
