package exposure

import "math/bits"

// A batchedSet is an idset that is being filled. Members wait until there are many, and are then added in about their order:
// so they come to the processor's cache one neighbourhood after another, where each by itself would have to wait for memory.
type batchedSet struct {
	idset   // without those that wait
	waiting []uint32
}

// The more people there are, the more must wait for several to have one neighbourhood; they take a quarter of the set's memory.
const (
	fewestWaiting   = 4 << 10
	waitingPerBlock = 1 << blockBits / 128
)

func (s *batchedSet) add(id uint32) {
	s.waiting = append(s.waiting, id)
	if n := len(s.waiting); n >= fewestWaiting && n >= waitingPerBlock*len(s.blocks) {
		s.settle()
	}
}

// settle adds those that wait.
func (s *batchedSet) settle() {
	if len(s.waiting) == 0 {
		return
	}
	const digit = 11
	top := uint32(0)
	for _, id := range s.waiting {
		top |= id
	}
	shift := max(bits.Len32(top)-digit, blockBits) // neighbours have one block
	var starts [1 << digit]uint32
	for _, id := range s.waiting {
		starts[id>>shift%(1<<digit)]++
	}
	sum := uint32(0)
	for i, n := range starts {
		starts[i], sum = sum, sum+n
	}
	sorted := make([]uint32, len(s.waiting))
	for _, id := range s.waiting {
		at := &starts[id>>shift%(1<<digit)]
		sorted[*at] = id
		*at++
	}
	for _, id := range sorted {
		s.idset.add(id)
	}
	s.waiting = s.waiting[:0]
}

// clear empties the set and keeps its memory.
func (s *batchedSet) clear() {
	s.idset.clear()
	s.waiting = s.waiting[:0]
}
