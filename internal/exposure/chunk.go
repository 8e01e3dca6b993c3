package exposure

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"sort"
)

// A chunk is a run of one principal's outcomes, in the ledger's order, and the disclosures in them. Its columns are those of
// the index; shapes and sets are numbers in its segment's tables.
type chunk struct {
	millis  []uint64 // ledger time of each outcome, Unix ms
	shapes  []uint64 // what kind of outcome it was
	bytes   []uint64 // upstream body bytes that were released
	records []uint64 // how many disclosures each outcome has
	people  []uint64 // dense ids, outcome by outcome, in each in order
	sets    []uint64 // the class set of each disclosure
	loose   []loose

	ends []int // of each outcome's disclosures; filled by finish

	first              uint64 // the first time, and what was not read yet: see open
	rawTimes, rawBytes []byte

	kinds  []kind   // of the outcomes, the most frequent first; for appendChunk, and from open
	ranks  []uint64 // each outcome's kind
	kindOf map[kind]int

	scratch []uint64
	rest    []uint64
}

// loose is what one outcome released of people who could not be named.
type loose struct {
	outcome int
	people  uint64
	set     uint64
}

func (c *chunk) reset() {
	c.millis, c.shapes, c.bytes, c.records = c.millis[:0], c.shapes[:0], c.bytes[:0], c.records[:0]
	c.people, c.sets, c.loose, c.ends, c.kinds = c.people[:0], c.sets[:0], c.loose[:0], c.ends[:0], c.kinds[:0]
}

// size is what a chunk's limit counts.
func (c *chunk) size() int { return max(len(c.millis), len(c.people)) }

// add appends another chunk, which begins no earlier.
func (c *chunk) add(o *chunk) {
	for _, l := range o.loose {
		l.outcome += len(c.millis)
		c.loose = append(c.loose, l)
	}
	c.millis, c.shapes = append(c.millis, o.millis...), append(c.shapes, o.shapes...)
	c.bytes, c.records = append(c.bytes, o.bytes...), append(c.records, o.records...)
	c.people, c.sets = append(c.people, o.people...), append(c.sets, o.sets...)
}

// finish works out where each outcome's disclosures end; it reports false if there are more than a chunk can have.
func (c *chunk) finish() bool {
	c.ends = c.ends[:0]
	at := uint64(0)
	for _, n := range c.records {
		at += n
		c.ends = append(c.ends, int(at))
		if n > mostInChunk || at > mostInChunk {
			return false
		}
	}
	return true
}

// between returns the outcomes whose time is in [from, to).
func (c *chunk) between(from, to int64) (first, end int) {
	first = sort.Search(len(c.millis), func(i int) bool { return int64(c.millis[i]) >= from })
	end = first + sort.Search(len(c.millis)-first, func(i int) bool { return int64(c.millis[first+i]) >= to })
	return first, end
}

// disclosures returns where the disclosures of the outcomes from first to end stand.
func (c *chunk) disclosures(first, end int) (from, to int) {
	if first > 0 {
		from = c.ends[first-1]
	}
	if end > 0 {
		to = c.ends[end-1]
	}
	return from, max(from, to)
}

// On disk a chunk is: uvarint outcomes, disclosures, loose rows, first time, kinds | the kinds, the most frequent first, each as
// uvarint shape, records, and class set plus one | columns of the outcomes' kinds, gaps between times, bytes for each record,
// bytes left over | byte form, columns of the first person of each outcome that has one, of gaps between the people of one
// outcome, and of the sets of disclosures whose outcome's kind has none | loose rows | columnPad bytes. With form 1 the first
// people are not ids but zigzag differences from the last one before, as of a caller that walks through everybody.
const (
	stepPeople = 1 << iota
	unknownForm
)

// mostInChunk bounds the memory that a chunk which is not what it was can ask for. An answer that the guard releases has
// fewer records.
const mostInChunk = 1 << 21

// kind is what many outcomes of a chunk share.
type kind struct {
	shape   uint64
	records uint64
	set     uint64 // one more than the class set that all of an outcome's disclosures have; 0 if they have no such set
}

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

// limits are the sizes of what a chunk's numbers refer to.
type limits struct {
	people       uint32
	shapes, sets int
}

// decode reads what appendChunk wrote and checks every number against the limits.
func (c *chunk) decode(raw []byte, lim limits) error {
	if err := c.open(raw, lim); err != nil {
		return err
	}
	return errors.Join(c.loadTimes(), c.loadBytes())
}

// open reads all but the times and bytes, which loadTimes and loadBytes read from raw when they are wanted.
func (c *chunk) open(raw []byte, lim limits) error {
	d := decoder{rest: raw}
	outcomes, events, loose := d.count(mostInChunk), d.count(mostInChunk), d.count(mostInChunk)
	c.first = d.uvarint()
	c.reset()
	c.decodeKinds(&d, lim)
	c.ranks = d.column(outcomes, c.ranks)
	if d.bad || outcomes == 0 || !below(c.ranks, uint64(len(c.kinds))) || !c.spread(events) {
		return doubt("a chunk's records do not add up")
	}
	c.rawTimes = d.rest
	d.skip(outcomes - 1)
	c.rawBytes = d.rest
	d.skip(outcomes)
	d.skip(outcomes)
	if events > 0 {
		c.decodePeople(&d)
	}
	for range loose {
		l := looseRow(&d)
		if d.bad || l.outcome >= outcomes || l.set >= uint64(lim.sets) {
			return doubt("a chunk's loose rows cannot be read")
		}
		c.loose = append(c.loose, l)
	}
	if d.bad || len(d.rest) != columnPad {
		return doubt("a chunk cannot be read")
	}
	if !below(c.people, uint64(lim.people)) || !below(c.sets, uint64(lim.sets)) {
		return doubt("a chunk names what its segment does not have")
	}
	return nil
}

