package ledger

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"weir"
)

// A compact volume holds the bytes of a closed one in another form, from which they can be had again: pseudonyms once, in
// order, and where an entry had one, its place in that list. Whatever reads a ledger reads the live form that this gives, so
// entries, hashes and checkpoints are the same. docs/format/ledger.md has its bytes.
const (
	compactMagic = "weircmp2"
	compactHead  = 104
)

// compactHeader is the fixed part of a compact volume.
type compactHeader struct {
	live    uint64 // bytes of opening and frames
	rest    uint64 // bytes behind them
	opening uint32
	frames  uint32
	people  uint32
	dict    uint64 // bytes of each part
	ids     uint64
	meta    uint64
	tail    uint64
	chain   hash // of the last frame
}

func isCompact(b []byte) bool { return len(b) >= compactHead && string(b[:8]) == compactMagic }

func (h *compactHeader) encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, compactHead), compactMagic...)
	b = le.AppendUint64(le.AppendUint64(b, h.live), h.rest)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, h.opening), h.frames), h.people), 0)
	b = le.AppendUint64(le.AppendUint64(le.AppendUint64(le.AppendUint64(b, h.dict), h.ids), h.meta), h.tail)
	return append(b, h.chain[:]...)
}

func decodeCompactHeader(b []byte) (h compactHeader, err error) {
	if !isCompact(b) {
		return h, errTorn
	}
	le := binary.LittleEndian
	h = compactHeader{
		live: le.Uint64(b[8:]), rest: le.Uint64(b[16:]), opening: le.Uint32(b[24:]), frames: le.Uint32(b[28:]), people: le.Uint32(b[32:]),
		dict: le.Uint64(b[40:]), ids: le.Uint64(b[48:]), meta: le.Uint64(b[56:]), tail: le.Uint64(b[64:]), chain: hash(b[72:]),
	}
	const most = 1 << 36
	if h.live > most || h.rest > most || h.dict > most || h.ids > most || h.meta > most || h.tail > most || uint64(h.opening) > h.live {
		return h, errCompact
	}
	return h, nil
}

var errCompact = errors.New("the compact volume is damaged")

// compactor collects the parts of a compact volume.
type compactor struct {
	place map[weir.Pseudonym]uint32
	order []weir.Pseudonym // of all records
	meta  []byte
}

// compact returns the compact form of a closed volume that is whole.
func compact(live []byte) ([]byte, error) {
	o, err := decodeOpening(live)
	if err != nil {
		return nil, err
	}
	h := compactHeader{opening: uint32(len(o.raw)), chain: openingHash(o.raw)}
	c := &compactor{place: map[weir.Pseudonym]uint32{}}
	at, millis := len(o.raw), int64(0)
	for {
		f, err := decodeFrame(live[at:])
		if err != nil {
			break
		}
		c.frame(&f, millis)
		h.chain, millis = f.chain, f.millis
		h.frames++
		at += f.size
	}
	h.live, h.rest = uint64(at), uint64(len(live)-at)
	people := make([]weir.Pseudonym, 0, len(c.place))
	for p := range c.place {
		people = append(people, p)
	}
	slices.SortFunc(people, func(a, b weir.Pseudonym) int { return bytes.Compare(a[:], b[:]) })
	for i, p := range people {
		c.place[p] = uint32(i)
	}
	h.people = uint32(len(people))
	dict := packPeople(people)
	var ids bitWriter
	for _, p := range c.order {
		ids.write(uint64(c.place[p]), idBits(h.people))
	}
	meta, tail := deflate(c.meta), deflate(live[at:])
	h.dict, h.ids, h.meta, h.tail = uint64(len(dict)), uint64(len(ids.done())), uint64(len(meta)), uint64(len(tail))
	out := slices.Concat(h.encode(), o.raw, dict, ids.done(), meta, tail)
	return binary.LittleEndian.AppendUint32(out, crc(out)), nil
}

// frame takes a frame apart: what is left of it goes to meta.
func (c *compactor) frame(f *frame, before int64) {
	c.meta = binary.AppendUvarint(c.meta, uint64(f.count))
	c.meta = binary.AppendVarint(c.meta, f.millis-before)
	rest := f.payload
	for range f.count {
		body, millis, after, ok := nextEntry(rest, f.millis)
		if !ok {
			break // the caller compares what comes of this with what it had
		}
		rest = after
		c.meta = binary.AppendUvarint(c.meta, uint64(millis-f.millis))
		head, n, ok := splitOutcome(body)
		if !ok {
			c.meta = binary.AppendUvarint(c.meta, uint64(len(body))<<1)
			c.meta = append(c.meta, body...)
			continue
		}
		c.meta = binary.AppendUvarint(c.meta, uint64(head)<<1|1)
		c.meta = append(c.meta, body[:head]...)
		body = body[head:]
		for range n {
			p := weir.Pseudonym(body)
			_, after, _ := uvarint(body[len(p):])
			c.meta = append(c.meta, body[len(p):len(body)-len(after)]...)
			c.place[p] = 0
			c.order = append(c.order, p)
			body = after
		}
	}
}

