package ledger

import (
	"encoding/binary"
	"errors"

	"weir"
)

// A compact volume holds the bytes of a closed one in another form, from which they can be had again: pseudonyms once, all
// else in columns. Whatever reads a ledger reads the live form that this gives, so entries, hashes and checkpoints are the
// same. docs/format/ledger.md has its bytes.
const (
	compactMagic = "weircmp3"
	compactHead  = 72
	chunkSize    = 1 << 16 // entries and records after which a chunk ends, with the frame that it is in

	// What the live form may be at most, so that the length of a file bounds what reading it takes: a volume that would be
	// smaller yet stays live.
	mostLive   = 1 << 33
	mostGrowth = 2048
)

// The columns of a chunk, in their order.
const (
	colEntries = iota // for each frame
	colStep           // its time, less that of the frame before
	colAfter          // for each entry: milliseconds since the frame's time
	colOther          // 0 if it is an outcome in columns, else the length of its body and 1 more
	colOutcome        // for each such outcome: kind, reason, flags, and the nine numbers of its body

	colRecords = colOutcome + outcomeFields - 1
	colKnown   = colRecords + 1 // for each record: 1 if somebody had a place
	colClasses = colKnown + 1
	colPlace   = colClasses + 1 // for each record of somebody who had one
	columns    = colPlace + 1
)

// outcomeFields is how many numbers an outcome has before its records, the last being how many those are.
const outcomeFields = 3 + 9

var (
	errCompact = errors.New("the compact volume is damaged")
	errAsItIs  = errors.New("the volume is not as this program writes it, and stays as it is")
)

// compactHeader is the fixed part of a compact volume.
type compactHeader struct {
	live    uint64 // bytes of opening and frames
	rest    uint64 // bytes behind them
	opening uint32 // bytes
	tail    uint64 // bytes that the rest takes
	chain   hash   // of the last frame
}

func isCompact(b []byte) bool { return len(b) >= compactHead && string(b[:8]) == compactMagic }

func (h *compactHeader) encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, compactHead), compactMagic...)
	b = le.AppendUint64(le.AppendUint64(b, h.live), h.rest)
	b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, h.opening), 0), h.tail)
	return append(b, h.chain[:]...)
}

func decodeCompactHeader(b []byte) (h compactHeader, err error) {
	if !isCompact(b) {
		return h, errTorn
	}
	le := binary.LittleEndian
	h = compactHeader{live: le.Uint64(b[8:]), rest: le.Uint64(b[16:]), opening: le.Uint32(b[24:]), tail: le.Uint64(b[32:]), chain: hash(b[40:])}
	if h.live > mostLive || h.rest > mostLive || uint64(h.opening) > h.live || le.Uint32(b[28:]) != 0 {
		return h, errCompact
	}
	return h, nil
}

// tooLarge reports whether a compact volume of so many bytes may not stand for what this one does.
func (h *compactHeader) tooLarge(size int) bool {
	return h.live > mostLive || h.rest > mostLive || h.live+h.rest > mostGrowth*uint64(size)
}

// compactor collects the frames of a chunk.
type compactor struct {
	packer
	people  roster
	written int // of people.order, in the chunks before
	waiting int // frames that wait for the end of their chunk
	columns [columns][]uint64
	bodies  []byte // of other entries
}

// compact returns the compact form of a closed volume. A chunk ends once it has so many entries and records.
func compact(live *window, chunkSize int) ([]byte, error) {
	b, err := live.opening()
	if err != nil {
		return nil, err
	}
	o, err := decodeOpening(b)
	if errors.Is(err, errTorn) {
		return nil, errAsItIs
	}
	if err != nil {
		return nil, err
	}
	c := &compactor{packer: *newPacker(make([]byte, compactHead, compactHead+live.size*3/8))}
	c.out = append(c.out, o.raw...)
	h := compactHeader{opening: uint32(len(o.raw)), chain: openingHash(o.raw)}
	at, err := c.frames(live, &h, chunkSize)
	if err != nil {
		return nil, err
	}
	before := len(c.out)
	if b, err = live.rest(at); err != nil {
		return nil, err
	}
	c.deflated(b)
	h.live, h.rest, h.tail = uint64(at), uint64(len(b)), uint64(len(c.out)-before)
	copy(c.out, h.encode())
	if h.tooLarge(len(c.out)) {
		return nil, errAsItIs
	}
	return binary.LittleEndian.AppendUint32(c.out, crc(c.out)), nil
}

