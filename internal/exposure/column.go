package exposure

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// A column is a list of numbers, whose length its reader knows. It is stored as its least value and then, whichever is
// shorter, each value's distance from it in as many bits as the largest needs, or that distance in a Rice code:
//
//	uvarint least | byte form | bits, low first
//
// Forms 0 to 56 are widths in bits, form 64 is eight bytes each, and 128+k is the Rice code with k low bits: the rest in
// unary as ones before a zero, or riceEscape ones and then all 64 bits where that would be long; the bits of a Rice code
// stand behind their length in bytes, a uvarint.
const (
	widestColumn = 56
	rawColumn    = 64
	riceColumn   = 128
	riceEscape   = 24
	riceMost     = 40
	widestReach  = 57 // bits that eight bytes hold behind any bit of the first
)

// columnPad is how many bytes must follow a column, so that its last bits can be read eight bytes at a time.
const columnPad = 8

var errColumn = errors.New("a column cannot be read")

// appendColumn appends the values; whoever has appended the last column of a chunk adds columnPad bytes.
func appendColumn(dst []byte, vals []uint64) []byte {
	if len(vals) == 0 {
		return dst
	}
	least, most, sum := vals[0], vals[0], uint64(0)
	for _, v := range vals {
		least, most = min(least, v), max(most, v)
	}
	dst = binary.AppendUvarint(dst, least)
	width := bits.Len64(most - least)
	if width > widestColumn {
		dst = append(dst, rawColumn)
		for _, v := range vals {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		}
		return dst
	}
	shift := max(width-32, 0) // of wide values the low bits do not matter, and the sum must not overflow
	for _, v := range vals {
		sum += (v - least) >> shift
	}
	k := min(max(bits.Len64(sum/uint64(len(vals))<<shift)-1, 1), riceMost-1)
	best, size := -1, width*len(vals)
	for i, n := range riceSizes(vals, least, k-1) {
		if n < size {
			best, size = k-1+i, n
		}
	}
	w := bitWriter{dst: dst}
	if best < 0 {
		w.dst = append(w.dst, byte(width))
		for _, v := range vals {
			w.put(v-least, width)
		}
		return w.flush()
	}
	w.dst = binary.AppendUvarint(append(w.dst, riceColumn+byte(best)), uint64(size+7)/8)
	for _, v := range vals {
		w.rice(v-least, best)
	}
	return w.flush()
}

// riceSizes are the lengths of the Rice codes with k, k+1 and k+2 low bits, in bits.
func riceSizes(vals []uint64, least uint64, k int) (sizes [3]int) {
	for i := range sizes {
		sizes[i] = len(vals) * (k + i + 1)
	}
	for _, v := range vals {
		q := (v - least) >> k
		if q < riceEscape {
			sizes[0] += int(q)
			sizes[1] += int(q >> 1)
			sizes[2] += int(q >> 2)
			continue
		}
		for i := range sizes {
			if q := q >> i; q < riceEscape {
				sizes[i] += int(q)
			} else {
				sizes[i] += riceEscape + 64 - (k + i + 1)
			}
		}
	}
	return sizes
}

type bitWriter struct {
	dst  []byte
	word uint64
	n    int // bits in word, below 64 between calls
}

// put appends the low bits of v, at most widestColumn of them.
func (w *bitWriter) put(v uint64, width int) {
	w.word |= v << w.n
	if w.n += width; w.n >= 64 {
		w.dst = binary.LittleEndian.AppendUint64(w.dst, w.word)
		w.n -= 64
		w.word = v >> (width - w.n)
	}
}

func (w *bitWriter) rice(v uint64, k int) {
	q := v >> k
	if q >= riceEscape {
		w.put(1<<riceEscape-1, riceEscape)
		w.put(v&(1<<32-1), 32)
		w.put(v>>32, 32)
		return
	}
	unary, low := uint64(1)<<q-1, v&(1<<k-1)
	if q+1+uint64(k) <= widestColumn {
		w.put(unary|low<<(q+1), int(q)+1+k)
		return
	}
	w.put(unary, int(q)+1)
	w.put(low, k)
}

func (w *bitWriter) flush() []byte {
	for ; w.n > 0; w.n -= 8 {
		w.dst = append(w.dst, byte(w.word))
		w.word >>= 8
	}
	return w.dst
}

