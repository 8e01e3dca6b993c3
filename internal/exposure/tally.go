package exposure

import (
	"cmp"
	"slices"

	"weir"
)

// tally adds up what a query asks for, segment by segment.
type tally struct {
	q        Query
	from, to int64 // the query's bounds

	all          cellSum // of the disclosures: count, first and last
	bytes        uint64
	gaps         map[weir.Reason]*Gap
	loosePeople  uint64
	looseClasses weir.ClassSet
	units        map[string]bool
	principals   map[weir.Pseudonym]bool
	pools        map[weir.ClassSet]*pool
	order        []*pool // as they were made

	reader chunkReader
	buf    []byte
}

func newTally(q Query) *tally {
	t := &tally{q: q, gaps: map[weir.Reason]*Gap{}, units: map[string]bool{}, principals: map[weir.Pseudonym]bool{}, pools: map[weir.ClassSet]*pool{}}
	t.from, t.to = q.bounds()
	return t
}

// lens is a query as a segment's tables see it.
type lens struct {
	shapes []bool // is asked for
	pools  []*pool
	loose  []bool // by set: is asked for of who could not be named
}

func (t *tally) lens(tb *tables) *lens {
	l := &lens{shapes: make([]bool, len(tb.shapes)), pools: make([]*pool, len(tb.sets)), loose: make([]bool, len(tb.sets))}
	for i, s := range tb.shapes {
		l.shapes[i] = t.q.Route == "" || t.q.Route == s.route
	}
	for i, set := range tb.sets {
		if t.q.Classes != 0 && set&t.q.Classes == 0 {
			continue
		}
		l.loose[i] = true
		p := t.pools[set]
		if p == nil {
			p = &pool{classes: set, number: uint32(len(t.order))}
			t.pools[set], t.order = p, append(t.order, p)
		}
		l.pools[i] = p
	}
	return l
}

