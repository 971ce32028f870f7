package monitor

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microhq/monitor-srv/internal/testkit"
	"github.com/microhq/monitor-srv/text"
)

// A restart after each result notifies of what an instance without one notifies of, at
// the same result.
// Faults: T49, U7.
func TestStreaksGoOnOverRestarts(t *testing.T) {
	const confirm = "failures_before_alert = 3\nsuccesses_before_recover = 3"
	for name, c := range map[string]struct{ keys, results, want string }{
		"failure":               {confirm, "+--", ""},
		"failure is confirmed":  {confirm, "+---", "m:fail"},
		"failure at the start":  {confirm, "---", "m:fail"},
		"success in between":    {confirm, "--+--+", ""},
		"success":               {confirm, "---++", "m:fail"},
		"success is confirmed":  {confirm, "---+++", "m:fail m:recover"},
		"failure in between":    {confirm, "---++-++", "m:fail"},
		"warnings that fail":    {"failures_before_alert = 2\n" + warningsFail, "!!", "m:fail"},
		"error after a warning": {warningsFail, "!!-", "m:fail m:repeat"},
		"nofm":                  {"[monitor.filter]\ntype = \"nofm\"\n", "-+-++-+--", "m:fail"},
		"consecutive":           {"[monitor.filter]\ntype = \"consecutive\"\n", "--+---+++", "m:fail m:recover"},
	} {
		withAndWithoutRestarts(t, name, func(t *testing.T, restarts bool) {
			rest := c.results
			files := monitorTOML("m", "interval = 10\n"+c.keys)
			var got []string
			l := startInstance(t, testkit.NewMemDisk(), files)
			for range c.results {
				l.setProbe(probing(&rest))
				time.Sleep(10 * time.Second) // one probe
				if restarts {
					got = append(got, eventsOf(l.sent())...)
					l = l.restart(t, files, 5*time.Minute)
				}
			}
			got = append(got, eventsOf(l.sent())...)
			if strings.Join(got, " ") != c.want {
				t.Errorf("notified %q, want %q", got, c.want)
			}
			l.stop()
		})
	}
}

