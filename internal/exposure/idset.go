package exposure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// errDoubt is wrapped by everything that says that the index is not what its writer left: it is then made anew from the
// ledger, and never answers.
var errDoubt = errors.New("the exposure index is damaged")

func doubt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDoubt, fmt.Sprintf(format, args...))
}

// An idset is a set of dense ids of people. It takes memory for the parts of the id space that it has members in: at most
// an eighth of a byte for each person there is.
type idset struct {
	blocks []*idblock // by id >> blockBits; nil is empty
}

const blockBits = 12

type idblock [1 << blockBits / 64]uint64

func (s *idset) block(n uint32) *idblock {
	if int(n) >= len(s.blocks) {
		grown := make([]*idblock, max(int(n)+1, 2*len(s.blocks)))
		copy(grown, s.blocks)
		s.blocks = grown
	}
	b := s.blocks[n]
	if b == nil {
		b = new(idblock)
		s.blocks[n] = b
	}
	return b
}

func (s *idset) add(id uint32) {
	n := id >> blockBits
	if int(n) < len(s.blocks) {
		if b := s.blocks[n]; b != nil {
			b[id>>6%uint32(len(b))] |= 1 << (id & 63)
			return
		}
	}
	b := s.block(n)
	b[id>>6%uint32(len(b))] |= 1 << (id & 63)
}

// addAll adds ids, which come fastest where they are near one another.
func (s *idset) addAll(ids []uint64) {
	now, b := uint32(math.MaxUint32), (*idblock)(nil)
	for _, id := range ids {
		if n := uint32(id) >> blockBits; n != now {
			now, b = n, s.block(n)
		}
		b[id>>6%uint64(len(b))] |= 1 << (id & 63)
	}
}

// union adds the members of other.
func (s *idset) union(other *idset) {
	for n, from := range other.blocks {
		if from == nil {
			continue
		}
		to := s.block(uint32(n))
		for i, w := range from {
			to[i] |= w
		}
	}
}

func (s *idset) count() (n int) {
	for _, b := range s.blocks {
		if b != nil {
			n += b.count()
		}
	}
	return n
}

func (b *idblock) count() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// clear empties the set and keeps its memory.
func (s *idset) clear() {
	for _, b := range s.blocks {
		if b != nil {
			*b = idblock{}
		}
	}
}

// On disk a set is, for each container of 65,536 ids that has members, uvarint container number less that of the one before,
// a form byte and its members: all 65,536 bits, or pairs of uvarint gap and run length, or a column of gaps; the number of
// runs or members less one stands before them as a uvarint. The whole set ends with columnPad bytes.
const (
	containerBits = 16
	containerIDs  = 1 << containerBits
	formBits      = 0
	formRuns      = 1
	formGaps      = 2
)

// appendSet appends the set's form on disk.
func appendSet(dst []byte, s *idset) []byte {
	const per = 1 << (containerBits - blockBits)
	var words [containerIDs / 64]uint64
	last := 0
	var gaps []uint64
	for c := 0; c*per < len(s.blocks); c++ {
		if !slices.ContainsFunc(s.blocks[c*per:min(c*per+per, len(s.blocks))], func(b *idblock) bool { return b != nil }) {
			continue
		}
		n, runs := 0, 0
		carry := uint64(0)
		for i := range per {
			part := words[i*len(idblock{}):][:len(idblock{})]
			clear(part)
			if at := c*per + i; at < len(s.blocks) && s.blocks[at] != nil {
				copy(part, s.blocks[at][:])
			}
			for _, w := range part {
				n += bits.OnesCount64(w)
				runs += bits.OnesCount64(w &^ (w<<1 | carry))
				carry = w >> 63
			}
		}
		if n == 0 {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(c-last))
		last = c
		switch {
		case runs*3 < n || runs < 8:
			dst = appendRuns(append(dst, formRuns), &words, runs)
		case n < 6000:
			gaps = gaps[:0]
			before := -1
			for i, w := range words {
				for ; w != 0; w &= w - 1 {
					id := i<<6 + bits.TrailingZeros64(w)
					gaps = append(gaps, uint64(id-before-1))
					before = id
				}
			}
			dst = binary.AppendUvarint(append(dst, formGaps), uint64(n-1))
			dst = appendColumn(dst, gaps)
		default:
			dst = append(dst, formBits)
			for _, w := range words {
				dst = binary.LittleEndian.AppendUint64(dst, w)
			}
		}
	}
	return append(dst, make([]byte, columnPad)...)
}