func (t *tally) segment(s *segment) error {
	if s.outcomes == 0 || s.last < t.from || s.first >= t.to {
		return nil
	}
	l := t.lens(s.tables)
	if t.q.Principal != nil {
		if n, ok := s.party(t.q.Principal); ok {
			return t.party(s, l, n)
		}
		return nil
	}
	if s.all.size > 0 && t.from <= s.first && t.to > s.last {
		list, err := s.buckets(s.all)
		if err != nil {
			return err
		}
		for i := range list {
			t.bucket(s, l, &list[i])
		}
		for i := range s.who {
			if slices.ContainsFunc(s.who[i].cells, func(n int) bool { return l.has(s.cells[n]) }) {
				t.principals[s.who[i].name] = true
			}
		}
		return nil
	}
	for n := range s.who {
		if err := t.party(s, l, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *segment) party(name *weir.Pseudonym) (int, bool) {
	return slices.BinarySearchFunc(s.who, name, func(p party, name *weir.Pseudonym) int { return slices.Compare(p.name[:], name[:]) })
}

// pool returns that of disclosures of a shape and class set; nil if they are not asked for.
func (l *lens) pool(shape, set uint64) *pool {
	if !l.shapes[shape] {
		return nil
	}
	return l.pools[set]
}

// has reports whether the query asks for the cell.
func (l *lens) has(c cell) bool {
	return l.shapes[c.shape] && (c.loose && l.loose[c.set] || !c.loose && l.pools[c.set] != nil)
}

type interval struct{ from, to int64 }

// party adds what one principal has in a segment.
func (t *tally) party(s *segment, l *lens, n int) error {
	p := &s.who[n]
	rest := []interval{{t.from, t.to}}
	found := false
	if p.buckets.size > 0 {
		list, err := s.buckets(p.buckets)
		if err != nil {
			return err
		}
		var taken []*bucket
		if taken, rest = choose(list, t.from, t.to); len(taken) > 0 {
			for _, b := range taken {
				found = t.bucket(s, l, b) || found
			}
		}
	}
	for i := p.from; i < p.to; i++ {
		info := &s.chunks[i]
		var c *chunk
		for _, r := range rest {
			if info.last < r.from || info.first >= r.to {
				continue
			}
			if c == nil {
				var err error
				if c, err = t.reader.open(s, i); err == nil {
					err = c.loadBytes()
				}
				if err != nil {
					return err
				}
			}
			some, err := t.chunk(s.tables, l, c, info, r)
			if err != nil {
				return err
			}
			found = found || some
		}
	}
	if found {
		t.principals[p.name] = true
	}
	return nil
}

// choose returns the buckets that together answer for as much of the time as can be, and the times that none of them does.
func choose(list []bucket, from, to int64) (taken []*bucket, rest []interval) {
	byLevel := make([]*bucket, 0, len(list))
	for i := range list {
		if list[i].first >= from && list[i].last < to {
			byLevel = append(byLevel, &list[i])
		}
	}
	slices.SortStableFunc(byLevel, func(a, b *bucket) int { return cmp.Compare(b.level, a.level) })
	for _, b := range byLevel {
		begin, end := b.span()
		if !slices.ContainsFunc(taken, func(o *bucket) bool { f, t := o.span(); return f < end && begin < t }) {
			taken = append(taken, b)
		}
	}
	slices.SortFunc(taken, func(a, b *bucket) int { return cmp.Compare(a.first, b.first) })
	for _, b := range taken {
		begin, end := b.span()
		if from < begin {
			rest = append(rest, interval{from, begin})
		}
		from = max(from, end)
	}
	if from < to {
		rest = append(rest, interval{from, to})
	}
	return taken, rest
}

// bucket adds a whole bucket, and reports whether something personal in it was asked for.
func (t *tally) bucket(s *segment, l *lens, b *bucket) (found bool) {
	for _, x := range b.shapes {
		if l.shapes[x.shape] {
			t.released(&s.tables.shapes[x.shape], x.responses, x.bytes)
		}
	}
	for i := range b.cells {
		c := &b.cells[i]
		what := s.cells[c.cell]
		if !l.has(what) {
			continue
		}
		found = true
		t.units[s.tables.shapes[what.shape].unit] = true
		if what.loose {
			t.loosePeople += c.people
			t.looseClasses |= s.tables.sets[what.set]
			continue
		}
		t.all.saw(c.count, c.first, c.last)
		p := l.pools[what.set]
		p.sets = append(p.sets, pooled{s, c.set, c.people})
	}
	return found
}

func (t *tally) released(s *shape, responses, bytes uint64) {
	t.bytes += bytes
	if !s.gap {
		return
	}
	g := t.gaps[s.reason]
	if g == nil {
		g = &Gap{Reason: s.reason}
		t.gaps[s.reason] = g
	}
	g.Responses += int(responses)
	g.Bytes += int64(bytes)
}

// chunk adds the chunk's outcomes in an interval, and reports whether something personal in them was asked for.
func (t *tally) chunk(tb *tables, l *lens, c *chunk, info *chunkInfo, r interval) (found bool, err error) {
	first, end := 0, len(c.records)
	whole := r.from <= info.first && info.last < r.to
	alike := c.alike()
	if !whole || !alike {
		if err := c.loadTimes(); err != nil {
			return false, err
		}
	}
	if !whole {
		first, end = c.between(r.from, r.to)
	}
	switch {
	case first == end:
		return false, nil
	case alike:
		seen := interval{info.first, info.last}
		if !whole {
			seen = interval{int64(c.millis[first]), int64(c.millis[end-1])}
		}
		found = t.alike(tb, l, c, first, end, seen)
	default:
		found = t.outcomes(tb, l, c, first, end)
	}
	return t.loose(tb, l, c, first, end) || found, nil
}

// alike adds outcomes that differ in time, bytes and people only.
func (t *tally) alike(tb *tables, l *lens, c *chunk, first, end int, seen interval) (found bool) {
	s := c.shapes[0]
	if !l.shapes[s] {
		return false
	}
	bytes := uint64(0)
	for _, n := range c.bytes[first:end] {
		bytes += n
	}
	t.released(&tb.shapes[s], uint64(end-first), bytes)
	p := l.pools[c.sets[0]]
	if p == nil {
		return false
	}
	from, to := c.disclosures(first, end)
	p.addAll(c.people[from:to])
	t.all.saw(uint64(to-from), seen.from, seen.to)
	t.unit(tb.shapes[s].unit)
	return true
}

// outcomes adds outcomes one by one.
func (t *tally) outcomes(tb *tables, l *lens, c *chunk, first, end int) (found bool) {
	event, _ := c.disclosures(first, end)
	for i := first; i < end; i++ {
		s := c.shapes[i]
		if !l.shapes[s] {
			event = c.ends[i]
			continue
		}
		t.released(&tb.shapes[s], 1, c.bytes[i])
		before := t.all.count
		for ; event < c.ends[i]; event++ {
			if p := l.pools[c.sets[event]]; p != nil {
				p.add(uint32(c.people[event]))
				t.all.saw(1, int64(c.millis[i]), int64(c.millis[i]))
			}
		}
		if t.all.count > before {
			found = true
			t.unit(tb.shapes[s].unit)
		}
	}
	return found
}

// unit notes a unit; a look is cheaper than a store, and there are few.
func (t *tally) unit(name string) {
	if !t.units[name] {
		t.units[name] = true
	}
}

func (t *tally) loose(tb *tables, l *lens, c *chunk, first, end int) (found bool) {
	at, _ := slices.BinarySearchFunc(c.loose, first, func(x loose, n int) int { return cmp.Compare(x.outcome, n) })
	for ; at < len(c.loose) && c.loose[at].outcome < end; at++ {
		x := c.loose[at]
		if s := c.shapes[x.outcome]; l.shapes[s] && l.loose[x.set] {
			t.loosePeople += x.people
			t.looseClasses |= tb.sets[x.set]
			t.unit(tb.shapes[s].unit)
			found = true
		}
	}
	return found
}

// tail adds what is in memory.
func (t *tally) tail(tl *tail) {
	l := t.lens(tl.tables)
	who := -1
	if t.q.Principal != nil {
		n, ok := tl.whoOf[*t.q.Principal]
		if !ok {
			return
		}
		who = int(n)
	}
	received := make([]bool, len(tl.who))
	from, at := uint32(0), 0
	for i := range tl.outs {
		o := &tl.outs[i]
		begin := from
		from = o.end
		for at < len(tl.loose) && tl.loose[at].outcome < i {
			at++
		}
		if who >= 0 && int(o.who) != who || o.millis < t.from || o.millis >= t.to || !l.shapes[o.shape] {
			continue
		}
		s := &tl.tables.shapes[o.shape]
		t.released(s, 1, uint64(o.bytes))
		found := false
		for e := begin; e < o.end; e++ {
			if p := l.pools[tl.sets[e]]; p != nil {
				p.add(tl.ids[tl.people[e]])
				found = true
				t.all.saw(1, o.millis, o.millis)
			}
		}
		if at < len(tl.loose) && tl.loose[at].outcome == i && l.loose[tl.loose[at].set] {
			t.loosePeople += tl.loose[at].people
			t.looseClasses |= tl.tables.sets[tl.loose[at].set]
			found = true
		}
		if found {
			received[o.who] = true
			t.unit(s.unit)
		}
	}
	for i, yes := range received {
		if yes {
			t.principals[tl.who[i]] = true
		}
	}
}
