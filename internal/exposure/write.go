package exposure

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"weir"
)

// sizes are what tests make small. A merge keeps a batch's order of magnitude of nothing in memory: beside buffers only the
// accumulators' sets (less than a fifth of a byte for each person, cell and level) and the segment's meta piece.
type sizes struct {
	chunk  int // disclosures or outcomes in a chunk
	bucket int // disclosures or outcomes from which on a bucket is kept
	batch  int // disclosures or outcomes held in memory before they become a segment
	live   int // the same once the ledger's end has been reached
	list   int // blocks of disclosures that are held in memory while a list is made
	part   int // bits of an id that tell the people in one part of a list apart
}

var usualSizes = sizes{chunk: 16 << 10, bucket: 64 << 10, batch: 2 << 20, live: 64 << 10, list: 384 << 20 / listBlockLen, part: 15}

// segmentWriter writes a segment: principals by pseudonym with begin, append and end, then people, then references, finish.
type segmentWriter struct {
	out   *bufio.Writer
	off   int64
	sizes sizes
	seg   *segment
	cells *cellTable

	open   chunk // the chunk that append fills
	raw    []byte
	limit  int  // of the principal's chunks
	heavy  bool // the principal gets buckets
	levels [levels]accumulator
	all    accumulator
	dir    metaWriter // the principal's buckets
	seen   []int      // by cell: the last principal that had it, counted from 1
}

func newSegmentWriter(w io.Writer, sz sizes, t *tables, from, to uint64) *segmentWriter {
	return &segmentWriter{
		out: bufio.NewWriterSize(w, 1<<20), off: 0, sizes: sz,
		seg: &segment{from: from, to: to, tables: t}, cells: &cellTable{loose: map[cell]int{}},
	}
}

func (w *segmentWriter) write(raw []byte) error {
	n, err := w.out.Write(raw)
	w.off += int64(n)
	return err
}

func (w *segmentWriter) emit(raw []byte) (blob, error) {
	if w.off == 0 {
		if err := w.write([]byte(segmentMagic)); err != nil {
			return blob{}, err
		}
	}
	b := blob{w.off, uint32(len(raw)), crc32.Checksum(raw, castagnoli)}
	return b, w.write(raw)
}

// begin begins a principal that has that many outcomes or disclosures. Its chunks get about the same size each, whichever
// number of them comes nearest to the usual one: the fewer there are, the shorter are the references to them.
func (w *segmentWriter) begin(name weir.Pseudonym, size int) {
	chunks := max((size+w.sizes.chunk/2)/w.sizes.chunk, 1)
	w.limit = (size + chunks - 1) / chunks
	w.seg.who = append(w.seg.who, party{name: name, from: len(w.seg.chunks)})
	w.heavy = size >= w.sizes.bucket
	w.dir = metaWriter{}
}

