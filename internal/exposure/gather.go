package exposure

import (
	"iter"
	"slices"
)

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
	seg    *segment
	times  []uint64 // of each disclosure
	memory []uint64
}

// read opens a chunk, and works out when each of its disclosures was.
func (r *placedChunk) read(s *segment, number int) error {
	r.seg = s
	c, err := r.open(s, number)
	if err == nil {
		err = c.loadTimes()
	}
	if err != nil {
		return err
	}
	if len(c.people) == len(c.millis) && !slices.ContainsFunc(c.kinds, func(k kind) bool { return k.records != 1 }) {
		r.times = c.millis
		return nil
	}
	r.memory = grown(r.memory, len(c.people))
	r.times = r.memory
	event := 0
	for o, end := range c.ends {
		for ; event < end; event++ {
			r.times[event] = c.millis[o]
		}
	}
	return nil
}

// runs visits the disclosures of the outcomes from first to end that the query asks for, as many at once as share a pool.
func (r *placedChunk) runs(look *lens, first, end int, visit func(ids, times []uint64, of *pool)) {
	c := &r.chunk
	begin, until := c.disclosures(first, end)
	now, alike := (*pool)(nil), c.alike()
	turn := func(event int, of *pool) {
		if now != nil && event > begin {
			visit(c.people[begin:event], r.times[begin:event], now)
		}
		begin, now = event, of
	}
	if alike && begin < until {
		turn(begin, look.pool(c.shapes[first], c.sets[begin]))
	} else {
		event := begin
		for o := first; o < end; o++ {
			for ; event < c.ends[o]; event++ {
				if of := look.pool(c.shapes[o], c.sets[event]); of != now {
					turn(event, of)
				}
			}
		}
	}
	turn(until, nil)
}

// gather visits the disclosures that the query asks for; those of people who are not in the pass as it comes. Ids and times
// are valid until visit returns.
func (l *lister) gather(visit func(ids, times []uint64, of *pool)) error {
	t := l.tally
	read := func(at chunkPlace, r *placedChunk) error { return r.read(l.x.segs[at.seg], at.number) }
	of, look := (*segment)(nil), (*lens)(nil)
	for r, err := range ahead(chunksAhead, l.inPass(), read) {
		if err != nil {
			return err
		}
		if r.seg != of {
			of, look = r.seg, t.lens(r.seg.tables)
		}
		first, end := r.chunk.between(t.from, t.to)
		r.runs(look, first, end, visit)
	}
	tl := l.x.tail
	look = t.lens(tl.tables)
	t.tailEvents(tl, func(i, e int) {
		id, at := [1]uint64{uint64(tl.ids[tl.people[e]])}, [1]uint64{uint64(tl.outs[i].millis)}
		visit(id[:], at[:], look.pools[tl.sets[e]])
	})
	return nil
}
