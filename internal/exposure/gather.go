package exposure

import "iter"

// bound is at least how many disclosures the query asks for.
func (l *lister) bound() int {
	n := len(l.x.tail.people)
	for at := range l.chunks() {
		n += int(l.x.segs[at.seg].chunks[at.number].events)
	}
	return n
}

// chunks gives the chunks that the query asks for.
func (l *lister) chunks() iter.Seq[chunkPlace] {
	return func(yield func(chunkPlace) bool) {
		for n, s := range l.x.segs {
			if s.outcomes == 0 || s.last < l.tally.from || s.first >= l.tally.to {
				continue
			}
			from, to := 0, len(s.chunks)
			if q := l.tally.q.Principal; q != nil {
				who, ok := s.party(q)
				if !ok {
					continue
				}
				from, to = s.who[who].from, s.who[who].to
			}
			for i := from; i < to; i++ {
				if c := &s.chunks[i]; c.last >= l.tally.from && c.first < l.tally.to && c.events > 0 && !yield(chunkPlace{n, i}) {
					return
				}
			}
		}
	}
}

// inPass gives those of chunks that may have somebody of the pass.
func (l *lister) inPass() iter.Seq[chunkPlace] {
	base, end := l.base, l.end // which put may lower
	return func(yield func(chunkPlace) bool) {
		for at := range l.chunks() {
			if c := &l.x.segs[at.seg].chunks[at.number]; c.most >= base && uint64(c.least) < end && !yield(at) {
				return
			}
		}
	}
}

// placedChunk is a chunk and its segment.
type placedChunk struct {
	chunkReader
	seg *segment
}

// gather visits the disclosures that the query asks for, of the people in the pass, and some of those above them.
func (l *lister) gather(visit func(id uint32, at int64, of *pool)) error {
	t := l.tally
	read := func(at chunkPlace, r *placedChunk) error {
		r.seg = l.x.segs[at.seg]
		c, err := r.open(r.seg, at.number)
		if err != nil {
			return err
		}
		return c.loadTimes()
	}
	of, look := (*segment)(nil), (*lens)(nil)
	for r, err := range ahead(chunksAhead, l.inPass(), read) {
		if err != nil {
			return err
		}
		if r.seg != of {
			of, look = r.seg, t.lens(r.seg.tables)
		}
		c := &r.chunk
		first, end := c.between(t.from, t.to)
		event, _ := c.disclosures(first, end)
		for o := first; o < end; o++ {
			if !look.shapes[c.shapes[o]] {
				event = c.ends[o]
				continue
			}
			for ; event < c.ends[o]; event++ {
				if id := uint32(c.people[event]); id >= l.base {
					if pool := look.pools[c.sets[event]]; pool != nil {
						visit(id, int64(c.millis[o]), pool)
					}
				}
			}
		}
	}
	look = t.lens(l.x.tail.tables)
	t.tailEvents(l.x.tail, func(i, e int) {
		if id := l.x.tail.ids[l.x.tail.people[e]]; id >= l.base {
			visit(id, l.x.tail.outs[i].millis, look.pools[l.x.tail.sets[e]])
		}
	})
	return nil
}