// splitOutcome returns how long an outcome's body is up to its records, and how many there are. It is not ok for other
// bodies, and for outcomes that are not as this program writes them.
func splitOutcome(body []byte) (head int, records uint64, ok bool) {
	if len(body) < 4 || body[0] != typeOutcome {
		return 0, 0, false
	}
	rest := body[4:]
	for range 9 {
		if records, rest, ok = uvarint(rest); !ok {
			return 0, 0, false
		}
	}
	head = len(body) - len(rest)
	for range records {
		if len(rest) < 17 {
			return 0, 0, false
		}
		if _, rest, ok = uvarint(rest[16:]); !ok {
			return 0, 0, false
		}
	}
	return head, records, len(rest) == 0
}

// expand returns the live form of a compact volume.
func expand(b []byte) ([]byte, error) {
	h, err := decodeCompactHeader(b)
	if err != nil {
		return nil, err
	}
	size := compactHead + uint64(h.opening) + h.dict + h.ids + h.meta + h.tail + 4
	if uint64(len(b)) != size || crc(b[:size-4]) != binary.LittleEndian.Uint32(b[size-4:]) {
		return nil, errCompact
	}
	part := func(n uint64) []byte {
		p := b[:n]
		b = b[n:]
		return p
	}
	part(compactHead)
	opening, dict, ids := part(uint64(h.opening)), part(h.dict), part(h.ids)
	o, err := decodeOpening(opening)
	if err != nil {
		return nil, errCompact
	}
	people, ok := unpackPeople(dict, h.people)
	if !ok {
		return nil, errCompact
	}
	e := &expander{people: people, ids: bitReader{b: ids}, width: idBits(h.people), first: o.first, chain: openingHash(o.raw)}
	meta := flate.NewReader(bytes.NewReader(part(h.meta)))
	if e.meta, err = io.ReadAll(io.LimitReader(meta, int64(h.live)+1)); err != nil {
		return nil, errCompact
	}
	e.out = append(make([]byte, 0, h.live+h.rest), opening...)
	for range h.frames {
		if !e.frame() || uint64(len(e.out)) > h.live {
			return nil, errCompact
		}
	}
	if uint64(len(e.out)) != h.live || len(e.meta) > 0 || e.chain != h.chain {
		return nil, errCompact
	}
	tail := flate.NewReader(bytes.NewReader(part(h.tail)))
	rest, err := io.ReadAll(io.LimitReader(tail, int64(h.rest)+1))
	if err != nil || uint64(len(rest)) != h.rest {
		return nil, errCompact
	}
	return append(e.out, rest...), nil
}

// expander puts frames together again.
type expander struct {
	people  []weir.Pseudonym
	ids     bitReader
	width   int
	meta    []byte
	first   uint64
	millis  int64
	chain   hash
	hashing hashing
	body    []byte
	out     []byte
}

func (e *expander) uvarint() (uint64, bool) {
	n, rest, ok := uvarint(e.meta)
	if ok {
		e.meta = rest
	}
	return n, ok
}

func (e *expander) frame() bool {
	count, ok := e.uvarint()
	if !ok || count > maxFramePayload {
		return false
	}
	step, size := binary.Varint(e.meta)
	if size <= 0 {
		return false
	}
	e.meta, e.millis = e.meta[size:], e.millis+step
	start := len(e.out)
	e.out = append(e.out, make([]byte, frameHeadSize)...)
	for range count {
		delta, ok1 := e.uvarint()
		length, ok2 := e.uvarint()
		if !ok1 || !ok2 || length>>1 > uint64(len(e.meta)) {
			return false
		}
		e.body = append(e.body[:0], e.meta[:length>>1]...)
		e.meta = e.meta[length>>1:]
		if length&1 == 1 && !e.records() {
			return false
		}
		e.out = appendEntry(e.out, delta, e.body)
	}
	f := frame{first: e.first, count: uint32(count), millis: e.millis, payload: e.out[start+frameHeadSize:]}
	appendFrameHead(e.out[start:start], &f)
	e.hashing.begin(0, &e.chain, e.out[start:], int(count))
	for seq, rest := e.first, f.payload; len(rest) > 0; seq++ {
		body, millis, after, ok := nextEntry(rest, e.millis)
		if !ok {
			return false
		}
		e.hashing.entry(seq, millis, body)
		rest = after
	}
	e.hashing.finish()
	e.chain = e.hashing.frames[0].chain
	e.hashing.reset()
	e.out = append(e.out, e.chain[:]...)
	e.out = binary.LittleEndian.AppendUint32(e.out, crc(e.out[start:]))
	e.first += count
	return true
}

// records appends an outcome's records to its body, whose last number says how many there are.
func (e *expander) records() bool {
	if len(e.body) < 4 {
		return false
	}
	rest, n, ok := e.body[4:], uint64(0), false
	for range 9 {
		if n, rest, ok = uvarint(rest); !ok {
			return false
		}
	}
	for range n {
		id := e.ids.read(e.width)
		classes, after, ok := uvarint(e.meta)
		if !ok || id >= uint64(len(e.people)) || e.ids.over {
			return false
		}
		e.meta = after
		e.body = append(e.body, e.people[id][:]...)
		e.body = binary.AppendUvarint(e.body, classes)
	}
	return true
}

