package quota

import (
	"time"

	"weir"
)

// window holds the members of one principal's rolling window: a map for the question who is in it, and a list in the order
// of last release, the oldest first, for letting go of those who have left it.
type window struct {
	limit   Limit
	members map[weir.Pseudonym]*member
	oldest  *member
	newest  *member

	unattributed int      // the sum of charges
	charges      []charge // oldest first
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

func newWindow(l Limit) *window { return &window{limit: l, members: map[weir.Pseudonym]*member{}} }

// used is what counts against the limit; expire must have been called with the present time.
func (w *window) used() int { return len(w.members) + w.unattributed }

// expire lets go of what is not in (now−W, now].
func (w *window) expire(now time.Time) {
	start := now.Add(-w.limit.Window)
	for m := w.oldest; m != nil && !m.seen.After(start); m = w.oldest {
		delete(w.members, m.subject)
		w.unlink(m)
	}
	for len(w.charges) > 0 && !w.charges[0].at.After(start) {
		w.unattributed -= w.charges[0].n
		w.charges = w.charges[1:]
	}
}

// fits reports whether all of that may be released together.
func (w *window) fits(subjects []weir.Pseudonym, unattributed int) bool {
	room := w.limit.Subjects - w.used() - unattributed
	if room >= len(subjects) {
		return true
	}
	fresh := make(map[weir.Pseudonym]struct{}, max(room, 0)+1)
	for _, s := range subjects {
		if w.members[s] == nil {
			fresh[s] = struct{}{}
			if len(fresh) > room {
				return false
			}
		}
	}
	return room >= 0
}

// touch makes the subject a member, last released now.
func (w *window) touch(now time.Time, s weir.Pseudonym) {
	m := w.members[s]
	if m == nil {
		m = &member{subject: s}
		w.members[s] = m
	} else {
		w.unlink(m)
	}
	m.seen, m.older, m.newer = now, w.newest, nil
	if w.newest != nil {
		w.newest.newer = m
	} else {
		w.oldest = m
	}
	w.newest = m
}

func (w *window) unlink(m *member) {
	if m.older != nil {
		m.older.newer = m.newer
	} else {
		w.oldest = m.newer
	}
	if m.newer != nil {
		m.newer.older = m.older
	} else {
		w.newest = m.older
	}
}

func (w *window) addUnattributed(now time.Time, n int) {
	if n > 0 {
		w.unattributed += n
		w.charges = append(w.charges, charge{now, n})
	}
}
