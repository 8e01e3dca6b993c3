package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ledger"
	"weir/internal/quota"
)

// live is what the guard knows of all entries so far and does not count with: the counter has the rest. It is touched only
// where the counter is.
type live struct {
	modes  map[string]bool                   // of each route, whether it observes
	grants map[weir.Pseudonym][]ledger.Grant // as they were entered, until they have expired
	last   time.Time                         // of the newest entry
	people []weir.Pseudonym                  // scratch of replay
	err    error                             // the first entry that must not be believed
}

// errGrant is an entry or a snapshot that who wrote the ledger's files did not make with the guard's key.
var errGrant = errors.New("a grant in the ledger is not signed with this guard's key: keep a copy of the ledger, and start with a new data folder")

// restore begins the counting with a snapshot.
func (g *Guard) restore(s *ledger.State) {
	for _, m := range s.Modes {
		g.live.modes[m.Route] = m.Observe
	}
	for i := range s.Principals {
		p := &s.Principals[i]
		if p.Blocked != nil {
			g.block(p.ID, p.Since, p.Blocked)
		}
		for at, ch := 0, 0; at < len(p.Members) || ch < len(p.Charges); {
			if ch == len(p.Charges) || at < len(p.Members) && !p.Charges[ch].At.Before(p.Members[at].Seen) {
				g.counter.Charge(p.Members[at].Seen, p.ID, []weir.Pseudonym{p.Members[at].DataSubject}, 0)
				at++
			} else {
				g.counter.Charge(p.Charges[ch].At, p.ID, nil, p.Charges[ch].People)
				ch++
			}
		}
		for _, grant := range p.Grants {
			g.grant(grant)
		}
	}
}

// replay repeats what an entry did.
func (g *Guard) replay(e ledger.Entry) {
	g.live.last = e.Time
	switch b := e.Body.(type) {
	case *ledger.Outcome:
		g.live.people = g.live.people[:0]
		for i := range b.Released {
			g.live.people = append(g.live.people, b.Released[i].DataSubject)
		}
		g.counter.Charge(e.Time, b.Principal, g.live.people, b.Unattached.People)
	case *ledger.Block:
		g.block(b.Principal, e.Time, b)
	case *ledger.Unblock:
		g.counter.Unblock(b.Principal)
	case *ledger.Grant:
		g.grant(*b)
	case *ledger.Mode:
		g.live.modes[b.Route] = b.Observe
	}
}

func (g *Guard) block(who weir.Pseudonym, since time.Time, b *ledger.Block) {
	g.counter.Block(who, quota.Block{
		Since: since, ByHand: b.Cause == ledger.ByHand, People: b.People, Limit: quota.Limit{Subjects: b.Quota, Window: b.Window},
	})
}

func (g *Guard) grant(x ledger.Grant) {
	if !g.keyring.VerifyText(x.Text(g.keyring.ID()), x.Signature) {
		g.live.err = errGrant
		return
	}
	g.counter.Grant(x.Principal, quota.Grant{Extra: x.People, Until: x.Until})
	g.live.grants[x.Principal] = append(g.live.grants[x.Principal], x)
}

// snapshot is the live state as the next volume opens with it. The ledger calls it while no entry is being built.
func (g *Guard) snapshot() *ledger.State {
	s := &ledger.State{}
	for route, observe := range g.live.modes {
		s.Modes = append(s.Modes, ledger.Mode{Route: route, Observe: observe})
	}
	slices.SortFunc(s.Modes, func(a, b ledger.Mode) int { return strings.Compare(a.Route, b.Route) })
	g.counter.Expire(g.live.last)
	for _, who := range g.counter.Accounts() {
		p := ledger.PrincipalState{ID: who}
		if b, ok := g.counter.Blocked(who); ok {
			p.Since = b.Since
			p.Blocked = &ledger.Block{Principal: who, Cause: ledger.ByQuota, People: b.People, Quota: b.Limit.Subjects, Window: b.Limit.Window}
			if b.ByHand {
				p.Blocked.Cause = ledger.ByHand
			}
		}
		g.counter.Members(who, func(subject weir.Pseudonym, seen time.Time) {
			p.Members = append(p.Members, ledger.Member{DataSubject: subject, Seen: seen})
		})
		g.counter.Charges(who, func(at time.Time, n int) { p.Charges = append(p.Charges, ledger.Charge{At: at, People: n}) })
		g.live.grants[who] = slices.DeleteFunc(g.live.grants[who], func(x ledger.Grant) bool { return !x.Until.After(g.live.last) })
		p.Grants = slices.Clone(g.live.grants[who])
		if p.Blocked != nil || len(p.Members)+len(p.Charges)+len(p.Grants) > 0 {
			s.Principals = append(s.Principals, p)
		}
	}
	return s
}

// append is ledger.Log.Append, and remembers the entries' time.
func (g *Guard) append(build func(now time.Time) []ledger.Body) error {
	return g.log.Append(func(now time.Time) []ledger.Body {
		bodies := build(now)
		if len(bodies) > 0 {
			g.live.last = now
		}
		return bodies
	})
}

// Grant lets a principal receive that many people more than its quotas, in each of their windows, for so long. It returns
// once that is durable. The exception is signed with the guard's key, so that nobody who can only write the files adds one.
func (g *Guard) Grant(who Principal, people int, lasts time.Duration) (until time.Time, err error) {
	if people < 1 || lasts < time.Second {
		return until, fmt.Errorf("a grant of %d people for %s: give at least one person and one second", people, lasts)
	}
	err = g.append(func(now time.Time) []ledger.Body {
		until = now.Add(lasts).Truncate(time.Millisecond)
		x := ledger.Grant{Principal: who.ID, People: people, Until: until, Issued: now}
		x.Signature = g.keyring.SignText(x.Text(g.keyring.ID()))
		g.grant(x)
		return []ledger.Body{&x}
	})
	return until, err
}
