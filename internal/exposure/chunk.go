package exposure

import "sort"

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

	ends []int // of each outcome's disclosures; filled by finish, and by open

	last               int64  // no time is later; set by whoever opens it
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

// outcomeOf returns the outcome that a disclosure is of.
func (c *chunk) outcomeOf(event int) int { return sort.SearchInts(c.ends, event+1) }

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
