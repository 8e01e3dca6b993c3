package exposure

import (
	"cmp"
	"slices"
)

// Buckets answer for long times without the disclosures in them. A principal with much has, in each segment, one for each
// day, 32 days and 1,024 days (of Unix time, in UTC) in which there is enough; the segment has one over everything. A bucket
// holds for each shape the responses and bytes, and for each cell the disclosures, their first and last time, and the set of
// people. They only repeat what the chunks say: an answer at whose edges a bucket does not fit reads chunks there.
const (
	levels     = 3
	dayMillis  = 24 * 60 * 60 * 1000
	levelWidth = 32 // buckets of one level in one of the next
	everything = levels
)

// bucket is one that was read, or is being made.
type bucket struct {
	level       int
	number      int64 // of its day, or 32 days, and so on, since the epoch
	first, last int64 // times of its outcomes
	shapes      []shapeSum
	cells       []cellSum
}

type shapeSum struct {
	shape            int
	responses, bytes uint64
}

type cellSum struct {
	cell        int
	count       uint64 // disclosures; of a loose cell outcomes
	people      uint64 // distinct, or of a loose cell the sum
	first, last int64  // of the disclosures
	set         blob
}

func width(level int) int64 {
	w := int64(dayMillis)
	for range level {
		w *= levelWidth
	}
	return w
}

// numberOf is the bucket that the time falls into.
func numberOf(level int, millis int64) int64 {
	w := width(level)
	n := millis / w
	if millis%w < 0 {
		n--
	}
	return n
}

// span returns the time that the bucket answers for, the end exclusive.
func (b *bucket) span() (from, to int64) {
	if b.level == everything {
		return b.first, b.last + 1
	}
	w := width(b.level)
	return b.number * w, b.number*w + w
}

func (b *bucket) append(m *metaWriter) {
	m.num(uint64(b.level))
	m.int(b.number, b.first, b.last)
	m.num(uint64(len(b.shapes)))
	for _, s := range b.shapes {
		m.num(uint64(s.shape), s.responses, s.bytes)
	}
	m.num(uint64(len(b.cells)))
	for _, c := range b.cells {
		m.num(uint64(c.cell), c.count, c.people)
		m.int(c.first, c.last)
		m.blob(c.set)
	}
}

// buckets reads the buckets at that place.
func (s *segment) buckets(at blob) (list []bucket, err error) {
	if at.size == 0 {
		return nil, nil
	}
	raw, err := s.read(at, nil)
	if err != nil {
		return nil, err
	}
	return s.decodeBuckets(raw, at.off)
}

func (s *segment) decodeBuckets(raw []byte, end int64) (list []bucket, err error) {
	m := &metaReader{decoder: decoder{rest: raw}, end: end}
	for len(m.rest) > 0 && !m.bad {
		b := bucket{level: m.count(everything), number: m.int(), first: m.int(), last: m.int()}
		for range m.count(len(m.rest)) {
			x := shapeSum{m.count(len(s.tables.shapes)), m.uvarint(), m.uvarint()}
			m.bad = m.bad || x.shape >= len(s.tables.shapes)
			b.shapes = append(b.shapes, x)
		}
		for range m.count(len(m.rest)) {
			c := cellSum{m.count(len(s.cells)), m.uvarint(), m.uvarint(), m.int(), m.int(), m.blob()}
			m.bad = m.bad || c.cell >= len(s.cells)
			b.cells = append(b.cells, c)
		}
		list = append(list, b)
	}
	if m.bad {
		return nil, doubt("%s: buckets cannot be read", s.name)
	}
	return list, nil
}

// accumulator is a bucket being made. It keeps its memory from one bucket to the next.
type accumulator struct {
	full        bool // holds something
	number      int64
	first, last int64
	outcomes    int
	events      int
	shapes      []shapeSum // by shape
	cells       []*growing // by cell; nil where there was never one
	lone        bool       // all that it holds is one bucket of the level below, which was written
	parts       int        // buckets of the level below that it was made of
}

type growing struct {
	cellSum
	ids batchedSet
}

func (a *accumulator) cell(n int) *growing {
	for n >= len(a.cells) {
		a.cells = append(a.cells, nil)
	}
	g := a.cells[n]
	if g == nil {
		g = &growing{cellSum: cellSum{cell: n}}
		a.cells[n] = g
	}
	return g
}

func (a *accumulator) note(first, last int64) {
	if !a.full {
		a.full, a.first, a.last = true, first, last
	}
	a.first, a.last = min(a.first, first), max(a.last, last)
}

