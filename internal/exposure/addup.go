package exposure

import (
	"iter"
	"slices"

	"weir"
)

// row is what is known of one person; nothing where count is 0.
type row struct {
	first, last int64 // since lister.since
	classes     weir.ClassSet
	count       uint32
}

func (r *row) saw(at int64, set weir.ClassSet) {
	if r.count == 0 {
		r.first, r.last = at, at
	}
	r.first, r.last = min(r.first, at), max(r.last, at)
	r.classes |= set
	r.count++
}

// fold adds the disclosures of a part's blocks to rows, and frees the blocks.
func (l *lister) fold(part uint32, rows []row) {
	p := &l.parts[part]
	mask := uint64(1)<<l.bits - 1
	var classes weir.ClassSet
	for i, b := range p.blocks {
		n := blockEvents
		if i == len(p.blocks)-1 {
			n = int(l.open[part].n)
		}
		for _, e := range b[:n] {
			if e&poolEvent != 0 {
				classes = l.tally.order[uint32(e)-1].classes
				continue
			}
			rows[e&mask].saw(int64(e>>l.bits), classes)
		}
	}
	l.free(part)
}

// give calls visit for the people of the pass.
func (l *lister) give() error {
	p := &l.person
	for f, err := range ahead(3, l.filled(), l.addTogether) {
		if err != nil {
			return err
		}
		for i := range f.rows {
			r := &f.rows[i]
			if r.count == 0 {
				continue
			}
			p.DataSubject, p.Classes, p.Count = f.names[i], r.classes, int(r.count)
			p.First, p.Last = timeOf(l.since+r.first), timeOf(l.since+r.last)
			l.started = true
			if err := l.visit(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// filled gives the parts that hold something.
func (l *lister) filled() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range l.parts {
			if p := &l.parts[i]; (p.rows != nil || len(p.blocks) > 0) && !yield(uint32(i)) {
				return
			}
		}
	}
}

// addedPart is the people of a part and what is known of each.
type addedPart struct {
	base uint32
	rows []row    // of the ids from base on
	ids  []uint32 // or, if there are any, of these ones from base on

	names []weir.Pseudonym // of rows that are of somebody
}

func (a *addedPart) id(n int) uint32 {
	if len(a.ids) > 0 {
		return a.base + a.ids[n]
	}
	return a.base + uint32(n)
}

// addTogether adds the disclosures of a part up, and names its people.
func (l *lister) addTogether(part uint32, to *addedPart) error {
	p := &l.parts[part]
	to.base, to.ids, to.rows = l.base+part<<l.bits, to.ids[:0], to.rows[:0]
	switch {
	case p.rows != nil:
		to.rows = p.rows
		l.fold(part, to.rows)
	case len(p.blocks) == 1:
		l.addFew(part, to)
	default:
		to.rows = slices.Grow(to.rows, 1<<l.bits)[:1<<l.bits]
		clear(to.rows)
		l.fold(part, to.rows)
	}
	l.freeRows(part)
	to.names = slices.Grow(to.names[:0], len(to.rows))[:len(to.rows)]
	for i := range to.rows {
		if to.rows[i].count > 0 {
			if err := l.names.name(to.id(i), &to.names[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// addFew is addTogether for a part with one block, which is sorted.
func (l *lister) addFew(part uint32, to *addedPart) {
	events := l.open[part].listBlock[:l.open[part].n]
	mask := uint64(1)<<l.bits - 1
	var classes [blockEvents]weir.ClassSet
	var memory [blockEvents]uint64
	order := memory[:0]
	var now weir.ClassSet
	for i, e := range events {
		if e&poolEvent != 0 {
			now = l.tally.order[uint32(e)-1].classes
			continue
		}
		classes[i] = now
		order = append(order, e&mask<<32|uint64(i))
	}
	slices.Sort(order)
	for _, o := range order {
		id, at := uint32(o>>32), uint32(o)
		if n := len(to.ids); n == 0 || to.ids[n-1] != id {
			to.ids, to.rows = append(to.ids, id), append(to.rows, row{})
		}
		to.rows[len(to.rows)-1].saw(int64(events[at]>>l.bits), classes[at])
	}
	l.free(part)
}
