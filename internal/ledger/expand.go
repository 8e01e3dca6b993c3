package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"weir"
)

// expand returns the live form of a compact volume.
func expand(b []byte) ([]byte, error) {
	h, err := decodeCompactHeader(b)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(int(min(h.live+h.rest, 64*uint64(len(b))))) // all of a real one, and not what a false one says
	if err := expandTo(&out, b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// expandTo writes the live form of a compact volume.
func expandTo(w io.Writer, b []byte) error {
	h, err := decodeCompactHeader(b)
	if err != nil {
		return err
	}
	end := max(len(b)-4, 0)
	if h.tail > uint64(end) || compactHead+uint64(h.opening)+h.tail > uint64(end) || h.tooLarge(end) {
		return errCompact
	}
	if crc(b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return errCompact
	}
	opening, tail := b[compactHead:compactHead+h.opening], b[end-int(h.tail):end]
	o, err := decodeOpening(opening)
	if err != nil || len(o.raw) != len(opening) {
		return errCompact
	}
	if _, err := w.Write(opening); err != nil {
		return err
	}
	e := &expander{w: w, first: o.first, chain: openingHash(o.raw), left: h.live - uint64(h.opening)}
	e.rest = b[compactHead+int(h.opening) : end-int(h.tail)]
	for len(e.rest) > 0 && !e.bad {
		if err := e.chunk(); err != nil {
			return err
		}
	}
	if e.bad || e.left > 0 || e.chain != h.chain {
		return errCompact
	}
	e.rest = tail
	rest := e.deflated(nil, h.rest)
	if e.bad || len(e.rest) > 0 {
		return errCompact
	}
	_, err = w.Write(rest)
	return err
}

// expander puts frames together again.
type expander struct {
	unpacker
	w       io.Writer
	people  []weir.Pseudonym
	seen    uint64 // of people, those who have had a record
	columns [columns]numbers
	bodies  []byte
	room    []byte // for bodies
	first   uint64 // number of the next entry
	millis  int64
	chain   hash
	left    uint64 // bytes of frames that are to come
	hashing hashing
	body    []byte
	out     []byte // a frame
}

// chunk reads a chunk's columns, and writes its frames.
func (e *expander) chunk() error {
	frames := e.uvarint()
	e.read(frames)
	for range frames {
		if e.bad || !e.frame() {
			e.bad = true
			return nil
		}
		if _, err := e.w.Write(e.out); err != nil {
			return err
		}
	}
	return nil
}

// read reads the columns. How many numbers one has is known from those before it; nothing can have more than live bytes.
func (e *expander) read(frames uint64) {
	c := &e.columns
	e.column(&c[colEntries], frames)
	e.column(&c[colStep], frames)
	entries := e.sum(colEntries)
	e.column(&c[colAfter], entries)
	e.column(&c[colOther], entries)
	outcomes, bodies := e.others()
	for i := range outcomeFields {
		e.column(&c[colOutcome+i], outcomes)
	}
	records := e.sum(colRecords)
	e.column(&c[colKnown], records)
	e.column(&c[colClasses], records)
	known := e.sum(colKnown)
	e.column(&c[colPlace], known)
	for b := e.take(16 * (records - min(known, records))); len(b) > 0; b = b[16:] {
		e.people = append(e.people, weir.Pseudonym(b))
	}
	e.room = e.deflated(e.room, bodies)
	e.bodies = e.room
}

// sum adds a column up, of things of which each takes a byte or more.
func (e *expander) sum(column int) uint64 {
	n, ok := e.columns[column].sum(e.left)
	e.bad = e.bad || !ok
	return n
}

// others counts the outcomes in columns, and the bytes of all other bodies.
func (e *expander) others() (outcomes, bodies uint64) {
	c := e.columns[colOther]
	for range c.count {
		switch n := c.next(); {
		case n == 0:
			outcomes++
		case n-1 > e.left-bodies:
			e.bad = true
			return 0, 0
		default:
			bodies += n - 1
		}
	}
	return outcomes, bodies
}

// frame puts the next frame together in out. It reports whether there is one.
func (e *expander) frame() bool {
	count := e.columns[colEntries].next()
	e.millis += int64(e.columns[colStep].next())
	e.out = append(e.out[:0], make([]byte, frameHeadSize)...)
	for range count {
		after := e.columns[colAfter].next()
		if !e.entry() {
			return false
		}
		e.out = appendEntry(e.out, after, e.body)
		if uint64(len(e.out)) > min(e.left, frameHeadSize+maxFramePayload) {
			return false
		}
	}
	if count == 0 || !e.seal(uint32(count)) || uint64(len(e.out)) > e.left {
		return false
	}
	e.left -= uint64(len(e.out))
	e.first += count
	return true
}

// entry puts the next entry's body together.
func (e *expander) entry() bool {
	if n := e.columns[colOther].next(); n > 0 {
		e.body, e.bodies = append(e.body[:0], e.bodies[:n-1]...), e.bodies[n-1:]
		return true
	}
	var fields [outcomeFields]uint64
	for i := range fields {
		fields[i] = e.columns[colOutcome+i].next()
	}
	if max(fields[0], fields[1], fields[2]) > 255 {
		return false
	}
	e.body = append(e.body[:0], typeOutcome, byte(fields[0]), byte(fields[1]), byte(fields[2]))
	for _, n := range fields[3:] {
		e.body = binary.AppendUvarint(e.body, n)
	}
	for range fields[outcomeFields-1] {
		if !e.record() {
			return false
		}
	}
	return true
}

// record adds the next record to the body.
func (e *expander) record() bool {
	at := e.seen
	switch e.columns[colKnown].next() {
	case 0:
		e.seen++
	case 1:
		if at = e.columns[colPlace].next(); at >= e.seen {
			return false
		}
	default:
		return false
	}
	if at >= uint64(len(e.people)) {
		return false
	}
	e.body = append(e.body, e.people[at][:]...)
	e.body = binary.AppendUvarint(e.body, e.columns[colClasses].next())
	return true
}

// seal completes the frame in out: its head, chain hash and checksum.
func (e *expander) seal(count uint32) bool {
	f := frame{first: e.first, count: count, millis: e.millis, payload: e.out[frameHeadSize:]}
	appendFrameHead(e.out[:0], &f)
	e.hashing.begin(0, &e.chain, e.out, int(count))
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
	e.out = binary.LittleEndian.AppendUint32(e.out, crc(e.out))
	return true
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
	if size, err := src.Size(); err != nil || int64(h.opening) > size {
		return nil, errors.Join(errCompact, err, src.Close())
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