// idBits is the width of a place among so many people.
func idBits(people uint32) int { return bits.Len32(max(people, 1) - 1) }

// gapBits is the width of the part of a gap that is written as it is, for so many people evenly spread.
func gapBits(people int) int { return 64 - bits.Len64(uint64(people)) }

// packPeople writes pseudonyms in order: of the first half of each the distance to the one before (Rice code), of the second
// all bits.
func packPeople(people []weir.Pseudonym) []byte {
	var w bitWriter
	before, width := uint64(0), gapBits(len(people))
	for _, p := range people {
		high := binary.BigEndian.Uint64(p[:])
		gap := high - before
		before = high
		for range gap >> width {
			w.write(0, 1)
		}
		w.write(1, 1)
		w.write(gap&(1<<width-1), width)
		w.write(binary.BigEndian.Uint64(p[8:]), 64)
	}
	return w.done()
}

func unpackPeople(b []byte, n uint32) ([]weir.Pseudonym, bool) {
	if uint64(n) > uint64(len(b)) {
		return nil, false
	}
	r := bitReader{b: b}
	people := make([]weir.Pseudonym, n)
	high, width := uint64(0), gapBits(int(n))
	for i := range people {
		gap := uint64(0)
		for r.read(1) == 0 {
			if r.over {
				return nil, false
			}
			gap++
		}
		high += gap<<width | r.read(width)
		binary.BigEndian.PutUint64(people[i][:], high)
		binary.BigEndian.PutUint64(people[i][8:], r.read(64))
	}
	return people, !r.over && slices.IsSortedFunc(people, func(a, b weir.Pseudonym) int {
		return cmp.Or(bytes.Compare(a[:], b[:]), 1) // equal ones are not in order
	})
}

// bitWriter packs numbers, the lowest bit first.
type bitWriter struct {
	b    []byte
	acc  uint64
	fill int
}

func (w *bitWriter) write(n uint64, width int) {
	w.acc |= n << w.fill
	if w.fill+width >= 64 {
		w.b = binary.LittleEndian.AppendUint64(w.b, w.acc)
		w.acc = 0
		if w.fill > 0 {
			w.acc = n >> (64 - w.fill)
		}
		w.fill += width - 64
		return
	}
	w.fill += width
}

// done returns what was written; the last byte is filled with zeros.
func (w *bitWriter) done() []byte {
	for w.fill > 0 {
		w.b = append(w.b, byte(w.acc))
		w.acc >>= 8
		w.fill -= 8
	}
	w.fill = 0
	return w.b
}

type bitReader struct {
	b    []byte
	at   uint64 // in bits
	over bool   // more was read than there is
}

func (r *bitReader) read(width int) (n uint64) {
	if width == 0 {
		return 0
	}
	if r.at+uint64(width) > uint64(len(r.b))*8 {
		r.over = true
		return 0
	}
	var window [16]byte
	copy(window[:], r.b[r.at/8:])
	shift := r.at % 8
	n = binary.LittleEndian.Uint64(window[:]) >> shift
	if shift > 0 {
		n |= binary.LittleEndian.Uint64(window[8:]) << (64 - shift)
	}
	r.at += uint64(width)
	if width < 64 {
		n &= 1<<width - 1
	}
	return n
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err == nil {
		if _, err = w.Write(b); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		panic(fmt.Sprint("ledger: deflate into memory: ", err)) // cannot fail: the level is right and a buffer takes all
	}
	return out.Bytes()
}

// compactSource is a compact volume, read as if it were live. Frames are put together only when one is asked for.
type compactSource struct {
	Source
	head []byte // the live form's opening
	size int64  // of the live form
	all  []byte // the live form, once it is needed
}

// live returns a source of the volume's live form. It closes src where it fails.
func live(src Source) (Source, error) {
	raw := make([]byte, compactHead)
	n, err := src.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, src.Close())
	}
	if !isCompact(raw[:n]) {
		return src, nil
	}
	h, err := decodeCompactHeader(raw)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	c := &compactSource{Source: src, head: make([]byte, h.opening), size: int64(h.live + h.rest)}
	if n, err := src.ReadAt(c.head, compactHead); n < len(c.head) {
		return nil, errors.Join(errCompact, err, src.Close())
	}
	return c, nil
}

func (c *compactSource) Size() (int64, error) { return c.size, nil }

func (c *compactSource) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= int64(len(c.head)) {
		return copy(p, c.head[off:]), nil
	}
	if c.all == nil {
		size, err := c.Source.Size()
		if err != nil {
			return 0, err
		}
		raw := make([]byte, size)
		if _, err := c.Source.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if c.all, err = expand(raw); err != nil {
			return 0, err
		}
	}
	return bytes.NewReader(c.all).ReadAt(p, off)
}