func fill(vals []uint64, with uint64) {
	for i := range vals {
		vals[i] = with
	}
}

func (c *chunk) decodeKinds(d *decoder, lim limits) {
	for range d.count(len(d.rest)) {
		k := kind{d.uvarint(), d.uvarint(), d.uvarint()}
		if k.shape >= uint64(lim.shapes) || k.records > mostInChunk || k.set > uint64(lim.sets) || k.set > 0 && k.records == 0 {
			d.bad = true
		}
		if d.bad {
			return
		}
		c.kinds = append(c.kinds, k)
	}
}

// spread fills shapes, records, ends, and the sets that are in the kinds. It reports false if the outcomes do not have so many
// disclosures.
func (c *chunk) spread(events int) bool {
	n := len(c.ranks)
	c.shapes, c.records, c.sets = grown(c.shapes, n), grown(c.records, n), grown(c.sets, events)
	if len(c.kinds) == 1 && c.kinds[0].set > 0 {
		k := c.kinds[0]
		fill(c.shapes, k.shape)
		fill(c.records, k.records)
		fill(c.sets, k.set-1)
		for i := range n {
			c.ends = append(c.ends, (i+1)*int(k.records))
		}
		return n*int(k.records) == events
	}
	at := 0
	for i, r := range c.ranks {
		k := &c.kinds[r]
		c.shapes[i], c.records[i] = k.shape, k.records
		end := at + int(k.records)
		if end > events {
			return false
		}
		if k.set > 0 {
			for ; at < end; at++ {
				c.sets[at] = k.set - 1
			}
		}
		at = end
		c.ends = append(c.ends, end)
	}
	return at == events
}

// loadTimes reads the times, if that was not done yet.
func (c *chunk) loadTimes() error {
	if len(c.millis) > 0 {
		return nil
	}
	d := decoder{rest: c.rawTimes}
	c.scratch = d.column(len(c.records)-1, c.scratch)
	if d.bad {
		return doubt("a chunk's times cannot be read")
	}
	c.millis = grown(c.millis, len(c.records))
	c.millis[0] = c.first
	at := c.first
	for i, gap := range c.scratch {
		at += gap
		c.millis[i+1] = at
	}
	return nil
}

// loadBytes reads the bytes, if that was not done yet.
func (c *chunk) loadBytes() error {
	if len(c.bytes) > 0 {
		return nil
	}
	d := decoder{rest: c.rawBytes}
	c.bytes = d.column(len(c.records), c.bytes)
	c.rest = d.column(len(c.records), c.rest)
	if d.bad {
		return doubt("a chunk's bytes cannot be read")
	}
	for i, n := range c.records {
		c.bytes[i] = c.bytes[i]*max(n, 1) + c.rest[i]
	}
	return nil
}

// alike reports whether the outcomes of a chunk that was read all have disclosures, of one shape and class set.
func (c *chunk) alike() bool {
	for _, k := range c.kinds {
		if k.set == 0 || k.shape != c.kinds[0].shape || k.set != c.kinds[0].set {
			return false
		}
	}
	return len(c.kinds) > 0
}

// decodePeople reads the people of the disclosures, of which there is at least one, and the sets that are not in the kinds.
func (c *chunk) decodePeople(d *decoder) {
	responses, own := 0, 0
	for _, r := range c.ranks {
		k := &c.kinds[r]
		if k.records > 0 {
			responses++
		}
		if k.set == 0 {
			own += int(k.records)
		}
	}
	form := d.byte()
	c.scratch = d.column(responses, c.scratch)
	c.rest = d.column(len(c.sets)-responses, c.rest)
	if d.bad || form >= unknownForm {
		d.bad = true
		return
	}
	c.people = grown(c.people, len(c.sets))
	c.joinPeople(form&stepPeople != 0)
	if c.rest = d.column(own, c.rest); d.bad || own == 0 {
		return
	}
	at, rest := uint64(0), c.rest
	for i, n := range c.records {
		if c.kinds[c.ranks[i]].set == 0 {
			rest = rest[copy(c.sets[at:at+n], rest):]
		}
		at += n
	}
}

// joinPeople undoes splitPeople.
func (c *chunk) joinPeople(steps bool) {
	if !steps && len(c.rest) == 0 {
		copy(c.people, c.scratch)
		return
	}
	firsts, gaps, before := c.scratch, c.rest, uint64(0)
	from := 0
	for _, end := range c.ends {
		if end == from {
			continue
		}
		p := firsts[0]
		if firsts = firsts[1:]; steps {
			p = before + uint64(int64(p>>1)^-int64(p&1))
		}
		c.people[from] = p
		for from++; from < end; from++ {
			p += gaps[0]
			gaps = gaps[1:]
			c.people[from] = p
		}
		before = p
	}
}

func looseRow(d *decoder) loose {
	return loose{outcome: d.count(mostInChunk), people: d.uvarint(), set: d.uvarint()}
}

// below reports whether all values are below the limit, which is at most 2^63.
func below(vals []uint64, limit uint64) bool {
	bad := uint64(0) // its highest bit
	for _, v := range vals {
		bad |= v | (limit - 1 - v)
	}
	return len(vals) == 0 || bad>>63 == 0
}
