package quota

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"time"

	"weir"
)

// people are the data subjects that a principal received, in the order of their last release: one list for all windows,
// each of which is its newest part. A guard has a few million of them at worst and looks a thousand up for one answer, so
// they lie side by side without pointers, found by a hash table of their places.
type people struct {
	members []member // the list's; none stands at place 0, which means nobody
	slots   []int32  // hash table with linear probing: places of members, 0 is free; as many as a power of two
	shift   int      // of a hash, to a slot's number
	count   int
	unused  int32 // first of the members that stand for nobody, which are linked by newer
	oldest  int32
	newest  int32
	charges []charge // oldest first
}

type member struct {
	subject      weir.Pseudonym
	seen         int64 // last release, in Unix milliseconds
	older, newer int32
}

// charge is an answer's worst case for people who could not be named.
type charge struct {
	at time.Time
	n  int
}

// find returns a subject's place, or 0.
func (p *people) find(s weir.Pseudonym) int32 {
	if p.count == 0 {
		return 0
	}
	return p.slots[p.slot(s)]
}

// findAll appends the place of each subject, or 0. It first looks for all of them where they are as a rule: so one look-up
// need not wait for the memory that another one wants.
func (p *people) findAll(found []int32, subjects []weir.Pseudonym) []int32 {
	found = slices.Grow(found, len(subjects))[:len(subjects)]
	if p.count == 0 {
		clear(found)
		return found
	}
	for i, s := range subjects {
		found[i] = p.slots[p.home(s)]
	}
	for i, s := range subjects {
		if at := found[i]; at != 0 && p.members[at].subject != s {
			found[i] = p.find(s)
		}
	}
	return found
}

// slot returns where in the table the subject is, or where it would be.
func (p *people) slot(s weir.Pseudonym) int {
	i := p.home(s)
	for at := p.slots[i]; at != 0 && p.members[at].subject != s; at = p.slots[i] {
		i = (i + 1) & (len(p.slots) - 1)
	}
	return i
}

// home is the slot from which on the subject is looked for.
func (p *people) home(s weir.Pseudonym) int {
	h := binary.LittleEndian.Uint64(s[:8]) ^ binary.LittleEndian.Uint64(s[8:])
	return int(h * 0x9e3779b97f4a7c15 >> p.shift) // 2⁶⁴ / φ, after Knuth
}

// add makes room for a subject who is not there, and returns its place. It is linked to nobody yet.
func (p *people) add(s weir.Pseudonym) int32 {
	if 4*(p.count+1) > 3*len(p.slots) {
		p.grow()
	}
	if p.unused == 0 {
		p.unused = int32(len(p.members))
		p.members = append(p.members, member{})
	}
	at := p.unused
	p.unused = p.members[at].newer
	p.members[at] = member{subject: s}
	p.slots[p.slot(s)] = at
	p.count++
	return at
}

func (p *people) grow() {
	if p.members == nil {
		p.members = make([]member, 1, 2)
	}
	p.slots = make([]int32, max(4, 2*len(p.slots)))
	p.shift = 65 - bits.Len(uint(len(p.slots)))
	for at := p.oldest; at != 0; at = p.members[at].newer {
		p.slots[p.slot(p.members[at].subject)] = at
	}
}

// remove forgets a member who has been unlinked.
func (p *people) remove(at int32) {
	mask := len(p.slots) - 1
	gap := p.slot(p.members[at].subject)
	// Whoever stands behind the gap and would be looked for before it moves into it.
	for i := (gap + 1) & mask; p.slots[i] != 0; i = (i + 1) & mask {
		if home := p.home(p.members[p.slots[i]].subject); (i-home)&mask >= (i-gap)&mask {
			p.slots[gap] = p.slots[i]
			gap = i
		}
	}
	p.slots[gap] = 0
	p.members[at] = member{newer: p.unused}
	p.unused = at
	if p.count--; p.count == 0 {
		*p = people{charges: p.charges} // gives its memory back
	}
}

// expire lets go of the people whose last release was before or at start, and returns how many charges went.
func (p *people) expire(start time.Time) (charges int) {
	for at := p.oldest; at != 0 && p.members[at].seen <= start.UnixMilli(); at = p.oldest {
		p.unlink(at)
		p.remove(at)
	}
	for charges < len(p.charges) && !p.charges[charges].at.After(start) {
		charges++
	}
	p.charges = p.charges[charges:]
	return charges
}

func (p *people) unlink(at int32) {
	m := &p.members[at]
	if m.older != 0 {
		p.members[m.older].newer = m.newer
	} else {
		p.oldest = m.newer
	}
	if m.newer != 0 {
		p.members[m.newer].older = m.older
	} else {
		p.newest = m.older
	}
}

// link makes the member the newest.
func (p *people) link(at int32) {
	m := &p.members[at]
	m.older, m.newer = p.newest, 0
	if p.newest != 0 {
		p.members[p.newest].newer = at
	} else {
		p.oldest = at
	}
	p.newest = at
}
