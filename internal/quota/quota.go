// Package quota counts the distinct data subjects that each principal receives in rolling windows, exactly.
//
// A data subject counts against a limit at time t if it was released to the principal in (t−W, t]. Reading the same person
// again costs nothing, and starts that person's time anew. So in any rolling window of length W, wherever it is laid, at
// most Subjects distinct people were released (P2); the proof is one line: the last release in the window saw them all.
//
// The package keeps no time and no file of its own: the guard calls it in the ledger's order and with the ledger's time, and
// after a restart restores it from the ledger's last snapshot and replays what follows into it.
package quota

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir"
)

// A Limit is the number of distinct data subjects that a principal may receive in any window of that length.
type Limit struct {
	Subjects int
	Window   time.Duration
}

func (l Limit) String() string { return fmt.Sprintf("%d people in %s", l.Subjects, l.Window) }

// A Block says since when and why a principal is barred.
type Block struct {
	Since  time.Time
	ByHand bool
	People int   // distinct data subjects within the window by then
	Limit  Limit // the limit that it met; zero when ordered by hand
}

// A Grant is an exception to every limit of a principal: so many people more, until a time.
type Grant struct {
	Extra int
	Until time.Time
}

// A Counter holds every principal's state.
//
// It has no lock. All calls must be made one after the other and with times in whole milliseconds that never go back for one
// principal: the guard makes them while the ledger builds an entry, which is exactly that.
type Counter struct {
	accounts map[weir.Pseudonym]*account
	horizon  time.Duration // the longest window of any limit: who was released longer ago is forgotten
}

type account struct {
	people  people
	windows []*window // one for each limit
	block   *Block
	grants  []Grant
	found   []int32 // scratch of charge
}

// NewCounter returns a counter without principals that remembers people for at least that long.
func NewCounter(horizon time.Duration) *Counter {
	return &Counter{accounts: map[weir.Pseudonym]*account{}, horizon: horizon}
}

// Limit sets the limits of a principal; all of them hold at once. It must give at least one limit, with no window longer
// than the counter's horizon.
func (c *Counter) Limit(who weir.Pseudonym, limits ...Limit) {
	a := c.account(who)
	a.windows = nil
	for _, l := range limits {
		w := &window{limit: l}
		w.recount(&a.people)
		a.windows = append(a.windows, w)
	}
}

func (c *Counter) account(who weir.Pseudonym) *account {
	a := c.accounts[who]
	if a == nil {
		a = &account{}
		c.accounts[who] = a
	}
	return a
}

// A Decision says what may be released.
type Decision struct {
	Blocked bool   // the principal is, or from now on must be, blocked
	Met     *Limit // the limit that this request met, if it did: it must lead to Block
	People  int    // with Met: distinct data subjects in that limit's window, what this decision admits included
	Refused bool   // nothing may be released
	Keep    []bool // with neither Refused nor everything kept: which of the subjects may be released; nil keeps all
}

// Admit decides about one answer and charges what it admits.
//
// The answer holds subjects, in which repeats count once, and unattributed people who cannot be named and are charged as so
// many new ones. If it does not fit every limit, then without cut nothing of it is admitted; with cut, the subjects are
// admitted that fit, in their order, the unattributed before them. The first person refused is Met: the caller must write
// the block and call Block. A principal that is blocked, or that has no limit, is refused whatever it asks.
func (c *Counter) Admit(now time.Time, who weir.Pseudonym, subjects []weir.Pseudonym, unattributed int, cut bool) Decision {
	a := c.accounts[who]
	if a == nil || a.block != nil || len(a.windows) == 0 {
		return Decision{Blocked: true, Refused: true}
	}
	var met *window
	extra := a.extra(now)
	a.expire(now, c.horizon)
	for _, w := range a.windows {
		if met == nil && !a.fits(w, extra, subjects, unattributed) {
			met = w
		}
	}
	if met == nil {
		a.charge(now, subjects, unattributed)
		return Decision{}
	}
	d := Decision{Blocked: true, Met: &met.limit, Refused: true}
	if cut && a.room(extra) >= unattributed {
		a.charge(now, nil, unattributed)
		d.Keep = make([]bool, len(subjects))
		for i, s := range subjects {
			if d.Keep[i] = a.admits(s, extra); d.Keep[i] {
				a.charge(now, subjects[i:i+1], 0)
				d.Refused = false
			}
		}
		d.Refused = d.Refused && unattributed == 0
	}
	d.People = met.used()
	return d
}

// Charge counts what was released without asking whether it fits: at replay, and in observe mode. Principals that have no
// limit are counted too: they may get one.
func (c *Counter) Charge(now time.Time, who weir.Pseudonym, subjects []weir.Pseudonym, unattributed int) {
	a := c.account(who)
	a.expire(now, c.horizon)
	a.charge(now, subjects, unattributed)
}

// Exceeds reports whether the answer would not be admitted whole, and changes nothing that counts.
func (c *Counter) Exceeds(now time.Time, who weir.Pseudonym, subjects []weir.Pseudonym, unattributed int) bool {
	a := c.accounts[who]
	if a == nil || a.block != nil || len(a.windows) == 0 {
		return true
	}
	a.expire(now, c.horizon)
	extra := a.extra(now)
	for _, w := range a.windows {
		if !a.fits(w, extra, subjects, unattributed) {
			return true
		}
	}
	return false
}

