package exposure

import (
	"errors"
	"slices"
)

// latest bounds times, Unix ms: a list has 48 bits for the time between two.
const latest = 1<<48 - 1

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
	c.last = latest
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
		c.decodePeople(&d, lim)
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
	if !below(c.people, uint64(lim.people)) {
		return doubt("a chunk names people whom its segment does not have")
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
	c.ends = slices.Grow(c.ends, n)
	if len(c.kinds) == 1 && c.kinds[0].set > 0 {
		k := c.kinds[0]
		fill(c.shapes, k.shape)
		fill(c.records, k.records)
		fill(c.sets, k.set-1)
		c.ends = c.ends[:n]
		for i := range c.ends {
			c.ends[i] = (i + 1) * int(k.records)
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
func (c *chunk) loadTimes() error { return c.loadTimesTo(len(c.records)) }

// loadTimesTo reads the times of the first n outcomes, of which there is at least one, if that was not done yet.
func (c *chunk) loadTimesTo(n int) error {
	if len(c.millis) >= n {
		return nil
	}
	d := decoder{rest: c.rawTimes}
	c.scratch = d.column(n-1, c.scratch)
	if d.bad {
		return doubt("a chunk's times cannot be read")
	}
	c.millis = grown(c.millis, n)
	c.millis[0] = c.first
	at, high := c.first, c.first
	for i, gap := range c.scratch {
		at += gap
		c.millis[i+1] = at
		high |= gap | at
	}
	if high > latest || int64(at) > c.last {
		c.millis = c.millis[:0]
		return doubt("a chunk's times go beyond its last one")
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
func (c *chunk) decodePeople(d *decoder, lim limits) {
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
	if !below(c.rest, uint64(lim.sets)) {
		d.bad = true
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
