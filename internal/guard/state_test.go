package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/ledger"
	"weir/internal/quota"
)

// P2: whatever happened before, a restart comes to the same members with the same times, blocks, charges, grants and modes;
// though volumes are so small that most of it began in one that a restart does not read.
func TestRestartRestoresTheLiveState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		o := options(t, path, 8)
		o.Quotas = append(o.Quotas, quota.Rule{Principal: "other", Limit: quota.Limit{Subjects: 4, Window: 20 * time.Minute}})
		o.Now = func() time.Time { return now }
		o.Log = ledger.Options{VolumeSize: 1500, Ahead: 500, Running: func() time.Duration { return now.Sub(time.Time{}) }}
		var before *ledger.State
		for range rapid.IntRange(2, 4).Draw(rt, "lives") {
			g, err := Open(o)
			if err != nil {
				rt.Fatal(err)
			}
			if before != nil {
				if diff := cmp.Diff(before, g.snapshot(), cmpopts.IgnoreUnexported(ledger.State{}), cmpopts.EquateEmpty()); diff != "" {
					rt.Fatal(diff)
				}
			}
			for range rapid.IntRange(1, 25).Draw(rt, "requests") {
				now = now.Add(time.Duration(rapid.IntRange(0, 9*60_000).Draw(rt, "wait")) * time.Millisecond)
				act(rt, g)
			}
			before = g.snapshot()
			if err := g.Close(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func act(rt *rapid.T, g *Guard) {
	caller := rapid.SampledFrom([]string{"partner", "other", ""}).Draw(rt, "caller")
	id := rapid.IntRange(1, 12).Draw(rt, "person")
	who := g.byName["partner"]
	switch rapid.IntRange(0, 9).Draw(rt, "act") {
	case 0:
		if _, err := g.Block(who); err != nil {
			rt.Fatal(err)
		}
	case 1, 2:
		if _, err := g.Unblock(who); err != nil {
			rt.Fatal(err)
		}
	case 3:
		if _, err := g.Grant(who, 3, time.Hour); err != nil {
			rt.Fatal(err)
		}
	case 4:
		ask(g, "/v1/watched/1", caller, jsonBody(fmt.Sprintf(`{"id":%d}`, id)))
	case 5:
		ask(g, "/elsewhere", caller, jsonBody(`{"email":"sample@example.com"}`))
	case 6:
		ask(g, "/v1/customers", caller, jsonBody(fmt.Sprintf(`{"items":[{"id":%d},{"id":%d}]}`, id, id+3)))
	default:
		ask(g, "/v1/customers/1", caller, jsonBody(fmt.Sprintf(`{"id":%d}`, id)))
	}
}

// A grant lets through what it says and for so long, also after a restart; one that is not signed with the key stops the start.
func TestGrants(t *testing.T) {
	path := t.TempDir()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	o := options(t, path, 2)
	o.Now, o.Log.Running = func() time.Time { return now }, func() time.Duration { return now.Sub(time.Time{}) }
	g := open(t, o)
	who := g.byName["partner"]
	if _, err := g.Grant(who, 2, 30*time.Minute); err != nil {
		t.Fatal(err)
	}
	released := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(fmt.Sprintf(`{"id":%d}`, i))); no == nil {
				n++
			}
		}
		return n
	}
	if n := released(0, 3); n != 3 {
		t.Fatalf("%d released with a grant", n)
	}
	g.Close()
	g = open(t, o)
	if n := released(3, 6); n != 1 {
		t.Errorf("%d released after the restart, want 1", n)
	}
	if _, err := g.Unblock(who); err != nil {
		t.Fatal(err)
	}
	now = now.Add(31 * time.Minute)
	if n := released(6, 7); n != 0 {
		t.Error("an expired grant lets through")
	}
	g.Close()

	l, err := ledger.Open(ledger.Dir(path), ledger.Options{KeyID: o.Keyring.ID(), Snapshot: g.snapshot})
	if err != nil {
		t.Fatal(err)
	}
	forged := ledger.Grant{Principal: who.ID, People: 1000, Until: now.Add(time.Hour), Issued: now}
	if err := l.Append(func(time.Time) []ledger.Body { return []ledger.Body{&forged} }); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Open(o); err == nil {
		t.Error("a grant that nobody signed was taken")
	}
}

// A quota of a year, and a block, outlive the volumes that they began in: those can be gone.
func TestQuotaOutlivesItsVolumes(t *testing.T) {
	path := t.TempDir()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	o := options(t, path, 3)
	o.Quotas = quota.Rules{{Principal: quota.Everyone, Limit: quota.Limit{Subjects: 3, Window: 365 * 24 * time.Hour}}}
	o.Now, o.Log.Running = func() time.Time { return now }, func() time.Duration { return now.Sub(time.Time{}) }
	for day := range 3 {
		g := open(t, o)
		if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(fmt.Sprintf(`{"id":%d}`, day))); no != nil {
			t.Fatal(no)
		}
		if day == 0 {
			if _, err := g.Block(g.byName["other"]); err != nil {
				t.Fatal(err)
			}
		}
		g.Close()
		now = now.Add(24 * time.Hour)
	}
	g := open(t, o) // reads the third volume only: those that hold the entries are not opened
	for _, name := range []string{"00000001.weir", "00000002.weir", "00000003.weir"} {
		if err := os.Remove(filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":1}`)); no != nil {
		t.Errorf("a person within the year is refused: %+v", no)
	}
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":9}`)); no == nil || no.Reason != weir.QuotaExceeded {
		t.Errorf("the fourth person of the year is released: %+v", no)
	}
	if _, no := g.Begin(request("/v1/customers/1", "other")); no == nil || no.Reason != weir.Blocked {
		t.Errorf("the block went with its volume: %+v", no)
	}
}