// append adds a chunk's outcomes and returns the number of the chunk that they are now in.
func (w *segmentWriter) append(c *chunk) (number int, err error) {
	if len(w.open.millis) > 0 && w.open.size()+c.size()/2 > w.limit {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	w.open.add(c)
	return len(w.seg.chunks), nil
}

// worthSharing is the size from which on a chunk is encoded by one core while another counts it.
const worthSharing = 4 << 10

func (w *segmentWriter) flush() error {
	c := &w.open
	if len(c.millis) == 0 {
		return nil
	}
	if !c.finish() {
		return fmt.Errorf("an outcome has more than %d disclosures", mostInChunk)
	}
	encode := func() { w.raw = appendChunk(w.raw[:0], c) }
	encoded := make(chan struct{})
	if c.size() < worthSharing {
		encode()
		close(encoded)
	} else {
		go func() { encode(); close(encoded) }() // count reads what this reads, and neither changes it
	}
	err := w.count(c)
	if <-encoded; err != nil {
		return err
	}
	b, err := w.emit(w.raw)
	if err != nil {
		return err
	}
	info := chunkInfo{blob: b, first: int64(c.millis[0]), last: int64(c.millis[len(c.millis)-1]), outcomes: uint32(len(c.millis)), events: uint32(len(c.people))}
	if len(c.people) > 0 {
		info.least, info.most = uint32(c.people[0]), uint32(c.people[0])
	}
	for _, p := range c.people {
		info.least, info.most = min(info.least, uint32(p)), max(info.most, uint32(p))
	}
	s := w.seg
	if s.outcomes == 0 {
		s.first, s.last = info.first, info.last
	}
	s.first, s.last = min(s.first, info.first), max(s.last, info.last)
	s.outcomes, s.events = s.outcomes+len(c.millis), s.events+len(c.people)
	s.chunks = append(s.chunks, info)
	c.reset()
	return nil
}

// count feeds the buckets, and notes which cells the principal has something in.
func (w *segmentWriter) count(c *chunk) error {
	me := len(w.seg.who)
	mark := func(n int) {
		for n >= len(w.seen) {
			w.seen = append(w.seen, 0)
		}
		if w.seen[n] != me {
			w.seen[n] = me
			w.seg.who[me-1].cells = append(w.seg.who[me-1].cells, n)
		}
	}
	event := 0
	shape, set := uint64(1<<63), uint64(0) // marked last
	for i, end := range c.ends {
		for ; event < end; event++ {
			if c.shapes[i] == shape && c.sets[event] == set {
				continue
			}
			shape, set = c.shapes[i], c.sets[event]
			mark(w.cells.number(cell{int(c.shapes[i]), int(c.sets[event]), false}))
		}
	}
	for _, l := range c.loose {
		mark(w.cells.number(cell{int(c.shapes[l.outcome]), int(l.set), true}))
	}
	if !w.heavy {
		w.all.feed(c, 0, len(c.millis), w.cells)
		return nil
	}
	for from := 0; from < len(c.millis); {
		day := numberOf(0, int64(c.millis[from]))
		_, to := c.between(int64(c.millis[from]), day*dayMillis+dayMillis)
		a := &w.levels[0]
		if a.full && a.number != day {
			if err := w.close(0); err != nil {
				return err
			}
		}
		a.number = day
		a.feed(c, from, to, w.cells)
		from = to
	}
	return nil
}

// close ends a level's present bucket: it is written where there is enough in it, and then goes into that of the next level.
func (w *segmentWriter) close(level int) error {
	a := &w.levels[level]
	if !a.full {
		return nil
	}
	kept := a.lone
	if max(a.events, a.outcomes) >= w.sizes.bucket && !(a.lone && a.parts == 1) {
		b, err := a.written(level, w.emit)
		if err != nil {
			return err
		}
		b.append(&w.dir)
		kept = true
	}
	if level+1 < levels {
		up := &w.levels[level+1]
		number := numberOf(level+1, a.first)
		if up.full && up.number != number {
			if err := w.close(level + 1); err != nil {
				return err
			}
		}
		up.add(a)
		up.number, up.parts = number, up.parts+1
		up.lone = kept && up.parts == 1
	} else {
		w.all.add(a)
	}
	a.clear()
	return nil
}

// end ends the principal.
func (w *segmentWriter) end() (err error) {
	if err := w.flush(); err != nil {
		return err
	}
	for level := range levels {
		if err := w.close(level); err != nil {
			return err
		}
	}
	me := &w.seg.who[len(w.seg.who)-1]
	me.to = len(w.seg.chunks)
	if len(w.dir.b) > 0 {
		me.buckets, err = w.emit(w.dir.b)
	}
	return err
}

// people writes the names of the n people from base on, whom column visits in the order of ids.
func (w *segmentWriter) people(base uint32, n int, column func(func(*weir.Pseudonym)) error, hashes nameHashes) error {
	w.seg.book = book{base: base, n: n}
	if n == 0 {
		return nil
	}
	if _, err := w.emit(nil); err != nil {
		return err
	}
	w.seg.book.column = w.off
	page := make([]byte, 0, pageSize)
	var failed error
	turn := func() {
		page = page[:pageSize]
		sealPage(page)
		if err := w.write(page); err != nil && failed == nil {
			failed = err
		}
		clear(page)
		page = page[:0]
	}
	err := column(func(p *weir.Pseudonym) {
		if page = append(page, p[:]...); len(page) == namesPerPage*len(p) {
			turn()
		}
	})
	if len(page) > 0 {
		turn()
	}
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	w.seg.book.names = w.off
	w.seg.book.pages, err = writeNames(writerFunc(w.write), n, hashes)
	return err
}

type writerFunc func([]byte) error

func (f writerFunc) Write(b []byte) (int, error) { return len(b), f(b) }

// references returns the writer of the second order; its flush must be called before finish.
func (w *segmentWriter) references() *refWriter { return &refWriter{emit: w.emit} }

func (w *segmentWriter) finish(refs *refWriter) (err error) {
	s := w.seg
	s.refs, s.cells = refs.blocks, w.cells.list
	if max(w.all.events, w.all.outcomes) >= w.sizes.bucket {
		b, err := w.all.written(everything, w.emit)
		if err != nil {
			return err
		}
		m := metaWriter{}
		b.append(&m)
		if s.all, err = w.emit(m.b); err != nil {
			return err
		}
	}
	s.cells = w.cells.list
	meta, err := w.emit(s.encodeMeta())
	if err != nil {
		return err
	}
	foot := binary.LittleEndian.AppendUint64(nil, uint64(meta.off))
	foot = binary.LittleEndian.AppendUint32(foot, meta.size)
	foot = binary.LittleEndian.AppendUint32(foot, meta.crc)
	if err := w.write(append(foot, segmentMagic...)); err != nil {
		return err
	}
	return w.out.Flush()
}

// addPairs adds pairs of a person's id and a chunk, which are sorted by id.
func (w *refWriter) addPairs(pairs []uint64) error {
	var chunks []uint32
	for from := 0; from < len(pairs); {
		id := pairs[from] >> 32
		chunks = chunks[:0]
		sorted := true
		for ; from < len(pairs) && pairs[from]>>32 == id; from++ {
			c := uint32(pairs[from])
			if n := len(chunks); n > 0 && chunks[n-1] >= c {
				if chunks[n-1] == c {
					continue
				}
				sorted = false
			}
			chunks = append(chunks, c)
		}
		if !sorted {
			chunks = sortedOnce(chunks)
		}
		if err := w.add(uint32(id), chunks); err != nil {
			return err
		}
	}
	return nil
}

func sortedOnce(chunks []uint32) []uint32 {
	slices.Sort(chunks)
	return slices.Compact(chunks)
}
