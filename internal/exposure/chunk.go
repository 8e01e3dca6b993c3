package exposure

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"sort"

	"weir"
)

// A chunk is a run of one principal's outcomes, in the ledger's order, and the disclosures in them. Its columns are those of
// the index; shapes and sets are numbers in its segment's tables.
type chunk struct {
	millis  []uint64 // ledger time of each outcome, Unix ms
	shapes  []uint64 // what kind of outcome it was
	bytes   []uint64 // upstream body bytes that were released
	records []uint64 // how many disclosures each outcome has
	people  []uint64 // dense ids, outcome by outcome
	sets    []uint64 // the class set of each disclosure
	loose   []loose

	ends []int // of each outcome's disclosures; filled by finish

	first              uint64 // the first time, and what was not read yet: see open
	rawTimes, rawBytes []byte

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
	c.people, c.sets, c.loose, c.ends = c.people[:0], c.sets[:0], c.loose[:0], c.ends[:0]
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

// On disk a chunk is: uvarint outcomes, disclosures, loose rows | uvarint first time | columns of gaps between times, shapes,
// records, bytes for each record, bytes left over | byte form, columns of people and sets | loose rows | columnPad bytes.
// The bits of the form say what the columns hold: of people not ids but, where that is shorter, zigzag differences, as of a
// caller that walks through everybody; of sets one for each outcome that has disclosures, where they have it in common.
const (
	stepPeople = 1 << iota
	commonSets
	unknownForm
)

// mostInChunk bounds the memory that a chunk which is not what it was can ask for. An answer that the guard releases has
// fewer records.
const mostInChunk = 1 << 21

func appendChunk(dst []byte, c *chunk) []byte {
	for _, n := range [...]uint64{uint64(len(c.millis)), uint64(len(c.people)), uint64(len(c.loose)), c.millis[0]} {
		dst = binary.AppendUvarint(dst, n)
	}
	c.scratch = c.scratch[:0]
	for i, t := range c.millis[1:] {
		c.scratch = append(c.scratch, t-c.millis[i])
	}
	dst = appendColumn(dst, c.scratch)
	dst = appendColumn(dst, c.shapes)
	dst = appendColumn(dst, c.records)
	c.scratch, c.rest = c.scratch[:0], c.rest[:0]
	for i, n := range c.bytes {
		c.scratch, c.rest = append(c.scratch, n/max(c.records[i], 1)), append(c.rest, n%max(c.records[i], 1))
	}
	dst = appendColumn(dst, c.scratch)
	dst = appendColumn(dst, c.rest)
	if len(c.people) > 0 {
		at := len(dst)
		form, people := c.steps()
		dst = appendColumn(append(dst, 0), people)
		sets, common := c.setsInCommon()
		if common {
			form |= commonSets
		}
		dst[at] = form
		dst = appendColumn(dst, sets)
	}
	for _, l := range c.loose {
		for _, n := range [...]uint64{uint64(l.outcome), l.people, l.set} {
			dst = binary.AppendUvarint(dst, n)
		}
	}
	return append(dst, make([]byte, columnPad)...)
}

// steps returns the people's column in the form that is likely to be shorter.
func (c *chunk) steps() (form byte, vals []uint64) {
	c.scratch = c.scratch[:0]
	least, most, sum, before := c.people[0], c.people[0], uint64(0), uint64(0)
	for _, p := range c.people {
		step := int64(p - before)
		zigzag := uint64(step)<<1 ^ uint64(step>>63)
		c.scratch = append(c.scratch, zigzag)
		if before != 0 || len(c.scratch) > 1 {
			sum += zigzag
		}
		least, most, before = min(least, p), max(most, p), p
	}
	if bits.Len64(sum/uint64(len(c.people)))+2 < bits.Len64(most-least) {
		return stepPeople, c.scratch
	}
	return 0, c.people
}

// setsInCommon returns one set for each outcome that has disclosures, if they all have it, and else all sets.
func (c *chunk) setsInCommon() (sets []uint64, common bool) {
	c.rest = c.rest[:0]
	at := 0
	for _, n := range c.records {
		if n == 0 {
			continue
		}
		set := c.sets[at]
		for _, other := range c.sets[at : at+int(n)] {
			if other != set {
				return c.sets, false
			}
		}
		c.rest = append(c.rest, set)
		at += int(n)
	}
	return c.rest, true
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
	if d.bad || outcomes == 0 {
		return doubt("a chunk cannot be read")
	}
	c.loose, c.millis, c.bytes = c.loose[:0], c.millis[:0], c.bytes[:0]
	c.rawTimes = d.rest
	d.skip(outcomes - 1)
	c.shapes = d.column(outcomes, c.shapes)
	c.records = d.column(outcomes, c.records)
	if d.bad || !c.finish() || c.ends[outcomes-1] != events {
		return doubt("a chunk's records do not add up")
	}
	c.rawBytes = d.rest
	d.skip(outcomes)
	d.skip(outcomes)
	c.people, c.sets = c.people[:0], c.sets[:0]
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
	if !below(c.shapes, uint64(lim.shapes)) || !below(c.people, uint64(lim.people)) || !below(c.sets, uint64(lim.sets)) {
		return doubt("a chunk names what its segment does not have")
	}
	return nil
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

// alike reports whether the outcomes all have disclosures, of one shape and class set.
func (c *chunk) alike() bool {
	return len(c.people) > 0 && same(c.shapes) && same(c.sets) && !slices.Contains(c.records, 0)
}

func same(vals []uint64) bool {
	for _, v := range vals {
		if v != vals[0] {
			return false
		}
	}
	return true
}

// decodePeople reads the people and sets of the disclosures, of which there is at least one.
func (c *chunk) decodePeople(d *decoder) {
	events := c.ends[len(c.ends)-1]
	form := d.byte()
	c.people = d.column(events, c.people)
	if form&commonSets == 0 {
		c.sets = d.column(events, c.sets)
	} else {
		outcomes := 0
		for _, n := range c.records {
			if n > 0 {
				outcomes++
			}
		}
		c.rest = d.column(outcomes, c.rest)
	}
	if d.bad || form >= unknownForm {
		d.bad = true
		return
	}
	if form&stepPeople != 0 {
		before := uint64(0)
		for i, z := range c.people {
			before += uint64(int64(z>>1) ^ -int64(z&1))
			c.people[i] = before
		}
	}
	if form&commonSets != 0 {
		c.sets = grown(c.sets, events)
		at, outcome := 0, 0
		for _, n := range c.records {
			if n == 0 {
				continue
			}
			for end := at + int(n); at < end; at++ {
				c.sets[at] = c.rest[outcome]
			}
			outcome++
		}
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
}

func newTables() *tables {
	return &tables{shapeOf: map[shape]int{}, setOf: map[weir.ClassSet]int{}}
}

func (t *tables) shape(s shape) int {
	n, ok := t.shapeOf[s]
	if !ok {
		n = len(t.shapes)
		t.shapes, t.shapeOf[s] = append(t.shapes, s), n
	}
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
