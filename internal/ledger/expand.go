package ledger

import (
	"encoding/binary"
	"errors"
	"io"

	"weir"
)

// expander gives the live form of a compact volume piece by piece, and has no more than a chunk of it in memory.
type expander struct {
	unpacker // of the chunks
	h        compactHeader
	opening  []byte
	tail     []byte
	given    bool // the opening
	ended    bool
	people   []weir.Pseudonym
	seen     uint64 // of people, those who have had a record
	columns  [columns]numbers
	bodies   []byte
	room     []byte // for bodies
	first    uint64 // number of the next entry
	millis   int64
	chain    hash
	left     uint64 // live bytes that are to come
	hashing  hashing
	body     []byte
	out      []byte // frames of the chunk
}

// newExpander looks at what can be seen of a compact volume without its columns.
func newExpander(b []byte) (*expander, error) {
	h, err := decodeCompactHeader(b)
	if err != nil {
		return nil, err
	}
	end := max(len(b)-4, 0)
	if h.tail > uint64(end) || compactHead+uint64(h.opening)+h.tail > uint64(end) || h.tooLarge(end) {
		return nil, errCompact
	}
	if crc(b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, errCompact
	}
	from, to := compactHead+int(h.opening), end-int(h.tail)
	o, err := decodeOpening(b[compactHead:from])
	if err != nil || len(o.raw) != int(h.opening) {
		return nil, errCompact
	}
	return &expander{
		unpacker: unpacker{rest: b[from:to]}, h: h, opening: o.raw, tail: b[to:end],
		first: o.first, chain: openingHash(o.raw), left: h.live - uint64(h.opening),
	}, nil
}

// next returns the next piece, which is valid until the next call: the opening, the frames of a chunk, what is behind the last
// frame; then io.EOF.
func (e *expander) next() ([]byte, error) {
	switch {
	case e.ended:
		return nil, io.EOF
	case !e.given:
		e.given = true
		return e.opening, nil
	case len(e.rest) > 0:
		if e.chunk(); e.bad {
			return nil, errCompact
		}
		return e.out, nil
	case e.left > 0 || e.chain != e.h.chain:
		return nil, errCompact
	}
	e.ended, e.rest = true, e.tail
	behind := e.deflated(nil, e.h.rest)
	if e.bad || len(e.rest) > 0 {
		return nil, errCompact
	}
	return behind, nil
}

// expand returns the live form of a compact volume.
func expand(b []byte) ([]byte, error) {
	e, err := newExpander(b)
	if err != nil {
		return nil, err
	}
	live := make([]byte, 0, min(e.h.live+e.h.rest, 64*uint64(len(b)))) // all of a real one, and not what a false one says
	for {
		piece, err := e.next()
		if errors.Is(err, io.EOF) {
			return live, nil
		}
		if err != nil {
			return nil, err
		}
		live = append(live, piece...)
	}
}

// chunk reads a chunk's columns and puts its frames together.
func (e *expander) chunk() {
	e.out = e.out[:0]
	frames := e.uvarint()
	e.read(frames)
	for range frames {
		if e.bad || !e.frame() {
			e.bad = true
			return
		}
	}
	e.bad = e.bad || frames == 0
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

// frame adds the next frame to out. It reports whether there is one.
func (e *expander) frame() bool {
	count := e.columns[colEntries].next()
	e.millis += int64(e.columns[colStep].next())
	start := len(e.out)
	e.out = append(e.out, make([]byte, frameHeadSize)...)
	for range count {
		after := e.columns[colAfter].next()
		if !e.entry() {
			return false
		}
		e.out = appendEntry(e.out, after, e.body)
		if uint64(len(e.out)-start) > min(e.left, frameHeadSize+maxFramePayload) {
			return false
		}
	}
	if count == 0 || !e.seal(start, uint32(count)) || uint64(len(e.out)-start) > e.left {
		return false
	}
	e.left -= uint64(len(e.out) - start)
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

// seal completes the frame that begins in out at start: its head, chain hash and checksum.
func (e *expander) seal(start int, count uint32) bool {
	f := frame{first: e.first, count: count, millis: e.millis, payload: e.out[start+frameHeadSize:]}
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
	return true
}