// What a changed definition keeps is the same whether it changes while the instance runs
// or while it does not: not the streak and not the filter.
func TestChangedDefinitionKeepsTheSameOverAReloadAndARestart(t *testing.T) {
	const filter = "[monitor.filter]\ntype = \"max\"\n"
	before := monitorTOML("m", "interval = 10\nmax = 10\nfailures_before_alert = 3\n"+filter)
	for name, c := range map[string]struct {
		files string
		want  string // the value and the notifications after one good and two bad results
	}{
		"unchanged":        {before, "50 m:fail"},
		"a comment":        {"# a comment\n" + before, "50 m:fail"},
		"another label":    {before + "[monitor.labels]\na = \"b\"\n", "30 "},
		"another filter":   {strings.Replace(before, "\"max\"", "\"median\"", 1), "25 "},
		"fewer are needed": {strings.Replace(before, "alert = 3", "alert = 2", 1), "30 m:fail"},
	} {
		withAndWithoutRestarts(t, name, func(t *testing.T, restarts bool) {
			l := startInstance(t, testkit.NewMemDisk(), before)
			l.setProbe(returning(50))
			time.Sleep(20 * time.Second)
			was := l.List(Filter{})[0]
			if restarts {
				l = l.restart(t, c.files, time.Minute)
			} else {
				l.mustApply(t, c.files)
			}
			is := l.List(Filter{})[0]
			if is.ID != was.ID || is.Probes != was.Probes || is.Failures != was.Failures || is.State != was.State ||
				!is.Since.Equal(was.Since) || !is.LastProbe.Equal(was.LastProbe) || is.Value != was.Value || is.Error != was.Error {
				t.Errorf("it was %+v and is %+v", was, is)
			}
			l.setProbe(returning(20))
			time.Sleep(10 * time.Second)
			l.setProbe(returning(30))
			time.Sleep(10 * time.Second)
			if got := text.Number(l.List(Filter{})[0].Value) + " " + l.sentEvents(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			l.stop()
		})
	}
}

// Whoever was notified of a start, and wants to be only once the monitor is good, is not
// notified again after a restart. Who was not is.
// Faults: U2.
func TestRestartsAreNoStarts(t *testing.T) {
	for name, c := range map[string]struct {
		results, later string
		refused        bool
		want           string // of the second instance
	}{
		"notified":      {"+", "+", false, ""},
		"failed first":  {"-", "-+", false, "m:recover"},
		"no result yet": {"", "+", false, "m:init"},
		"not delivered": {"+", "+", true, "m:init"},
	} {
		inBubble(t, name, func(t *testing.T) {
			l := startInstance(t, testkit.NewMemDisk(), startMonitor(""))
			if c.refused {
				l.setDeliver(unavailable)
			}
			if c.results != "" {
				l.setProbe(results(c.results))
				time.Sleep(time.Minute)
			}
			l = l.restart(t, startMonitor(""), time.Hour)
			l.setProbe(results(c.later))
			time.Sleep(5 * time.Minute)
			if got := l.notifiedTo("once good"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := l.notifiedTo("at once"); !strings.HasPrefix(got, "m:init") {
				t.Errorf("who wants every start got %q", got)
			}
			l.stop()
		})
	}
}

// The snapshot is up to ten seconds older than what the ledger says of incidents.
// Faults: T14, T49.
func TestOlderSnapshotInventsNoChange(t *testing.T) {
	const confirm = "failures_before_alert = 3\nsuccesses_before_recover = 3"
	for name, c := range map[string]struct{ keys, before, after, restarted, want string }{
		"failed since":               {"", "+", "-", "-", ""},
		"failed since, and recovers": {"", "+", "-", "+", "m:recover"},
		"recovered since":            {"", "-", "+", "+", ""},
		"recovered since, and fails": {"", "-", "+", "-", "m:fail"},
		"failed again since":         {"", "-", "+-", "-", ""},
		"almost recovered":           {confirm, "---++", "+---", "++", ""},
		"recovery was confirmed":     {confirm, "---++", "+", "--", ""},
		"failure was confirmed":      {confirm, "--", "-", "++", ""},
		"reminded since":             {"repeat = 40", "--", "---", "------", "m:repeat"},
	} {
		inBubble(t, name, func(t *testing.T) {
			files := monitorTOML("m", "interval = 10\n"+c.keys)
			l := startInstance(t, testkit.NewMemDisk(), files)
			probe := func(of string) { // once for each result
				l.setProbe(results(of))
				time.Sleep(time.Duration(len(of)) * 10 * time.Second)
			}
			probe(c.before)
			older := snapshotOf(t, l.Group)
			probe(c.after)
			l = l.restartWith(t, files, time.Minute, older)
			probe(c.restarted)
			if got := l.sentEvents(); got != c.want || got != "" && l.sent()[0].Incident == "" {
				t.Errorf("notified %q, want %q: %+v", got, c.want, l.sent())
			}
			l.stop()
		})
	}
}

// Reminders keep their interval over restarts that are more frequent, and none is sent
// twice because the snapshot does not know of it.
// Faults: T49.
func TestRemindersKeepTheirIntervalOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := monitorTOML("m", "interval = 10\nrepeat = 3600")
		l := startInstance(t, testkit.NewMemDisk(), files)
		var got []string
		for range 10 {
			l.setProbe(results("-"))
			time.Sleep(14 * time.Minute)
			older := snapshotOf(t, l.Group)
			time.Sleep(time.Minute)
			got = append(got, eventsOf(l.sent())...)
			l = l.restartWith(t, files, 5*time.Minute, older)
		}
		l.stop()
		if got := strings.Join(got, " "); got != "m:fail m:repeat m:repeat m:repeat" { // in 200 minutes
			t.Errorf("notified %q", got)
		}
	})
}

// The duration of an incident is right after a restart although the wall clock is not, and
// so is the number of its failures, which is written with each change only.
func TestIncidentsLastAsLongAsTheyDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := monitorTOML("m", "interval = 10")
		l := startInstance(t, testkit.NewMemDisk(), files)
		l.setProbe(down)
		time.Sleep(time.Hour)
		records := snapshotOf(t, l.Group)
		d := l.kill() // and the clock goes back by as much as the instance is down
		l = startAfter(t, d, files, recalling(t, records, 2*time.Hour))
		if i := l.List(Filter{})[0]; !i.Failing || i.Error != errDown.Error() {
			t.Errorf("after the restart it is %+v", i)
		}
		time.Sleep(time.Minute)
		n := l.sent()
		if len(n) != 1 || n[0].Event != "recover" || n[0].Duration.Round(time.Minute) != 3*time.Hour || n[0].Failures != 360 {
			t.Errorf("notified %+v, want one recovery after 3h and 360 failures", n)
		}
		l.stop()
	})
}