func appendRuns(dst []byte, words *[containerIDs / 64]uint64, runs int) []byte {
	dst = binary.AppendUvarint(dst, uint64(runs-1))
	at := 0
	for range runs {
		begin := nextBit(words, at, 0)
		end := nextBit(words, begin, ^uint64(0))
		dst = binary.AppendUvarint(dst, uint64(begin-at))
		dst = binary.AppendUvarint(dst, uint64(end-begin-1))
		at = end
	}
	return dst
}

// nextBit returns the place at or behind at of the first bit that differs from flip's, or the container's end.
func nextBit(words *[containerIDs / 64]uint64, at int, flip uint64) int {
	for at < containerIDs {
		if w := (words[at>>6] ^ flip) >> (at & 63); w != 0 {
			return at + bits.TrailingZeros64(w)
		}
		at = at>>6<<6 + 64
	}
	return containerIDs
}

// uniteRaw adds the members of a set as appendSet wrote it; none of them may be people or more.
func (s *idset) uniteRaw(raw []byte, people uint32) error {
	const per = 1 << (containerBits - blockBits)
	d := decoder{rest: raw}
	container := uint64(0)
	var gaps []uint64
	for len(d.rest) > columnPad {
		container += d.uvarint()
		base := container << containerBits
		if d.bad || base >= uint64(people) {
			return doubt("a set goes beyond the last person")
		}
		switch d.byte() {
		case formBits:
			raw := d.bytes(containerIDs / 8)
			if d.bad {
				return doubt("a set is cut off")
			}
			for i := range per {
				part := raw[i*8*len(idblock{}):][:8*len(idblock{})]
				b := s.block(uint32(container*per) + uint32(i))
				for j := range b {
					b[j] |= binary.LittleEndian.Uint64(part[8*j:])
				}
			}
		case formRuns:
			at := uint64(0)
			for range d.count(len(d.rest)) + 1 {
				begin := at + d.uvarint()
				at = begin + d.uvarint() + 1
				if d.bad || begin >= containerIDs || at > containerIDs {
					return doubt("a run of a set cannot be read")
				}
				s.addRun(base+begin, base+at)
			}
		case formGaps:
			n := d.count(containerIDs) + 1
			if gaps = d.column(n, gaps); d.bad {
				return doubt("a set cannot be read")
			}
			at, high := base, uint64(0)
			for i, g := range gaps {
				at += g
				gaps[i] = at
				at++
				high |= g
			}
			if high >= containerIDs || at > base+containerIDs {
				return doubt("a set goes beyond its container")
			}
			s.addAll(gaps)
		default:
			return doubt("a set has an unknown form")
		}
	}
	if len(d.rest) != columnPad {
		return doubt("a set is cut off")
	}
	if len(s.blocks) > int(people>>blockBits)+per {
		s.blocks = s.blocks[:people>>blockBits+per]
	}
	return nil
}

func (s *idset) addRun(from, to uint64) {
	for from < to {
		b := s.block(uint32(from >> blockBits))
		end := min(to, from>>blockBits<<blockBits+1<<blockBits)
		for from < end {
			w := from >> 6 % uint64(len(b))
			if from&63 == 0 && end-from >= 64 {
				b[w] = ^uint64(0)
				from += 64
				continue
			}
			stop := min(end, from>>6<<6+64)
			b[w] |= (1<<(stop-from) - 1) << (from & 63)
			from = stop
		}
	}
}

// A decoder reads fields off the front of rest; the first that does not fit sets bad, and all later ones read zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) byte() byte {
	if d.bad || len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) bytes(n int) []byte {
	if d.bad || n < 0 || n > len(d.rest) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 && !d.bad {
		n := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(d.rest)
	if d.bad || size <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count is a number that is at most most.
func (d *decoder) count(most int) int {
	n := d.uvarint()
	if n > uint64(most) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) text() string { return string(d.bytes(d.count(len(d.rest)))) }

func (d *decoder) column(n int, out []uint64) []uint64 {
	if d.bad {
		return out[:0]
	}
	vals, rest, err := readColumn(d.rest, n, out)
	if err != nil {
		d.bad = true
		return out[:0]
	}
	d.rest = rest
	return vals
}

// skip is column for who does not want the values.
func (d *decoder) skip(n int) {
	if d.bad {
		return
	}
	rest, err := skipColumn(d.rest, n)
	if err != nil {
		d.bad = true
		return
	}
	d.rest = rest
}