// Block bars a principal until Unblock, whatever its windows say. A block that is there already stays as it is.
func (c *Counter) Block(who weir.Pseudonym, b Block) {
	if a := c.account(who); a.block == nil {
		a.block = &b
	}
}

// Unblock lifts the block and reports whether there was one. The windows keep what they hold.
func (c *Counter) Unblock(who weir.Pseudonym) bool {
	a := c.accounts[who]
	if a == nil || a.block == nil {
		return false
	}
	a.block = nil
	return true
}

// Blocked returns the principal's block, if there is one.
func (c *Counter) Blocked(who weir.Pseudonym) (Block, bool) {
	if a := c.accounts[who]; a != nil && a.block != nil {
		return *a.block, true
	}
	return Block{}, false
}

// Used returns how much of its first limit the principal has used: distinct data subjects and unattributed ones.
func (c *Counter) Used(now time.Time, who weir.Pseudonym) int {
	a := c.accounts[who]
	if a == nil || len(a.windows) == 0 {
		return 0
	}
	a.expire(now, c.horizon)
	return a.windows[0].used()
}

// Grant adds an exception to the principal's limits.
func (c *Counter) Grant(who weir.Pseudonym, g Grant) {
	a := c.account(who)
	a.grants = append(a.grants, g)
}

// Accounts returns all principals that have a state, in the order of their pseudonyms.
func (c *Counter) Accounts() []weir.Pseudonym {
	return slices.SortedFunc(maps.Keys(c.accounts), func(x, y weir.Pseudonym) int { return bytes.Compare(x[:], y[:]) })
}

// Members calls yield for each person that the principal received within the horizon, the longest ago first.
func (c *Counter) Members(who weir.Pseudonym, yield func(subject weir.Pseudonym, seen time.Time)) {
	p := &c.account(who).people
	for at := p.oldest; at != 0; at = p.members[at].newer {
		yield(p.members[at].subject, time.UnixMilli(p.members[at].seen).UTC())
	}
}

// Charges calls yield for each charge of unattributed people within the horizon, the longest ago first.
func (c *Counter) Charges(who weir.Pseudonym, yield func(at time.Time, n int)) {
	for _, ch := range c.account(who).people.charges {
		yield(ch.at, ch.n)
	}
}

// Expire forgets what lies behind the horizon, of all principals.
func (c *Counter) Expire(now time.Time) {
	for _, a := range c.accounts {
		a.expire(now, c.horizon)
	}
}

func (a *account) expire(now time.Time, horizon time.Duration) {
	for _, w := range a.windows {
		w.expire(now, &a.people)
	}
	if gone := a.people.expire(now.Add(-horizon)); gone > 0 {
		for _, w := range a.windows {
			w.firstCharge -= gone
		}
	}
}

// extra is what the grants that are in force add to each limit.
func (a *account) extra(now time.Time) (n int) {
	a.grants = slices.DeleteFunc(a.grants, func(g Grant) bool { return !g.Until.After(now) })
	for _, g := range a.grants {
		n += g.Extra
	}
	return n
}

// fits reports whether all of that may be released together under one limit.
func (a *account) fits(w *window, extra int, subjects []weir.Pseudonym, unattributed int) bool {
	room := w.limit.Subjects + extra - w.used() - unattributed
	if room >= len(subjects) {
		return true
	}
	fresh := make(map[weir.Pseudonym]struct{}, max(room, 0)+1)
	for _, s := range subjects {
		if !w.has(&a.people, a.people.find(s)) {
			fresh[s] = struct{}{}
			if len(fresh) > room {
				return false
			}
		}
	}
	return room >= 0
}

func (a *account) charge(now time.Time, subjects []weir.Pseudonym, unattributed int) {
	a.found = a.people.findAll(a.found[:0], subjects)
	for i, s := range subjects {
		at := a.found[i]
		if at == 0 {
			at = a.people.find(s) // it may have come twice
		}
		a.touch(now, s, at)
	}
	if unattributed > 0 {
		a.people.charges = append(a.people.charges, charge{now, unattributed})
		for _, w := range a.windows {
			w.unattributed += unattributed
		}
	}
}

// touch makes the subject the newest member, last released now. at is its place, or 0.
func (a *account) touch(now time.Time, s weir.Pseudonym, at int32) {
	p := &a.people
	for _, w := range a.windows {
		switch {
		case !w.has(p, at):
			w.members++
		case w.oldest == at && p.members[at].newer != 0:
			w.oldest = p.members[at].newer
		}
	}
	if at == 0 {
		at = p.add(s)
	} else {
		p.unlink(at)
	}
	p.members[at].seen = now.UnixMilli()
	p.link(at)
	for _, w := range a.windows {
		if w.oldest == 0 {
			w.oldest = at
		}
	}
}

// room is what the tightest limit has left.
func (a *account) room(extra int) int {
	least := a.windows[0].limit.Subjects + extra - a.windows[0].used()
	for _, w := range a.windows[1:] {
		least = min(least, w.limit.Subjects+extra-w.used())
	}
	return least
}

// admits reports whether every limit has room for the subject, or has it already.
func (a *account) admits(s weir.Pseudonym, extra int) bool {
	at := a.people.find(s)
	for _, w := range a.windows {
		if !w.has(&a.people, at) && w.used() >= w.limit.Subjects+extra {
			return false
		}
	}
	return true
}
