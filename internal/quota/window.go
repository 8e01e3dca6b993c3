package quota

import "time"

// window is the part of the people that counts against one limit.
type window struct {
	limit        Limit
	oldest       int32 // the oldest member inside; 0 if there is none
	members      int   // from there to the newest
	firstCharge  int   // place of the first charge inside
	unattributed int   // the sum of the charges inside
}

// used is what counts against the limit; expire must have been called with the present time.
func (w *window) used() int { return w.members + w.unattributed }

// has reports whether the member at that place is inside the window.
func (w *window) has(p *people, at int32) bool {
	return at != 0 && w.oldest != 0 && p.members[at].seen >= p.members[w.oldest].seen
}

// expire lets the window let go of what is not in (now−W, now].
func (w *window) expire(now time.Time, p *people) {
	start := now.Add(-w.limit.Window)
	for w.oldest != 0 && p.members[w.oldest].seen <= start.UnixMilli() {
		w.oldest = p.members[w.oldest].newer
		w.members--
	}
	for w.firstCharge < len(p.charges) && !p.charges[w.firstCharge].at.After(start) {
		w.unattributed -= p.charges[w.firstCharge].n
		w.firstCharge++
	}
}

// recount fills an empty window from the people.
func (w *window) recount(p *people) {
	w.oldest, w.members, w.firstCharge, w.unattributed = p.oldest, p.count, 0, 0
	for _, c := range p.charges {
		w.unattributed += c.n
	}
}
