package exposure

import (
	"maps"
	"math/bits"
	"slices"

	"weir"
)

// pool is the people of one class set: those added one by one, and the sets of buckets, which wait until distinct.
type pool struct {
	classes weir.ClassSet
	number  uint32   // in tally.order
	few     []uint32 // ids that were added, in no order, until they are many
	ids     idset    // and then
	many    bool
	sets    []pooled
}

type pooled struct {
	seg   *segment
	at    blob
	count uint64
}

// fewIDs is up to how many ids are sorted to count them; a set takes memory all over the space of ids.
const fewIDs = 8192

func (p *pool) empty() bool { return len(p.few) == 0 && !p.many && len(p.sets) == 0 }

func (p *pool) add(id uint32) {
	if p.many {
		p.ids.add(id)
		return
	}
	if p.few = append(p.few, id); len(p.few) > fewIDs {
		p.spread()
	}
}

func (p *pool) addAll(ids []uint64) {
	if p.many || len(p.few)+len(ids) > fewIDs {
		p.spread()
		p.ids.addAll(ids)
		return
	}
	for _, id := range ids {
		p.few = append(p.few, uint32(id))
	}
}

// spread moves the few into the set.
func (p *pool) spread() {
	for _, id := range p.few {
		p.ids.add(id)
	}
	p.few, p.many = nil, true
}

// distinct counts the people, all and by class.
func (t *tally) distinct() (people int, byClass map[string]int, err error) {
	byClass = map[string]int{}
	var pools []*pool
	for _, p := range t.pools {
		if !p.empty() {
			pools = append(pools, p)
		}
	}
	if len(pools) == 0 {
		return 0, byClass, nil
	}
	if p := pools[0]; len(pools) == 1 && len(p.few) == 0 && !p.many && len(p.sets) == 1 { // counted when it was written
		for _, name := range p.classes.Names() {
			byClass[name] = int(p.sets[0].count)
		}
		return int(p.sets[0].count), byClass, nil
	}
	if !slices.ContainsFunc(pools, func(p *pool) bool { return p.many || len(p.sets) > 0 }) {
		people, byClass = countFew(pools)
		return people, byClass, nil
	}
	// Classes that are in the same pools have the same people; everybody is in one of all of them.
	groups := map[string]*group{}
	groupOf := func(class weir.ClassSet) *group {
		key := make([]byte, len(pools))
		g := &group{}
		for i, p := range pools {
			if p.classes&class != 0 || class == 0 {
				key[i] = 1
				g.pools = append(g.pools, p)
			}
		}
		if have := groups[string(key)]; have != nil {
			return have
		}
		groups[string(key)] = g
		return g
	}
	whole := groupOf(0)
	of := map[string]*group{}
	for _, p := range pools {
		for set := p.classes; set != 0; set &= set - 1 {
			class := set & -set
			of[class.String()] = groupOf(class)
		}
	}
	if err := t.count(pools, slices.Collect(maps.Values(groups))); err != nil {
		return 0, nil, err
	}
	for name, g := range of {
		byClass[name] = g.count
	}
	return whole.count, byClass, nil
}

// group is pools whose people are counted together.
type group struct {
	pools []*pool
	count int
}

// countFew counts people by sorting them, each with the pools that they are in.
func countFew(pools []*pool) (people int, byClass map[string]int) {
	size := 0
	for _, p := range pools {
		size += len(p.few)
	}
	memory := make([]uint64, 2*size)
	pairs := memory[:0:size]
	for n, p := range pools {
		for _, id := range p.few {
			pairs = append(pairs, uint64(id)<<32|uint64(n))
		}
	}
	pairs = sortPairs(pairs, memory[size:])
	var counts [64]int // by bit
	for len(pairs) > 0 {
		id, classes := pairs[0]>>32, weir.ClassSet(0)
		for ; len(pairs) > 0 && pairs[0]>>32 == id; pairs = pairs[1:] {
			classes |= pools[uint32(pairs[0])].classes
		}
		people++
		for ; classes != 0; classes &= classes - 1 {
			counts[bits.TrailingZeros64(uint64(classes))]++
		}
	}
	byClass = map[string]int{}
	for bit, n := range counts {
		if n > 0 {
			byClass[weir.ClassSet(1<<bit).String()] = n
		}
	}
	return people, byClass
}

// count counts each group's people.
func (t *tally) count(pools []*pool, groups []*group) (err error) {
	blocks := 0
	for _, p := range pools {
		p.spread()
		for _, x := range p.sets {
			if t.buf, err = x.seg.read(x.at, t.buf); err == nil {
				err = p.ids.uniteRaw(t.buf, x.seg.people())
			}
			if err != nil {
				return err
			}
		}
		blocks = max(blocks, len(p.ids.blocks))
	}
	for n := range blocks {
		for _, g := range groups {
			g.count += countUnion(g.pools, n)
		}
	}
	return nil
}

// countUnion counts who is in any of the pools, in one block of ids.
func countUnion(pools []*pool, n int) (count int) {
	var only *idblock
	var sum idblock
	several := false
	for _, p := range pools {
		if n >= len(p.ids.blocks) || p.ids.blocks[n] == nil {
			continue
		}
		b := p.ids.blocks[n]
		if only == nil {
			only = b
			continue
		}
		if !several {
			sum, several = *only, true
		}
		for i, w := range b {
			sum[i] |= w
		}
	}
	switch {
	case only == nil:
		return 0
	case !several:
		return only.count()
	}
	for _, w := range sum {
		count += bits.OnesCount64(w)
	}
	return count
}
