package quota

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	alice = weir.Pseudonym{0xa}
)

func subjects(ids ...int) []weir.Pseudonym {
	var out []weir.Pseudonym
	for _, id := range ids {
		out = append(out, weir.Pseudonym{1, byte(id >> 8), byte(id)})
	}
	return out
}

func limited(limits ...Limit) *Counter {
	horizon := time.Duration(0)
	for _, l := range limits {
		horizon = max(horizon, l.Window)
	}
	c := NewCounter(horizon)
	c.Limit(alice, limits...)
	return c
}

// release is one admitted release in the model: the whole history is kept and counted anew each time.
type release struct {
	at           time.Time
	subject      weir.Pseudonym
	unattributed int
}

func usedIn(history []release, end time.Time, w time.Duration, extra ...weir.Pseudonym) int {
	people, n := map[weir.Pseudonym]bool{}, 0
	for _, r := range history {
		if r.at.After(end.Add(-w)) && !r.at.After(end) {
			if r.unattributed > 0 {
				n += r.unattributed
			} else {
				people[r.subject] = true
			}
		}
	}
	for _, s := range extra {
		people[s] = true
	}
	return len(people) + n
}

// P2: against a model that keeps the whole history, whatever is asked: no window anywhere ever holds more than its limit,
// nothing that fits is refused, and the first refusal blocks.
func TestCounterEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := []Limit{
			{rapid.IntRange(0, 12).Draw(t, "first limit"), time.Duration(rapid.IntRange(1, 30).Draw(t, "first window")) * time.Second},
			{rapid.IntRange(0, 20).Draw(t, "second limit"), time.Duration(rapid.IntRange(20, 100).Draw(t, "second window")) * time.Second},
		}
		c := limited(limits...)
		var history []release
		now, blocked := start, false
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "wait")) * time.Second)
			if blocked && rapid.Bool().Draw(t, "unblock") {
				blocked = !c.Unblock(alice)
			}
			ask := subjects(rapid.SliceOfN(rapid.IntRange(0, 25), 0, 6).Draw(t, "people")...)
			unattributed := rapid.SampledFrom([]int{0, 0, 0, 1, 3}).Draw(t, "unattributed")
			cut := rapid.Bool().Draw(t, "cut")
			fits := !blocked
			for _, l := range limits {
				fits = fits && usedIn(history, now, l.Window, ask...)+unattributed <= l.Subjects
			}
			if got := c.Exceeds(now, alice, ask, unattributed); got == fits {
				t.Fatalf("Exceeds says %t, the model says it fits: %t", got, fits)
			}
			d := c.Admit(now, alice, ask, unattributed, cut)
			if blocked && !(d.Refused && d.Met == nil) {
				t.Fatalf("a blocked principal was answered %+v", d)
			}
			if fits != (!d.Refused && d.Keep == nil && d.Met == nil) {
				t.Fatalf("fits: %t, decision: %+v", fits, d)
			}
			if d.Refused {
				if !blocked && d.Met == nil {
					t.Fatal("refused without saying which limit was met")
				}
			} else {
				if unattributed > 0 {
					history = append(history, release{at: now, unattributed: unattributed})
				}
				for i, s := range ask {
					if d.Keep == nil || d.Keep[i] {
						history = append(history, release{at: now, subject: s})
					} else if slices.ContainsFunc(history, func(r release) bool { return r.at.Equal(now) && r.subject == s }) {
						t.Fatal("a person who was released in the same answer was cut from it")
					}
				}
			}
			if d.Met != nil {
				if d.People > d.Met.Subjects {
					t.Fatalf("says that %d people were released, limit %s", d.People, d.Met)
				}
				c.Block(alice, Block{Since: now, People: d.People, Limit: *d.Met})
				blocked = true
			}
			// A window may be laid anywhere; its count changes only where it ends at a release.
			for _, r := range history {
				for _, l := range limits {
					if n := usedIn(history, r.at, l.Window); n > l.Subjects {
						t.Fatalf("%d people within %s", n, l)
					}
				}
			}
			if want := usedIn(history, now, limits[0].Window); c.Used(now, alice) != want {
				t.Fatalf("used %d, model %d", c.Used(now, alice), want)
			}
		}
	})
}

