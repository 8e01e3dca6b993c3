package ledger

import (
	"hash/maphash"

	"weir"
)

// roster is pseudonyms in the order in which they came, each once.
type roster struct {
	order []weir.Pseudonym
	slots []uint32 // each one's place in order, plus one, at its hash or behind it; 0 for none. At most half are taken
	seed  maphash.Seed
}

// place returns somebody's place in the order, and whether they had it before.
func (r *roster) place(who weir.Pseudonym) (at uint32, known bool) {
	if 2*len(r.order) >= len(r.slots) {
		r.grow()
	}
	slot := r.slot(who)
	if n := r.slots[slot]; n > 0 {
		return n - 1, true
	}
	r.order = append(r.order, who)
	r.slots[slot] = uint32(len(r.order))
	return uint32(len(r.order) - 1), false
}

// slot is where somebody is, or would be.
func (r *roster) slot(who weir.Pseudonym) uint64 {
	last := uint64(len(r.slots) - 1)
	slot := maphash.Bytes(r.seed, who[:]) & last
	for r.slots[slot] > 0 && r.order[r.slots[slot]-1] != who {
		slot = (slot + 1) & last
	}
	return slot
}

func (r *roster) grow() {
	if len(r.slots) == 0 {
		r.seed = maphash.MakeSeed()
	}
	r.slots = make([]uint32, max(1<<10, 2*len(r.slots)))
	for i, who := range r.order {
		r.slots[r.slot(who)] = uint32(i + 1)
	}
}
