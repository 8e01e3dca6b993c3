package exposure

import "math/bits"

// sortPairs sorts by the upper half, and leaves those of the same one in their order. scratch is as long as pairs.
func sortPairs(pairs, scratch []uint64) []uint64 {
	const most = 10 // bits in a digit: with more, the places that a pass writes to would not stay in a small cache
	top := uint64(0)
	for _, p := range pairs {
		top |= p >> 32
	}
	digits := (bits.Len64(top) + most - 1) / most
	if digits == 0 {
		return pairs
	}
	digit := (bits.Len64(top) + digits - 1) / digits
	for shift := 32; digits > 0; shift, digits = shift+digit, digits-1 {
		var starts [1 << most]int
		mask := uint64(1)<<digit - 1
		for _, p := range pairs {
			starts[p>>shift&mask%(1<<most)]++
		}
		sum := 0
		for i, n := range starts {
			starts[i], sum = sum, sum+n
		}
		for _, p := range pairs {
			at := &starts[p>>shift&mask%(1<<most)]
			scratch[*at] = p
			*at++
		}
		pairs, scratch = scratch, pairs
	}
	return pairs
}

// idPairs are pairs whose upper halves are near one another.
type idPairs struct {
	sorted         []uint64
	pairs, scratch []uint64 // memory
}

// sort puts into sorted what pairs holds, in order, and adds that number to the upper halves.
func (p *idPairs) sort(from uint64) {
	p.scratch = grown(p.scratch, len(p.pairs))
	p.sorted = sortPairs(p.pairs, p.scratch)
	for i := range p.sorted {
		p.sorted[i] += from << 32
	}
}