func (a *accumulator) shape(n int) *shapeSum {
	for n >= len(a.shapes) {
		a.shapes = append(a.shapes, shapeSum{shape: len(a.shapes)})
	}
	return &a.shapes[n]
}

// saw notes disclosures of a cell.
func (c *cellSum) saw(count uint64, first, last int64) {
	if c.count == 0 {
		c.first, c.last = first, last
	}
	c.count += count
	c.first, c.last = min(c.first, first), max(c.last, last)
}

// add takes over what another accumulator holds.
func (a *accumulator) add(o *accumulator) {
	a.note(o.first, o.last)
	a.outcomes, a.events = a.outcomes+o.outcomes, a.events+o.events
	for i, s := range o.shapes {
		to := a.shape(i)
		to.responses, to.bytes = to.responses+s.responses, to.bytes+s.bytes
	}
	for i, g := range o.cells {
		if g == nil || g.count == 0 {
			continue
		}
		to := a.cell(i)
		to.saw(g.count, g.first, g.last)
		to.people += g.people
		g.ids.settle()
		to.ids.union(&g.ids.idset)
	}
}

func (a *accumulator) clear() {
	for i := range a.shapes {
		a.shapes[i] = shapeSum{shape: i}
	}
	for i, g := range a.cells {
		if g != nil && g.count > 0 {
			g.cellSum = cellSum{cell: i}
			g.ids.clear()
		}
	}
	*a = accumulator{shapes: a.shapes, cells: a.cells}
}

// feed takes in a chunk's outcomes from one to another.
func (a *accumulator) feed(c *chunk, from, to int, cells *cellTable) {
	a.note(int64(c.millis[from]), int64(c.millis[to-1]))
	a.outcomes += to - from
	event, _ := c.disclosures(from, to)
	var known *growing
	shape, set := uint64(1<<63), uint64(0) // of known
	for i := from; i < to; i++ {
		s := a.shape(int(c.shapes[i]))
		s.responses++
		s.bytes += c.bytes[i]
		at := int64(c.millis[i])
		for ; event < c.ends[i]; event++ {
			if c.shapes[i] != shape || c.sets[event] != set {
				shape, set = c.shapes[i], c.sets[event]
				known = a.cell(cells.number(cell{int(shape), int(set), false}))
			}
			known.saw(1, at, at)
			known.ids.add(uint32(c.people[event]))
			a.events++
		}
	}
	at, _ := slices.BinarySearchFunc(c.loose, from, func(l loose, n int) int { return cmp.Compare(l.outcome, n) })
	for ; at < len(c.loose) && c.loose[at].outcome < to; at++ {
		l := c.loose[at]
		g := a.cell(cells.number(cell{int(c.shapes[l.outcome]), int(l.set), true}))
		g.saw(1, int64(c.millis[l.outcome]), int64(c.millis[l.outcome]))
		g.people += l.people
	}
}

// cellTable numbers cells.
type cellTable struct {
	list   []cell
	events [][]int32 // by shape and set, one more than the number
	loose  map[cell]int
}

func (t *cellTable) number(c cell) int {
	if c.loose {
		n, ok := t.loose[c]
		if !ok {
			n = len(t.list)
			t.list, t.loose[c] = append(t.list, c), n
		}
		return n
	}
	for c.shape >= len(t.events) {
		t.events = append(t.events, nil)
	}
	row := t.events[c.shape]
	for c.set >= len(row) {
		row = append(row, 0)
	}
	t.events[c.shape] = row
	if row[c.set] == 0 {
		t.list = append(t.list, c)
		row[c.set] = int32(len(t.list))
	}
	return int(row[c.set]) - 1
}

// written returns what the accumulator holds as a bucket, whose sets emit writes.
func (a *accumulator) written(level int, emit func([]byte) (blob, error)) (b bucket, err error) {
	b = bucket{level: level, number: a.number, first: a.first, last: a.last}
	for _, s := range a.shapes {
		if s.responses > 0 {
			b.shapes = append(b.shapes, s)
		}
	}
	for _, g := range a.cells {
		if g == nil || g.count == 0 {
			continue
		}
		c := g.cellSum
		g.ids.settle()
		if n := g.ids.count(); n > 0 {
			c.people = uint64(n)
			if c.set, err = emit(appendSet(nil, &g.ids.idset)); err != nil {
				return b, err
			}
		}
		b.cells = append(b.cells, c)
	}
	return b, nil
}
