package guard

import (
	"fmt"
	"testing"
	"time"
)

// clockStep uses up a quota of two an hour, lets the wall clock step while the process runs, or while it does not, and
// reports whether a third person is released a minute later.
func clockStep(t *testing.T, step, jump time.Duration, restart bool) (released bool, after func(running time.Duration) bool) {
	t.Helper()
	wall, ran := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Duration(0)
	o := options(t, t.TempDir(), 2)
	o.Now, o.Log.Running, o.Log.ClockJump = func() time.Time { return wall }, func() time.Duration { return ran }, jump
	g := open(t, o)
	release := func(i int) bool {
		_, no := ask(g, "/v1/customers/1", "partner", jsonBody(fmt.Sprintf(`{"id":%d}`, i)))
		return no == nil
	}
	if !release(1) || !release(2) {
		t.Fatal("refused within the quota")
	}
	if restart {
		g.Close()
		ran = 0
	}
	wall = wall.Add(step)
	if restart {
		g = open(t, o)
	}
	pass := func(d time.Duration) { wall, ran = wall.Add(d), ran+d }
	pass(time.Minute)
	released = release(3)
	return released, func(d time.Duration) bool {
		if _, err := g.Unblock(g.byName["partner"]); err != nil {
			t.Fatal(err)
		}
		pass(d)
		return release(4)
	}
}

// P2: a clock that is set ten years on or back gives no quota back, neither in a running process nor across a restart; the
// quota still drains by the time that really passes.
func TestClockSteps(t *testing.T) {
	const years = 10 * 365 * 24 * time.Hour
	cases := 0
	for _, step := range []time.Duration{years, -years, 8 * 24 * time.Hour, -8 * 24 * time.Hour} {
		for _, restart := range []bool{false, true} {
			released, after := clockStep(t, step, 0, restart)
			if released {
				t.Errorf("step %s, restart %t: a third person within the hour", step, restart)
			}
			if after(30 * time.Minute) {
				t.Errorf("step %s, restart %t: a third person within the hour, after half of it", step, restart)
			}
			if !after(31 * time.Minute) {
				t.Errorf("step %s, restart %t: the quota does not drain", step, restart)
			}
			cases++
		}
	}
	caught := 0
	for _, restart := range []bool{false, true} {
		if released, _ := clockStep(t, years, 2*years, restart); released {
			caught++
		}
	}
	t.Logf("clock steps: %d cases; control, a guard that believes any clock: %d of 2 show it", cases, caught)
	if caught != 2 {
		t.Error("a guard that believes any clock passes: this test shows nothing")
	}
}

// An operator may rule that the wall clock is right; that is recorded, and quotas expire by it from then on.
func TestAcceptClock(t *testing.T) {
	wall, ran := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Duration(0)
	o := options(t, t.TempDir(), 1)
	o.Now, o.Log.Running = func() time.Time { return wall }, func() time.Duration { return ran }
	g := open(t, o)
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":1}`)); no != nil {
		t.Fatal(no)
	}
	if changed, err := g.AcceptClock(); changed || err != nil {
		t.Errorf("a clock that is believed was accepted: %v", err)
	}
	wall = wall.Add(20 * 24 * time.Hour)
	if !g.ClockHeld() {
		t.Fatal("a clock twenty days ahead is believed")
	}
	if changed, err := g.AcceptClock(); !changed || err != nil || g.ClockHeld() {
		t.Fatalf("accepting: %t, %v", changed, err)
	}
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":2}`)); no != nil {
		t.Errorf("the quota did not drain by the accepted clock: %+v", no)
	}
}