func TestCutReleasesWhatFits(t *testing.T) {
	c := limited(Limit{3, time.Hour})
	c.Admit(start, alice, subjects(1), 0, true)
	d := c.Admit(start, alice, subjects(2, 3, 4, 1, 5, 2), 0, true)
	if want := []bool{true, true, false, true, false, true}; !slices.Equal(d.Keep, want) || d.Refused || d.Met == nil || d.People != 3 {
		t.Errorf("got %+v, want to keep %v", d, want)
	}
	if d := limited(Limit{2, time.Hour}).Admit(start, alice, subjects(1, 2), 3, true); !d.Refused || d.People != 0 {
		t.Errorf("unattributed people beyond the limit: %+v", d)
	}
}

// The block stays when the windows have long drained, refuses people who were released before, and Unblock gives nothing back.
func TestBlockIsSticky(t *testing.T) {
	c := limited(Limit{1, time.Minute})
	c.Admit(start, alice, subjects(1), 0, false)
	if d := c.Admit(start, alice, subjects(2), 0, false); d.Met == nil || !d.Refused {
		t.Fatalf("over the limit: %+v", d)
	}
	c.Block(alice, Block{Since: start, Limit: Limit{1, time.Minute}})
	c.Block(alice, Block{Since: start.Add(time.Second), ByHand: true})
	if b, ok := c.Blocked(alice); !ok || b.ByHand {
		t.Errorf("a second block replaced the first: %+v", b)
	}
	if d := c.Admit(start.Add(24*time.Hour), alice, subjects(1), 0, false); !d.Refused {
		t.Error("the block drained with the window")
	}
	if !c.Unblock(alice) || c.Unblock(alice) {
		t.Error("unblock does not say whether there was a block")
	}
	if d := c.Admit(start.Add(time.Second), alice, subjects(2), 0, false); !d.Refused {
		t.Error("unblock gave back a used quota")
	}
	if d := c.Admit(start.Add(time.Minute), alice, subjects(2), 0, false); d.Refused {
		t.Error("a drained window refuses")
	}
}

// P9: who has no limit is not without limits.
func TestUnknownPrincipalIsRefused(t *testing.T) {
	c := NewCounter(100 * time.Hour)
	if d := c.Admit(start, alice, nil, 0, false); !d.Refused || !c.Exceeds(start, alice, nil, 0) {
		t.Errorf("a principal without a limit was admitted: %+v", d)
	}
	c.Charge(start, alice, subjects(1), 0)
	c.Block(alice, Block{}) // a block without limits, as replay meets it, is kept
	c.Limit(alice, Limit{5, time.Hour})
	if d := c.Admit(start, alice, nil, 0, false); !d.Refused {
		t.Error("a block was lost when limits were set")
	}
}

func TestRules(t *testing.T) {
	rules := Rules{
		{Everyone, Limit{500, 24 * time.Hour}},
		{weir.Unverified, Limit{50, 24 * time.Hour}},
		{"partner-a", Limit{100, time.Hour}},
		{"partner-a", Limit{1000, 24 * time.Hour}},
	}
	if err := rules.Check(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		pooled bool
		want   int
		n      int
	}{
		{"partner-a", false, 100, 2}, {"partner-b", false, 500, 1}, {"unverified GET /", true, 50, 1}, {weir.Unverified, false, 50, 1},
	} {
		if got := rules.For(tt.name, tt.pooled); len(got) != tt.n || got[0].Subjects != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for name, bad := range map[string]Rules{
		"nobody covered": {{"partner-a", Limit{1, time.Hour}}},
		"no rule":        nil,
		"no window":      {{Everyone, Limit{1, 0}}},
		"negative":       {{Everyone, Limit{-1, time.Hour}}},
		"no principal":   {{"", Limit{1, time.Hour}}, {Everyone, Limit{1, time.Hour}}},
	} {
		if bad.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
