package exposure

import (
	"encoding/binary"

	"weir"
)

// A shape is what outcomes share: route, unit, and what became of the response.
type shape struct {
	route, unit string
	gap         bool
	reason      weir.Reason // of a gap; of others it is not kept
}

// tables number what many outcomes share.
type tables struct {
	shapes  []shape
	sets    []weir.ClassSet
	shapeOf map[shape]int
	setOf   map[weir.ClassSet]int

	lastShape shape // that was asked for, and its number: mostly it is asked for again
	lastAt    int
}

func newTables() *tables {
	return &tables{shapeOf: map[shape]int{}, setOf: map[weir.ClassSet]int{}}
}

func (t *tables) shape(s shape) int {
	if len(t.shapes) > 0 && s == t.lastShape {
		return t.lastAt
	}
	n, ok := t.shapeOf[s]
	if !ok {
		n = len(t.shapes)
		t.shapes, t.shapeOf[s] = append(t.shapes, s), n
	}
	t.lastShape, t.lastAt = s, n
	return n
}

func (t *tables) set(s weir.ClassSet) int {
	n, ok := t.setOf[s]
	if !ok {
		n = len(t.sets)
		t.sets, t.setOf[s] = append(t.sets, s), n
	}
	return n
}

func (t *tables) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.shapes)))
	for _, s := range t.shapes {
		for _, text := range [...]string{s.route, s.unit} {
			dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
		}
		gap := byte(0)
		if s.gap {
			gap = 1
		}
		dst = append(dst, gap, byte(s.reason))
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.sets)))
	for _, s := range t.sets {
		dst = binary.AppendUvarint(dst, uint64(s))
	}
	return dst
}

func decodeTables(d *decoder) *tables {
	t := newTables()
	for range d.count(len(d.rest)) {
		t.shape(shape{d.text(), d.text(), d.byte() == 1, weir.Reason(d.byte())})
	}
	for range d.count(len(d.rest)) {
		t.set(weir.ClassSet(d.uvarint()))
	}
	return t
}
