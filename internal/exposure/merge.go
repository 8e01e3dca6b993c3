package exposure

import (
	"cmp"
	"errors"
	"io"
	"iter"
	"slices"

	"weir"
)

// merge writes segments that follow one another as one.
func merge(w *segmentWriter, in []*segment) error {
	m := &merger{w: w, in: in, shapes: make([][]uint64, len(in)), sets: make([][]uint64, len(in)), moved: make([][]uint32, len(in))}
	for i, s := range in {
		for _, x := range s.tables.shapes {
			m.shapes[i] = append(m.shapes[i], uint64(w.seg.tables.shape(x)))
		}
		for _, x := range s.tables.sets {
			m.sets[i] = append(m.sets[i], uint64(w.seg.tables.set(x)))
		}
		m.moved[i] = make([]uint32, len(s.chunks))
		w.seg.blocks = append(w.seg.blocks, s.blocks...)
	}
	if err := m.principals(); err != nil {
		return err
	}
	if err := m.people(); err != nil {
		return err
	}
	refs := w.references()
	if err := m.references(refs); err != nil {
		return err
	}
	return w.finish(refs)
}

type merger struct {
	w            *segmentWriter
	in           []*segment
	shapes, sets [][]uint64 // the new numbers, by segment
	moved        [][]uint32 // the new number of each chunk, by segment
}

// part is a principal's place in one of the segments.
type part struct{ seg, party int }

func (m *merger) principals() error {
	var parts []part
	for i, s := range m.in {
		for n := range s.who {
			parts = append(parts, part{i, n})
		}
	}
	slices.SortFunc(parts, func(a, b part) int {
		p, q := &m.in[a.seg].who[a.party].name, &m.in[b.seg].who[b.party].name
		return cmp.Or(slices.Compare(p[:], q[:]), cmp.Compare(a.seg, b.seg))
	})
	next, stop := iter.Pull2(ahead(chunksAhead, m.places(parts), m.read))
	defer stop()
	for len(parts) > 0 {
		name := m.in[parts[0].seg].who[parts[0].party].name
		n, outcomes, events := 0, 0, 0
		for ; n < len(parts) && m.in[parts[n].seg].who[parts[n].party].name == name; n++ {
			s := m.in[parts[n].seg]
			for _, c := range s.chunks[s.who[parts[n].party].from:s.who[parts[n].party].to] {
				outcomes, events = outcomes+int(c.outcomes), events+int(c.events)
			}
		}
		m.w.begin(name, max(outcomes, events))
		for _, p := range parts[:n] {
			who := &m.in[p.seg].who[p.party]
			for i := who.from; i < who.to; i++ {
				r, err, _ := next()
				if err != nil {
					return err
				}
				number, err := m.w.append(&r.chunk)
				if err != nil {
					return err
				}
				m.moved[p.seg][i] = uint32(number)
			}
		}
		if err := m.w.end(); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return nil
}

// places gives the chunks of the parts, in order.
func (m *merger) places(parts []part) iter.Seq[chunkPlace] {
	return func(yield func(chunkPlace) bool) {
		for _, p := range parts {
			who := &m.in[p.seg].who[p.party]
			for i := who.from; i < who.to; i++ {
				if !yield(chunkPlace{p.seg, i}) {
					return
				}
			}
		}
	}
}

// read reads a chunk and gives it the new segment's numbers.
func (m *merger) read(at chunkPlace, r *chunkReader) error {
	c, err := r.read(m.in[at.seg], at.number)
	if err != nil {
		return err
	}
	for i, x := range c.shapes {
		c.shapes[i] = m.shapes[at.seg][x]
	}
	for i, x := range c.sets {
		c.sets[i] = m.sets[at.seg][x]
	}
	for i, l := range c.loose {
		c.loose[i].set = m.sets[at.seg][l.set]
	}
	return nil
}

func (m *merger) people() error {
	base, n := m.in[0].book.base, 0
	var books []*book
	for _, s := range m.in {
		if s.book.base != base+uint32(n) {
			return doubt("%s does not number people on from the segment before", s.name)
		}
		n += s.book.n
		books = append(books, &s.book)
	}
	column := func(visit func(*weir.Pseudonym)) error {
		for _, b := range books {
			column := b.reader(pagesAhead)
			for i := range b.n {
				p, err := b.name(column, b.base+uint32(i))
				if err != nil {
					return err
				}
				visit(&p)
			}
		}
		return nil
	}
	return m.w.people(base, n, column, hashesOf(books, base, n))
}

// references merges the second orders, some people at a time: the next ones are put in order while these are written.
func (m *merger) references(refs *refWriter) error {
	heads := make([]refHead, len(m.in))
	for i := range heads {
		heads[i].reader.seg = m.in[i]
		if err := heads[i].next(); err != nil {
			return err
		}
	}
	someone := func(yield func(uint64) bool) { // the id that comes next, as long as there is one
		for {
			least := uint64(1 << 32)
			for i := range heads {
				if !heads[i].ended {
					least = min(least, uint64(heads[i].id))
				}
			}
			if least == 1<<32 || !yield(least) {
				return
			}
		}
	}
	for p, err := range ahead(2, someone, func(from uint64, to *idPairs) error { return m.collect(heads, from, to) }) {
		if err != nil {
			return err
		}
		if err := refs.addPairs(p.sorted); err != nil {
			return err
		}
	}
	return refs.flush()
}

// refHead is the next person of a segment's second order, and the chunks.
type refHead struct {
	reader refReader
	id     uint32
	chunks []uint64
	ended  bool
}

func (h *refHead) next() (err error) {
	h.id, h.chunks, err = h.reader.next()
	if h.ended = errors.Is(err, io.EOF); h.ended {
		err = nil
	}
	return err
}

// collect takes the references of the ids from that one on, which is the lowest there is, off the heads.
func (m *merger) collect(heads []refHead, from uint64, to *idPairs) error {
	const atOnce = 1 << 16
	to.pairs = to.pairs[:0]
	for i := range heads {
		moved := m.moved[i]
		for h := &heads[i]; !h.ended && uint64(h.id) < from+atOnce; {
			for _, c := range h.chunks {
				to.pairs = append(to.pairs, (uint64(h.id)-from)<<32|uint64(moved[c]))
			}
			if err := h.next(); err != nil {
				return err
			}
		}
	}
	to.sort(from)
	return nil
}
