// Package health lets a go-micro service tell the monitoring service how it is:
// what its checks say, that it started, runs or stopped, what it uses and how its
// endpoints do.
//
// Three lines are enough in an existing service:
//
//	reporter := health.NewReporter(service)
//	reporter.Check("go.micro.healthcheck.db", "the database answers", pingDB)
//	service.Init(micro.AfterStart(reporter.Start), micro.BeforeStop(reporter.Stop))
//
// where pingDB asks the database and may add what is worth showing:
//
//	func pingDB(ctx context.Context) (map[string]string, error) {
//		err := db.PingContext(ctx)
//		return map[string]string{"open": strconv.Itoa(db.Stats().OpenConnections)}, err
//	}
//
// An error makes the check ERROR; one made by [Warning] makes it WARNING. To have
// requests counted as well, give service.Init two more options:
//
//	micro.WrapHandler(reporter.HandlerWrapper()), micro.WrapClient(reporter.ClientWrapper())
//
// # What to expect
//
// Each check runs every ten seconds ([WithInterval], [Check.Interval]), never
// beside itself, for five seconds at most ([Check.Timeout]). A function that does
// not return in time is published as an error, again and again until it returns;
// so is one that panics. Status and stats are published as often.
//
// Nothing here blocks a request: the wrappers count in memory, and events wait in
// a queue that holds the newest one of each check. While the broker is away or
// hangs, older ones give way; when it is back, the newest leave. [Reporter.Close]
// says STOPPED and takes two seconds at most, whatever the broker does.
//
// Events may be lost on their way: neither of go-micro's brokers confirms them.
// The next one follows within an interval.
//
// # Tests
//
// [WithPublisher] takes anything with the one method of [Publisher], so the test
// of a service needs no broker. All timers stand still in the bubble of
// testing/synctest.
package health