// frames takes a volume's frames apart. It returns where the last one ends.
func (c *compactor) frames(live *window, h *compactHeader, chunkSize int) (at int64, err error) {
	at = int64(h.opening)
	millis := int64(0)
	for {
		b, err := live.frame(at)
		if err != nil {
			return 0, err
		}
		f, err := decodeFrame(b)
		if err != nil {
			c.chunk()
			return at, nil
		}
		if !c.frame(&f, millis) {
			return 0, errAsItIs
		}
		if h.chain, millis = f.chain, f.millis; c.collected() >= chunkSize {
			c.chunk()
		}
		at += int64(f.size)
	}
}

func (c *compactor) add(column int, n uint64) { c.columns[column] = append(c.columns[column], n) }

// frame takes a frame apart. It reports whether the frame can be read.
func (c *compactor) frame(f *frame, before int64) bool {
	c.waiting++
	c.add(colEntries, uint64(f.count))
	c.add(colStep, uint64(f.millis-before))
	rest := f.payload
	for range f.count {
		body, millis, after, ok := nextEntry(rest, f.millis)
		if !ok {
			return false
		}
		rest = after
		c.add(colAfter, uint64(millis-f.millis))
		fields, records, ok := splitOutcome(body)
		if !ok {
			c.add(colOther, uint64(len(body))+1)
			c.bodies = append(c.bodies, body...)
			continue
		}
		c.add(colOther, 0)
		for i, n := range fields {
			c.add(colOutcome+i, n)
		}
		c.records(records)
	}
	return len(rest) == 0
}

// records takes the records of an outcome apart.
func (c *compactor) records(b []byte) {
	for len(b) > 0 {
		place, known := c.people.place(weir.Pseudonym(b))
		classes, after, _ := uvarint(b[len(weir.Pseudonym{}):])
		b = after
		c.add(colClasses, classes)
		if !known {
			c.add(colKnown, 0)
			continue
		}
		c.add(colKnown, 1)
		c.add(colPlace, uint64(place))
	}
}

// collected is how many entries and records wait with them.
func (c *compactor) collected() int { return len(c.columns[colAfter]) + len(c.columns[colKnown]) }

// chunk writes what was collected.
func (c *compactor) chunk() {
	if c.waiting == 0 {
		return
	}
	c.uvarint(uint64(c.waiting))
	for i := range c.columns {
		c.column(c.columns[i])
		c.columns[i] = c.columns[i][:0]
	}
	for _, p := range c.people.order[c.written:] {
		c.out = append(c.out, p[:]...)
	}
	c.deflated(c.bodies)
	c.waiting, c.written, c.bodies = 0, len(c.people.order), c.bodies[:0]
}

// splitOutcome returns the fields and the records of an outcome's body. It is not ok for other bodies, and for outcomes that
// are not as this program writes them.
func splitOutcome(body []byte) (fields [outcomeFields]uint64, records []byte, ok bool) {
	if len(body) < 4 || body[0] != typeOutcome {
		return fields, nil, false
	}
	fields[0], fields[1], fields[2] = uint64(body[1]), uint64(body[2]), uint64(body[3])
	rest := body[4:]
	for i := 3; i < outcomeFields; i++ {
		if fields[i], rest, ok = uvarint(rest); !ok {
			return fields, nil, false
		}
	}
	records = rest
	for range fields[outcomeFields-1] {
		if len(rest) < 17 {
			return fields, nil, false
		}
		if _, rest, ok = uvarint(rest[16:]); !ok {
			return fields, nil, false
		}
	}
	return fields, records, len(rest) == 0
}
