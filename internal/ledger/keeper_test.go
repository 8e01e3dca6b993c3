package ledger

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"weir"
)

// keeper keeps the live state as a guard does, so that what a restart restores can be compared, and what a snapshot says be
// recounted.
type keeper struct {
	modes      map[string]bool
	principals map[weir.Pseudonym]*kept
	expire     time.Duration // members and charges are forgotten after this; 0 keeps them
	last       time.Time
}

type kept struct {
	block   *Block
	since   time.Time
	members map[weir.Pseudonym]time.Time
	charges []Charge
	grants  []Grant
}

func newKeeper() *keeper {
	return &keeper{modes: map[string]bool{}, principals: map[weir.Pseudonym]*kept{}}
}

func (k *keeper) of(who weir.Pseudonym) *kept {
	if k.principals[who] == nil {
		k.principals[who] = &kept{members: map[weir.Pseudonym]time.Time{}}
	}
	return k.principals[who]
}

func (k *keeper) restore(s *State) {
	for _, m := range s.Modes {
		k.modes[m.Route] = m.Observe
	}
	for _, p := range s.Principals {
		to := k.of(p.ID)
		to.block, to.since, to.charges, to.grants = p.Blocked, p.Since, slices.Clone(p.Charges), slices.Clone(p.Grants)
		for _, m := range p.Members {
			to.members[m.DataSubject] = m.Seen
		}
	}
}

func (k *keeper) replay(e Entry) { k.apply(e.Time, e.Body) }

func (k *keeper) apply(at time.Time, body Body) {
	k.last = at
	switch b := body.(type) {
	case *Outcome:
		p := k.of(b.Principal)
		for _, r := range b.Released {
			p.members[r.DataSubject] = at
		}
		if b.Unattached.People > 0 {
			p.charges = append(p.charges, Charge{at, b.Unattached.People})
		}
	case *Block:
		if p := k.of(b.Principal); p.block == nil {
			block := *b
			p.block, p.since = &block, at
		}
	case *Unblock:
		k.of(b.Principal).block = nil
	case *Grant:
		p := k.of(b.Principal)
		p.grants = append(p.grants, *b)
	case *Mode:
		k.modes[b.Route] = b.Observe
	}
}

func (k *keeper) snapshot() *State {
	s := &State{}
	for _, route := range slices.SortedFunc(maps.Keys(k.modes), strings.Compare) {
		s.Modes = append(s.Modes, Mode{route, k.modes[route]})
	}
	ids := slices.SortedFunc(maps.Keys(k.principals), func(a, b weir.Pseudonym) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		from := k.principals[id]
		p := PrincipalState{ID: id, Blocked: from.block, Charges: slices.Clone(from.charges), Grants: slices.Clone(from.grants)}
		if from.block != nil {
			p.Since = from.since
		}
		for person, seen := range from.members {
			if k.expire == 0 || seen.After(k.last.Add(-k.expire)) {
				p.Members = append(p.Members, Member{person, seen})
			}
		}
		slices.SortFunc(p.Members, func(a, b Member) int {
			if c := a.Seen.Compare(b.Seen); c != 0 {
				return c
			}
			return bytes.Compare(a.DataSubject[:], b.DataSubject[:])
		})
		s.Principals = append(s.Principals, p)
	}
	return s
}

// options are those of a ledger whose live state the keeper keeps, and which signs.
func (k *keeper) options(o Options) Options {
	o = small(o)
	o.KeyID, o.Signer, o.Known = testRing.ID(), testSigner, testRing.Verifiers()
	o.Restore, o.Replay, o.Snapshot, o.Covers = k.restore, k.replay, k.snapshot, k.expire
	return o
}

// append adds entries to the ledger and to what is kept.
func (k *keeper) append(l *Log, bodies ...Body) error {
	return l.Append(func(now time.Time) []Body {
		for _, b := range bodies {
			k.apply(now, b)
		}
		return bodies
	})
}

var testRing, testSigner, testKey = func() (*weir.Keyring, note.Signer, string) {
	ring, err := weir.NewKeyring(bytes.Repeat([]byte{1}, weir.SeedSize))
	if err != nil {
		panic(err)
	}
	signer, err := ring.Signer("guard.example.com")
	if err != nil {
		panic(err)
	}
	vkey, err := ring.VerifierKey("guard.example.com")
	if err != nil {
		panic(err)
	}
	return ring, signer, vkey
}()

// steadyClock is a wall clock that goes on by a second with each look.
func steadyClock() (now func() time.Time, running func() time.Duration) {
	var seconds atomic.Int64
	start := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return func() time.Time { return start.Add(time.Duration(seconds.Add(1)) * time.Second) },
		func() time.Duration { return time.Duration(seconds.Load()) * time.Second }
}

// keptLedger has four volumes of everything that can be in a ledger, the second with a torn tail that the third seals.
func keptLedger(t testing.TB) *memFS {
	t.Helper()
	fsys := newMemFS()
	var who, other weir.Pseudonym = weir.Pseudonym{1}, weir.Pseudonym{2}
	now, running := steadyClock()
	for life := range 4 {
		k := newKeeper()
		l, err := Open(fsys, k.options(Options{Now: now, Running: running}))
		if err != nil {
			t.Fatal(err)
		}
		add := func(bodies ...Body) {
			if err := k.append(l, bodies...); err != nil {
				t.Fatal(err)
			}
		}
		add(&Mode{Route: "GET /", Observe: life%2 == 1})
		loose := outcome("GET /loose")
		loose.Unattached = weir.Unattributed{People: 3, Classes: weir.Set(weir.Email)}
		add(outcome("GET /", subject(life, 1), subject(life, 2)), loose)
		block := outcome("GET /", subject(0, 1))
		block.Principal = other
		add(block, &Block{Principal: other, Cause: ByQuota, People: 1, Quota: 1, Window: time.Hour})
		if life == 1 {
			g := Grant{Principal: who, People: 5, Until: now().Add(time.Hour), Issued: now()}
			g.Signature = testRing.SignText(g.Text(testRing.ID()))
			add(&g, &Decision{AcceptClock, "a sample"})
		}
		if life == 2 {
			add(&Unblock{other})
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if life == 1 {
			fsys.tear(frameMagic + "torn")
		}
	}
	return fsys
}
