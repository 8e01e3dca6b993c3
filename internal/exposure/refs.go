package exposure

import (
	"encoding/binary"
	"io"
	"sort"
)

// The second order: for each person, in the order of ids, the chunks that hold a disclosure of them. A block has up to
// peoplePerBlock people:
//
//	uvarint people | columns of steps between ids (less one), of references each (less one), of references: of each
//	person the first chunk, then steps to the next ones (less one) | columnPad bytes
const peoplePerBlock = 512

// refBlock is a block of the second order and where it stands.
type refBlock struct {
	first uint32 // the first person's id
	blob  blob
}

// blob is a piece of a segment's file.
type blob struct {
	off  int64
	size uint32
	crc  uint32
}

// refWriter makes blocks; flush must be called at the end.
type refWriter struct {
	emit   func(raw []byte) (blob, error)
	blocks []refBlock

	ids, counts, refs []uint64
	raw               []byte
}

// add appends a person, with an id higher than the one before, and the chunks in order, each once.
func (w *refWriter) add(id uint32, chunks []uint32) error {
	if len(w.ids) == peoplePerBlock {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.ids, w.counts = append(w.ids, uint64(id)), append(w.counts, uint64(len(chunks)-1))
	before := int64(-1)
	for _, c := range chunks {
		w.refs = append(w.refs, uint64(int64(c)-before-1))
		before = int64(c)
	}
	return nil
}

func (w *refWriter) flush() error {
	if len(w.ids) == 0 {
		return nil
	}
	first := uint32(w.ids[0])
	before := w.ids[0] - 1
	for i, id := range w.ids {
		w.ids[i] = id - before - 1
		before = id
	}
	w.raw = binary.AppendUvarint(w.raw[:0], uint64(len(w.ids)))
	for _, column := range [...][]uint64{w.ids, w.counts, w.refs} {
		w.raw = appendColumn(w.raw, column)
	}
	b, err := w.emit(append(w.raw, make([]byte, columnPad)...))
	w.blocks = append(w.blocks, refBlock{first, b})
	w.ids, w.counts, w.refs = w.ids[:0], w.counts[:0], w.refs[:0]
	return err
}

// refPage is a block that was read.
type refPage struct {
	ids    []uint64
	counts []uint64
	refs   []uint64
}

// decode reads a block and checks it against the number of people and of chunks.
func (p *refPage) decode(raw []byte, first, people uint32, chunks int) error {
	d := decoder{rest: raw}
	n := d.count(peoplePerBlock)
	p.ids, p.counts = d.column(n, p.ids), d.column(n, p.counts)
	total := 0
	for i, c := range p.counts {
		if c >= uint64(chunks) {
			return doubt("a person has more references than there are chunks")
		}
		p.counts[i]++
		total += int(c) + 1
	}
	p.refs = d.column(total, p.refs)
	if d.bad || n == 0 || len(d.rest) != columnPad {
		return doubt("a block of references cannot be read")
	}
	id, at := uint64(first)-1, 0
	for i, step := range p.ids {
		id += step + 1
		p.ids[i] = id
		if step >= uint64(people) || id >= uint64(people) {
			return doubt("a reference is of nobody")
		}
		chunk := int64(-1)
		for j := range p.refs[at : at+int(p.counts[i])] {
			step := p.refs[at+j]
			if step >= uint64(chunks) {
				return doubt("a reference leads nowhere")
			}
			chunk += int64(step) + 1
			p.refs[at+j] = uint64(chunk)
		}
		if at += int(p.counts[i]); chunk >= int64(chunks) {
			return doubt("a reference leads nowhere")
		}
	}
	return nil
}

// refReader goes through a segment's second order.
type refReader struct {
	seg   *segment
	block int // the next to read
	page  refPage
	at    int // the next person in page
	ref   int // the next person's first reference
}

// next returns the next person and the chunks, which are valid until the next call; io.EOF behind the last one.
func (r *refReader) next() (id uint32, chunks []uint64, err error) {
	if r.at == len(r.page.ids) {
		if r.block == len(r.seg.refs) {
			return 0, nil, io.EOF
		}
		if err := r.seg.refPage(r.block, &r.page); err != nil {
			return 0, nil, err
		}
		r.block++
		r.at, r.ref = 0, 0
	}
	id, chunks = uint32(r.page.ids[r.at]), r.page.refs[r.ref:r.ref+int(r.page.counts[r.at])]
	r.ref += len(chunks)
	r.at++
	return id, chunks, nil
}

func (s *segment) refPage(block int, page *refPage) error {
	raw, err := s.read(s.refs[block].blob, nil)
	if err != nil {
		return err
	}
	return page.decode(raw, s.refs[block].first, s.people(), len(s.chunks))
}

// chunksOf returns the chunks that hold a disclosure of the person.
func (s *segment) chunksOf(id uint32) ([]uint64, error) {
	block := sort.Search(len(s.refs), func(i int) bool { return s.refs[i].first > id }) - 1
	if block < 0 {
		return nil, nil
	}
	r := refReader{seg: s, block: block}
	if err := s.refPage(block, &r.page); err != nil {
		return nil, err
	}
	at := sort.Search(len(r.page.ids), func(i int) bool { return r.page.ids[i] >= uint64(id) })
	if at == len(r.page.ids) || r.page.ids[at] != uint64(id) {
		return nil, nil
	}
	from := 0
	for _, n := range r.page.counts[:at] {
		from += int(n)
	}
	return r.page.refs[from : from+int(r.page.counts[at])], nil
}
