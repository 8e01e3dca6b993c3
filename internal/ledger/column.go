package ledger

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// A column is numbers of one meaning. Each takes as many bytes as the largest of them needs; the lowest bytes of all are a
// plane, the next ones another, and each plane is DEFLATE of its own. So a number costs what it has of surprise, and one that
// does not change costs next to nothing.

// mostInflated is how many bytes one byte of DEFLATE gives at most: 258 of them in two bits.
const mostInflated = 1032

// packer appends columns to what it has.
type packer struct {
	out   []byte
	runs  *flate.Writer // looks for what was there before
	bytes *flate.Writer // looks at single bytes only
	plane []byte
	ways  [2]bytes.Buffer
}

func newPacker(out []byte) *packer {
	p := &packer{out: out}
	var err1, err2 error
	p.runs, err1 = flate.NewWriter(nil, flate.BestSpeed)
	p.bytes, err2 = flate.NewWriter(nil, flate.HuffmanOnly)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprint("ledger: deflate: ", err1, err2)) // cannot fail: these levels exist
	}
	return p
}

func (p *packer) uvarint(n uint64) { p.out = binary.AppendUvarint(p.out, n) }

// column appends numbers: how many bytes each takes, and the planes.
func (p *packer) column(numbers []uint64) {
	if len(numbers) == 0 {
		return
	}
	all := uint64(0)
	for _, n := range numbers {
		all |= n
	}
	at, width := len(p.out), 0
	p.out = append(p.out, 0)
	for ; all>>(8*width) > 0; width++ {
		p.plane = p.plane[:0]
		for _, n := range numbers {
			p.plane = append(p.plane, byte(n>>(8*width)))
		}
		p.deflated(p.plane)
	}
	p.out[at] = byte(width)
}

// deflated appends the length of the bytes' DEFLATE, and that: the shorter one of two.
func (p *packer) deflated(b []byte) {
	if len(b) == 0 {
		return
	}
	best := deflate(p.runs, &p.ways[0], b)
	if other := deflate(p.bytes, &p.ways[1], b); len(other) < len(best) {
		best = other
	}
	p.uvarint(uint64(len(best)))
	p.out = append(p.out, best...)
}

func deflate(w *flate.Writer, out *bytes.Buffer, b []byte) []byte {
	out.Reset()
	w.Reset(out)
	_, err := w.Write(b)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(fmt.Sprint("ledger: deflate into memory: ", err)) // cannot fail: a buffer takes all
	}
	return out.Bytes()
}

// unpacker takes columns off the front of rest. What cannot be read sets bad, and all that is read then is empty. It takes
// memory for what is there, whatever is said to be there.
type unpacker struct {
	rest    []byte
	bad     bool
	src     bytes.Reader
	inflate io.Reader
}

func (u *unpacker) uvarint() uint64 {
	n, rest, ok := uvarint(u.rest)
	if !ok || u.bad {
		u.bad = true
		return 0
	}
	u.rest = rest
	return n
}

// take returns the next n bytes as they are.
func (u *unpacker) take(n uint64) []byte {
	if u.bad || n > uint64(len(u.rest)) {
		u.bad = true
		return nil
	}
	b := u.rest[:n]
	u.rest = u.rest[n:]
	return b
}

// deflated reads n bytes that were deflated, into buf if that has room.
func (u *unpacker) deflated(buf []byte, n uint64) []byte {
	if n == 0 {
		return buf[:0]
	}
	packed := u.take(u.uvarint())
	if u.bad || n > mostInflated*uint64(len(packed)) {
		u.bad = true
		return buf[:0]
	}
	u.src.Reset(packed)
	if again, ok := u.inflate.(flate.Resetter); !ok {
		u.inflate = flate.NewReader(&u.src)
	} else if err := again.Reset(&u.src, nil); err != nil {
		u.bad = true
		return buf[:0]
	}
	buf = slices.Grow(buf[:0], int(n))[:n]
	var more [1]byte
	if _, err := io.ReadFull(u.inflate, buf); err != nil {
		u.bad = true
	} else if n, err := u.inflate.Read(more[:]); n > 0 || err != io.EOF || u.src.Len() > 0 {
		u.bad = true
	}
	return buf
}

// numbers is a column that was read.
type numbers struct {
	planes [][]byte
	count  uint64
	at     uint64 // of the next one
}

// column reads n numbers into c, whose room it uses again.
func (u *unpacker) column(c *numbers, n uint64) {
	width := 0
	if n > 0 {
		if b := u.take(1); !u.bad && b[0] <= 8 {
			width = int(b[0])
		} else {
			u.bad = true
		}
	}
	*c = numbers{planes: slices.Grow(c.planes[:0], width)[:width], count: n}
	for i := range c.planes {
		c.planes[i] = u.deflated(c.planes[i], n)
	}
	if u.bad {
		*c = numbers{}
	}
}

// next takes the next number; there must be one.
func (c *numbers) next() (n uint64) {
	for i, plane := range c.planes {
		n |= uint64(plane[c.at]) << (8 * i)
	}
	c.at++
	return n
}

// sum adds all numbers up. It is not ok if that is more than most.
func (c numbers) sum(most uint64) (sum uint64, ok bool) {
	if len(c.planes) == 0 {
		return 0, true
	}
	for range c.count {
		n := c.next()
		if n > most-sum {
			return 0, false
		}
		sum += n
	}
	return sum, true
}