// A monitor whose file is broken for a while, even over two restarts, has lost nothing.
// One that has the name of another is not that.
func TestRecordsWaitForTheirMonitors(t *testing.T) {
	const registration = `{"name": "m", "interval": 10, "probe": {"type": "fake"}}`
	file := monitorTOML("m", "interval = 10")
	probes := func(l *instance) (n int64) {
		for _, i := range l.List(Filter{Name: "m"}) {
			n = i.Probes
		}
		return n
	}
	for name, c := range map[string]struct {
		absent, down time.Duration

		back func(t *testing.T, l *instance)
		want bool
	}{
		"an hour":                {time.Hour, time.Minute, func(t *testing.T, l *instance) { l.mustApply(t, file) }, true},
		"days":                   {3 * 24 * time.Hour, time.Minute, func(t *testing.T, l *instance) { l.mustApply(t, file) }, false},
		"days without a process": {time.Minute, 3 * 24 * time.Hour, func(t *testing.T, l *instance) { l.mustApply(t, file) }, false},
		"as a registered one": {time.Minute, time.Minute, func(t *testing.T, l *instance) {
			if _, err := l.Register(mustParse(t, registration)); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		inBubble(t, name, func(t *testing.T) {
			l := startInstance(t, testkit.NewMemDisk(), file)
			time.Sleep(time.Minute)
			l = l.restart(t, "", time.Minute)
			time.Sleep(c.absent / 2)
			l = l.restart(t, "", c.down)
			time.Sleep(c.absent / 2)
			c.back(t, l)
			if n := probes(l); n > 0 != c.want {
				t.Errorf("it counts %d probes of before", n)
			}
			l.stop()
		})
	}
}

// A monitor that was unregistered and registered again since the snapshot has its own id.
// Faults: T49.
func TestRegisteredAgainIsAnotherMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startInstance(t, testkit.NewMemDisk(), "")
		first, _ := register(t, l.bench, "m"), register(t, l.bench, "n")
		time.Sleep(10 * time.Minute)
		older := snapshotOf(t, l.Group)
		if err := l.Unregister(first); err != nil {
			t.Fatal(err)
		}
		second := register(t, l.bench, "m")
		l = startAfter(t, l.kill(), "", func(g *Group) {
			recalling(t, older, time.Minute)(g)
			if errs := g.Restore(allowAll); len(errs) > 0 {
				t.Error(errs)
			}
		})
		m, n := l.List(Filter{Name: "m"})[0], l.List(Filter{Name: "n"})[0]
		if m.ID != second || m.Probes != 0 || m.State != Unknown || n.Probes == 0 || n.State != OK {
			t.Errorf("after the restart %+v, %+v", m, n)
		}
		l.stop()
	})
}

// The last snapshot is written when all probes have ended, and has the filters all the
// same. One of a stopped monitor has none: it begins anew when it is started.
func TestLastSnapshotHasTheFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := manyMonitors(2, "interval = 10\nmax = 100\n[monitor.filter]\ntype = \"max\"")
		l := startInstance(t, testkit.NewMemDisk(), files)
		l.setProbe(returning(50))
		time.Sleep(time.Minute)
		if err := l.Stop(l.List(Filter{Name: "m1"})[0].ID); err != nil {
			t.Fatal(err)
		}
		l.stop()
		l = startAfter(t, l.disk, files, recalling(t, snapshotOf(t, l.Group), time.Minute))
		l.setProbe(returning(1))
		if got := l.states(); got != "1:m0:OK 2:m1:STOPPED" {
			t.Errorf("after the start %s", got)
		}
		if err := l.Start(2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if m := l.List(Filter{}); m[0].Value != 50 || m[1].Value != 1 {
			t.Errorf("the values are %v and %v, want 50 and 1", m[0].Value, m[1].Value)
		}
		l.stop()
	})
}