// skipColumn returns what follows a column of n values, without reading them.
func skipColumn(src []byte, n int) (rest []byte, err error) {
	if n == 0 {
		return src, nil
	}
	_, size := binary.Uvarint(src)
	if size <= 0 || len(src) < size+1+columnPad || n < 0 || n > 1<<32 {
		return nil, errColumn
	}
	form, src := src[size], src[size+1:]
	need := uint64(n)*uint64(form)/8 + min(uint64(n)*uint64(form)%8, 1)
	if form >= riceColumn {
		length, size := binary.Uvarint(src)
		if size <= 0 {
			return nil, errColumn
		}
		need, src = length, src[size:]
	}
	if need > uint64(len(src)) || uint64(len(src))-need < columnPad {
		return nil, errColumn
	}
	return src[need:], nil
}

// readColumn reads n values into out, which it grows where it must, and returns what follows the column.
func readColumn(src []byte, n int, out []uint64) (vals []uint64, rest []byte, err error) {
	if n == 0 {
		return out[:0], src, nil
	}
	least, size := binary.Uvarint(src)
	if size <= 0 || len(src) < size+1+columnPad || n < 0 {
		return nil, nil, errColumn
	}
	form, src := src[size], src[size+1:]
	if form < riceColumn {
		width := int(form)
		need := n * width / 8
		if n*width%8 > 0 {
			need++
		}
		if width > widestColumn && width != rawColumn || n > 1<<32 || need > len(src)-columnPad {
			return nil, nil, errColumn
		}
		vals = grown(out, n)
		unpack(vals, src, least, width)
		return vals, src[need:], nil
	}
	length, size := binary.Uvarint(src)
	if size <= 0 || length > uint64(len(src)) || len(src)-size-int(length) < columnPad || uint64(n) > 8*length || form-riceColumn > riceMost {
		return nil, nil, errColumn
	}
	vals = grown(out, n)
	src = src[size:]
	if !unrice(vals, src[:int(length)+columnPad], least, int(form-riceColumn)) {
		return nil, nil, errColumn
	}
	return vals, src[length:], nil
}

func grown(s []uint64, n int) []uint64 {
	if cap(s) < n {
		return make([]uint64, n)
	}
	return s[:n]
}

func unpack(vals []uint64, src []byte, least uint64, width int) {
	switch width {
	case 0:
		for i := range vals {
			vals[i] = least
		}
	case rawColumn:
		for i := range vals {
			vals[i] = binary.LittleEndian.Uint64(src[8*i:])
		}
	default:
		mask, at := uint64(1)<<width-1, 0
		per := widestReach / width // values in one read
		for len(vals) >= per {
			word := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7)
			for i := range vals[:per] {
				vals[i] = least + word&mask
				word >>= width
			}
			vals = vals[per:]
			at += per * width
		}
		for i := range vals {
			vals[i] = least + binary.LittleEndian.Uint64(src[at>>3:])>>(at&7)&mask
			at += width
		}
	}
}

// unrice reports whether src holds that many values; columnPad bytes of it are what follows the code.
func unrice(vals []uint64, src []byte, least uint64, k int) bool {
	mask, at, end := uint64(1)<<k-1, 0, 8*(len(src)-columnPad)
	for i := 0; i < len(vals); {
		if at >= end {
			return false
		}
		word := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7)
		begin := i
		for left := widestReach; i < len(vals); i++ { // those that lie whole in the word
			q := bits.TrailingZeros64(^word)
			size := q + 1 + k
			if size > left || q >= riceEscape {
				break
			}
			vals[i] = least + (uint64(q)<<(k&63) | word>>((q+1)&63)&mask)
			word >>= size & 63
			left -= size
			at += size
		}
		if i > begin {
			continue
		}
		if vals[i], at = unriceLong(src, at, end, k); at > end {
			return false
		}
		vals[i] += least
		i++
	}
	return at <= end
}

// unriceLong reads a value whose code is longer than a word reaches, and returns where the next one begins: behind the end if
// this one does not end before it.
func unriceLong(src []byte, at, end, k int) (v uint64, next int) {
	q := bits.TrailingZeros64(^(binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7)))
	size, low := q+1, k
	if q >= riceEscape {
		size, low = riceEscape, 64
	}
	if at+size+low > end {
		return 0, end + 1
	}
	at += size
	if low == k {
		return uint64(q)<<k | binary.LittleEndian.Uint64(src[at>>3:])>>(at&7)&(1<<k-1), at + k
	}
	v = binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7) & (1<<32 - 1)
	at += 32
	return v | binary.LittleEndian.Uint64(src[at>>3:])>>(at&7)<<32, at + 32
}
