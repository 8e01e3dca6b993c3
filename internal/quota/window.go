package quota

import (
	"time"

	"weir"
)

// people are the data subjects that a principal received, in the order of their last release: one list for all windows,
// each of which is its newest part.
type people struct {
	members map[weir.Pseudonym]*member
	oldest  *member
	newest  *member
	charges []charge // oldest first
}

type member struct {
	subject      weir.Pseudonym
	seen         time.Time // last release
	older, newer *member
}

// charge is an answer's worst case for people who could not be named.
type charge struct {
	at time.Time
	n  int
}

// window is the part of the people that counts against one limit.
type window struct {
	limit        Limit
	oldest       *member // the oldest member inside; nil if there is none
	members      int     // from there to the newest
	firstCharge  int     // place of the first charge inside
	unattributed int     // the sum of the charges inside
}

// used is what counts against the limit; expire must have been called with the present time.
func (w *window) used() int { return w.members + w.unattributed }

// has reports whether the member is inside the window.
func (w *window) has(m *member) bool {
	return m != nil && w.oldest != nil && !m.seen.Before(w.oldest.seen)
}

// expire lets the window let go of what is not in (now−W, now].
func (w *window) expire(now time.Time, p *people) {
	start := now.Add(-w.limit.Window)
	for w.oldest != nil && !w.oldest.seen.After(start) {
		w.oldest = w.oldest.newer
		w.members--
	}
	for w.firstCharge < len(p.charges) && !p.charges[w.firstCharge].at.After(start) {
		w.unattributed -= p.charges[w.firstCharge].n
		w.firstCharge++
	}
}

// recount fills an empty window from the people.
func (w *window) recount(p *people) {
	w.oldest, w.members, w.firstCharge, w.unattributed = p.oldest, len(p.members), 0, 0
	for _, c := range p.charges {
		w.unattributed += c.n
	}
}

// expire lets go of the people whose last release was before or at start, and returns how many charges went.
func (p *people) expire(start time.Time) (charges int) {
	for m := p.oldest; m != nil && !m.seen.After(start); m = p.oldest {
		delete(p.members, m.subject)
		p.unlink(m)
	}
	for charges < len(p.charges) && !p.charges[charges].at.After(start) {
		charges++
	}
	p.charges = p.charges[charges:]
	return charges
}

func (p *people) unlink(m *member) {
	if m.older != nil {
		m.older.newer = m.newer
	} else {
		p.oldest = m.newer
	}
	if m.newer != nil {
		m.newer.older = m.older
	} else {
		p.newest = m.older
	}
}

// link makes the member the newest.
func (p *people) link(m *member) {
	m.older, m.newer = p.newest, nil
	if p.newest != nil {
		p.newest.newer = m
	} else {
		p.oldest = m
	}
	p.newest = m
}
