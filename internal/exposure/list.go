package exposure

import "math"

// People calls visit for each data subject that the query asks for, in the order in which the ledger first met them, with
// what the query asks of them; the Person is valid until visit returns. An error of visit ends it. A list of any length is made
// in 384 MiB of memory (sizes.list).
func (x *Index) People(q Query, visit func(*Person) error) error {
	var l *lister
	return x.ask(func() error {
		l = newLister(x, q, visit)
		return l.run()
	}, func() bool { return l != nil && l.started })
}

// A lister makes the list by parts of the ids. A pass over the chunks that the query asks for puts each disclosure to those of
// the person's part, and then the disclosures of one part after the other are added up in rows that the processor's cache
// holds. What a pass has no memory for is left to the next one: it is the upper half of the ids, as often as it must be.
type lister struct {
	x     *Index
	tally *tally
	visit func(*Person) error
	names nameReader

	bits  int         // of an id that tell the people of one part apart
	parts []listPart  // of the pass
	open  []openBlock // where the next disclosure of each part goes; by itself it fits a small cache
	base  uint32      // the first id of the pass
	end   uint64      // behind its last one
	share uint64      // parts in one pass, if people were asked for evenly
	since int64       // no disclosure is earlier

	blocks []*listBlock // that are free
	used   int          // blocks that are not, and the memory of rows counted in blocks
	person Person       // for visit

	started bool // visit was called
}

// listPart is the disclosures of the people in a part of the ids, in the order in which they were found.
type listPart struct {
	blocks []*listBlock
	rows   []row // those of blocks that were added up before the end
}

// openBlock is the last block of a part.
type openBlock struct {
	*listBlock        // nil if the part has no block
	n          uint32 // events in it
	pool       uint32 // that of the latest event, its number plus one; 0 if there is none
}

// listBlock is events: the time of a disclosure since lister.since and, in lister.bits, the lower part of the person's id; or
// with poolEvent the number, plus one, of the pool that those after it, up to the next such event, belong to. The time has 48
// bits, which are 8,900 years.
type listBlock [blockEvents]uint64

const (
	blockEvents  = 512
	listBlockLen = blockEvents * 8
	listRowLen   = 32
	poolEvent    = 1 << 63
)

func newLister(x *Index, q Query, visit func(*Person) error) *lister {
	l := &lister{x: x, tally: newTally(q), visit: visit, bits: x.opts.sizes.part, since: math.MaxInt64}
	l.end = l.people()
	return l
}

func (l *lister) people() uint64 { return uint64(l.x.tail.base) + uint64(len(l.x.tail.fresh)) }

func (l *lister) run() error {
	for _, s := range l.x.segs {
		if s.outcomes > 0 {
			l.since = min(l.since, s.first)
		}
	}
	for i := range l.x.tail.outs {
		l.since = min(l.since, l.x.tail.outs[i].millis)
	}
	most := uint64(l.bound())
	l.names = nameReader{x: l.x, ahead: 1}
	if most > l.people()/namesPerPage { // most pages of names will be read
		l.names.ahead = pagesAhead
	}
	l.share = max(l.people()>>l.bits*uint64(l.x.opts.sizes.list)*blockEvents/(most+1), 1)
	for from := uint64(0); from < l.people(); from = l.end {
		l.begin(uint32(from))
		if err := l.gather(l.put); err != nil {
			return err
		}
		if err := l.give(); err != nil {
			return err
		}
	}
	return nil
}

// begin begins a pass from that id on to the last one.
func (l *lister) begin(from uint32) {
	l.base, l.end = from, l.people()
	size := uint64(1) << l.bits
	n := (l.end - uint64(from) + size - 1) / size
	if n > l.share {
		n = l.share
		l.end = uint64(from) + n*size
	}
	l.parts, l.open = make([]listPart, n), make([]openBlock, n)
}

// put takes disclosures of one pool in, but for those that are for another pass.
func (l *lister) put(ids, times []uint64, of *pool) {
	number, bits, since := of.number+1, l.bits, uint64(l.since)
	base, within := uint64(l.base), uint64(1)<<l.bits-1
	open := l.open
	for i, id := range ids {
		id -= base
		part := id >> bits
		if part >= uint64(len(open)) { // that of an id below the base too
			continue
		}
		b := &open[part]
		if b.n >= blockEvents-1 || b.listBlock == nil { // two events must fit
			found := l.room(uint32(part))
			if open = l.open; !found {
				continue
			}
		}
		if b.pool != number {
			b.pool = number
			b.listBlock[b.n] = poolEvent | uint64(number)
			b.n++
		}
		b.listBlock[b.n%blockEvents] = (times[i]-since)<<bits | id&within
		b.n++
	}
}

// room opens a block for a part. It returns false if the part is left to the next pass.
func (l *lister) room(part uint32) bool {
	p, open := &l.parts[part], &l.open[part]
	most := 1 + l.rowBlocks() // from then on rows are smaller
	if p.rows != nil {
		most = 1 + most/8
	}
	if len(p.blocks) >= most {
		l.addUp(part)
	}
	for l.used >= l.x.opts.sizes.list && len(l.parts) > 1 {
		l.leave(len(l.parts) / 2)
		if int(part) >= len(l.parts) {
			return false
		}
	}
	if open.listBlock != nil && open.n < blockEvents {
		open.listBlock[open.n] = poolEvent | uint64(open.pool)
	}
	b := (*listBlock)(nil)
	if n := len(l.blocks); n > 0 {
		b, l.blocks = l.blocks[n-1], l.blocks[:n-1]
	} else {
		b = new(listBlock)
	}
	p.blocks = append(p.blocks, b)
	open.listBlock, open.n = b, 0
	l.used++
	return true
}

// leave leaves the parts from that one on to the next pass.
func (l *lister) leave(from int) {
	for i := from; i < len(l.parts); i++ {
		l.free(uint32(i))
		l.freeRows(uint32(i))
	}
	l.parts, l.open = l.parts[:from], l.open[:from]
	l.end = uint64(l.base) + uint64(from)<<l.bits
}

func (l *lister) free(part uint32) {
	p := &l.parts[part]
	l.blocks = append(l.blocks, p.blocks...)
	l.used -= len(p.blocks)
	p.blocks, l.open[part] = p.blocks[:0], openBlock{}
}

func (l *lister) freeRows(part uint32) {
	if p := &l.parts[part]; p.rows != nil {
		l.used -= l.rowBlocks()
		p.rows = nil
	}
}

// addUp moves the disclosures of a part to rows of its own. What the rows take, the blocks give back.
func (l *lister) addUp(part uint32) {
	p := &l.parts[part]
	fresh := p.rows == nil
	if fresh {
		p.rows = make([]row, 1<<l.bits)
		l.used += l.rowBlocks()
	}
	l.fold(part, p.rows)
	if fresh {
		n := max(len(l.blocks)-l.rowBlocks(), 0)
		clear(l.blocks[n:])
		l.blocks = l.blocks[:n]
	}
}

// rowBlocks is the memory of a part's rows, in blocks.
func (l *lister) rowBlocks() int { return listRowLen << l.bits / listBlockLen }
