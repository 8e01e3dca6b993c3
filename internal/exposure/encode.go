package exposure

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

func appendChunk(dst []byte, c *chunk) []byte {
	c.classify()
	for _, n := range [...]uint64{uint64(len(c.millis)), uint64(len(c.people)), uint64(len(c.loose)), c.millis[0], uint64(len(c.kinds))} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, k := range c.kinds {
		dst = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(dst, k.shape), k.records), k.set)
	}
	dst = appendColumn(dst, c.ranks)
	c.scratch = c.scratch[:0]
	for i, t := range c.millis[1:] {
		c.scratch = append(c.scratch, t-c.millis[i])
	}
	dst = appendColumn(dst, c.scratch)
	c.scratch, c.rest = c.scratch[:0], c.rest[:0]
	for i, n := range c.bytes {
		c.scratch, c.rest = append(c.scratch, n/max(c.records[i], 1)), append(c.rest, n%max(c.records[i], 1))
	}
	dst = appendColumn(dst, c.scratch)
	dst = appendColumn(dst, c.rest)
	if len(c.people) > 0 {
		dst = append(dst, c.splitPeople())
		dst = appendColumn(dst, c.scratch)
		dst = appendColumn(dst, c.rest)
		dst = appendColumn(dst, c.ownSets())
	}
	for _, l := range c.loose {
		for _, n := range [...]uint64{uint64(l.outcome), l.people, l.set} {
			dst = binary.AppendUvarint(dst, n)
		}
	}
	return append(dst, make([]byte, columnPad)...)
}

// classify fills kinds and ranks.
func (c *chunk) classify() {
	if c.kindOf == nil {
		c.kindOf = map[kind]int{}
	}
	clear(c.kindOf)
	c.kinds, c.ranks = c.kinds[:0], c.ranks[:0]
	var counts []int
	now, last := kind{shape: 1 << 63}, 0
	at := uint64(0)
	for i, n := range c.records {
		k := kind{c.shapes[i], n, commonSet(c.sets[at : at+n])}
		at += n
		if k != now {
			place, ok := c.kindOf[k]
			if !ok {
				place = len(c.kinds)
				c.kindOf[k] = place
				c.kinds, counts = append(c.kinds, k), append(counts, 0)
			}
			now, last = k, place
		}
		counts[last]++
		c.ranks = append(c.ranks, uint64(last))
	}
	order := make([]int, len(c.kinds)) // places by how often
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	kinds, rank := make([]kind, len(order)), make([]uint64, len(order))
	for r, place := range order {
		kinds[r], rank[place] = c.kinds[place], uint64(r)
	}
	for i, place := range c.ranks {
		c.ranks[i] = rank[place]
	}
	c.kinds = append(c.kinds[:0], kinds...)
}

// commonSet is a kind's set for an outcome whose disclosures have these.
func commonSet(sets []uint64) uint64 {
	if len(sets) == 0 {
		return 0
	}
	for _, s := range sets {
		if s != sets[0] {
			return 0
		}
	}
	return sets[0] + 1
}

// splitPeople puts the columns of people into scratch and rest, in the form that is likely to be shorter.
func (c *chunk) splitPeople() (form byte) {
	c.scratch, c.rest = c.scratch[:0], c.rest[:0]
	least, most, sum, before := c.people[0], c.people[0], uint64(0), c.people[0]
	at := 0
	for _, n := range c.records {
		if n == 0 {
			continue
		}
		people := c.people[at : at+int(n)]
		at += int(n)
		sum += zigzag(people[0], before)
		least, most = min(least, people[0]), max(most, people[0])
		c.scratch, before = append(c.scratch, people[0]), people[0]
		for _, p := range people[1:] {
			c.rest, before = append(c.rest, p-before), p
		}
	}
	if bits.Len64(sum/uint64(len(c.scratch)))+2 >= bits.Len64(most-least) {
		return 0
	}
	at, before = 0, 0
	first := 0
	for _, n := range c.records {
		if n == 0 {
			continue
		}
		c.scratch[first] = zigzag(c.people[at], before)
		at += int(n)
		before = c.people[at-1]
		first++
	}
	return stepPeople
}

// zigzag is the step from one id to another, small where it is short.
func zigzag(to, from uint64) uint64 {
	step := int64(to - from)
	return uint64(step)<<1 ^ uint64(step>>63)
}

// ownSets returns the sets of the disclosures whose outcome's kind has none.
func (c *chunk) ownSets() []uint64 {
	c.rest = c.rest[:0]
	at := uint64(0)
	for i, n := range c.records {
		if c.kinds[c.ranks[i]].set == 0 {
			c.rest = append(c.rest, c.sets[at:at+n]...)
		}
		at += n
	}
	return c.rest
}
