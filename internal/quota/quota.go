// Package quota counts the distinct data subjects that each principal receives in rolling windows, exactly.
//
// A data subject counts against a limit at time t if it was released to the principal in (t−W, t]. Reading the same person
// again costs nothing, and starts that person's time anew. So in any rolling window of length W, wherever it is laid, at
// most Subjects distinct people were released (P2); the proof is one line: the last release in the window saw them all.
//
// The package keeps no time and no file of its own: the guard calls it in the ledger's order and with the ledger's time, and
// after a restart replays the ledger into it.
package quota

import (
	"fmt"
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

// A Counter holds every principal's state.
//
// It has no lock. All calls must be made one after the other and with times that never go back: the guard makes them while
// the ledger builds an entry, which is exactly that.
type Counter struct {
	accounts map[weir.Pseudonym]*account
}

type account struct {
	windows []*window // one for each limit
	block   *Block
}

// NewCounter returns a counter without principals.
func NewCounter() *Counter { return &Counter{accounts: map[weir.Pseudonym]*account{}} }

// Limit sets the limits of a principal; all of them hold at once. It must be called before the principal's first release is
// replayed or admitted, and it must give at least one limit.
func (c *Counter) Limit(who weir.Pseudonym, limits ...Limit) {
	a := c.account(who)
	a.windows = nil
	for _, l := range limits {
		a.windows = append(a.windows, newWindow(l))
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
	for _, w := range a.windows {
		w.expire(now)
		if met == nil && !w.fits(subjects, unattributed) {
			met = w
		}
	}
	if met == nil {
		a.charge(now, subjects, unattributed)
		return Decision{}
	}
	d := Decision{Blocked: true, Met: &met.limit, Refused: true}
	if cut && a.room() >= unattributed {
		a.charge(now, nil, unattributed)
		d.Keep = make([]bool, len(subjects))
		for i, s := range subjects {
			if d.Keep[i] = a.admits(s); d.Keep[i] {
				a.charge(now, subjects[i:i+1], 0)
				d.Refused = false
			}
		}
		d.Refused = d.Refused && unattributed == 0
	}
	d.People = met.used()
	return d
}

// Charge counts what was released without asking whether it fits: at replay, and in observe mode.
func (c *Counter) Charge(now time.Time, who weir.Pseudonym, subjects []weir.Pseudonym, unattributed int) {
	if a := c.accounts[who]; a != nil {
		for _, w := range a.windows {
			w.expire(now)
		}
		a.charge(now, subjects, unattributed)
	}
}

// Exceeds reports whether the answer would not be admitted whole, and changes nothing that counts.
func (c *Counter) Exceeds(now time.Time, who weir.Pseudonym, subjects []weir.Pseudonym, unattributed int) bool {
	a := c.accounts[who]
	if a == nil || a.block != nil || len(a.windows) == 0 {
		return true
	}
	for _, w := range a.windows {
		w.expire(now)
		if !w.fits(subjects, unattributed) {
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
	a.windows[0].expire(now)
	return a.windows[0].used()
}

func (a *account) charge(now time.Time, subjects []weir.Pseudonym, unattributed int) {
	for _, w := range a.windows {
		for _, s := range subjects {
			w.touch(now, s)
		}
		w.addUnattributed(now, unattributed)
	}
}

// room is what the tightest limit has left.
func (a *account) room() int {
	least := a.windows[0].limit.Subjects - a.windows[0].used()
	for _, w := range a.windows[1:] {
		least = min(least, w.limit.Subjects-w.used())
	}
	return least
}

// admits reports whether every limit has room for the subject, or has it already.
func (a *account) admits(s weir.Pseudonym) bool {
	for _, w := range a.windows {
		if w.members[s] == nil && w.used() >= w.limit.Subjects {
			return false
		}
	}
	return true
}
