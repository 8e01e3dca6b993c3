package exposure

import (
	"cmp"
	"slices"

	"weir"
	"weir/internal/ledger"
)

// A tail is what the index holds in memory of the ledger's end, until it becomes a segment.
type tail struct {
	from, to uint64 // the ledger's entries that it covers, to is exclusive
	last     uint64 // digest of the last of them, or of the one before
	tables   *tables
	outs     []tailOutcome
	people   []uint32 // numbers in names, outcome by outcome; without those of unsettled
	sets     []uint32
	loose    []loose // by place in outs
	blocks   []blockEntry

	who   []weir.Pseudonym
	whoOf map[weir.Pseudonym]uint32

	unsettled []weir.Pseudonym // people of the latest disclosures, not looked up yet
	looks     []look           // memory of settle

	names []weir.Pseudonym // of its people, in the order in which it met them
	slots []uint64         // open addressing by hash: upper half of the hash, then the number in names plus one
	ids   []uint32         // of names, as far as resolve has come
	base  uint32           // the first id that no segment has given
	fresh []uint32         // numbers in names of the people with the ids from base on
}

type tailOutcome struct {
	millis int64
	bytes  int64
	who    uint32
	shape  uint32
	end    uint32 // of its disclosures
}

// newTail returns an empty tail; last is the digest of the entry before it.
func newTail(from uint64, base uint32, last uint64) *tail {
	return &tail{from: from, to: from, base: base, last: last, tables: newTables(), whoOf: map[weir.Pseudonym]uint32{}, slots: make([]uint64, 1<<10)}
}

// follow returns an empty tail in the memory of one that nobody reads any more.
func (t *tail) follow(from uint64, base uint32, last uint64) *tail {
	n := newTail(from, base, last)
	n.outs, n.people, n.sets, n.loose = t.outs[:0], t.people[:0], t.sets[:0], t.loose[:0]
	n.names, n.ids, n.fresh, n.slots, n.looks = t.names[:0], t.ids[:0], t.fresh[:0], t.slots, t.looks
	clear(n.slots)
	return n
}

// size is what batches are limited by.
func (t *tail) size() int { return max(len(t.outs), len(t.sets), int(t.to-t.from)) }

// add takes in the ledger's next entry. It keeps nothing that the entry points to.
func (t *tail) add(e *ledger.Entry) {
	switch b := e.Body.(type) {
	case *ledger.Outcome:
		t.outcome(e.Time.UnixMilli(), &b.Outcome)
	case *ledger.Block:
		t.blocks = append(t.blocks, blockEntry{
			millis: e.Time.UnixMilli(), principal: b.Principal, byHand: b.Cause == ledger.ByHand,
			people: b.People, quota: b.Quota, window: b.Window.Milliseconds(),
		})
	case *ledger.Unblock:
		t.blocks = append(t.blocks, blockEntry{millis: e.Time.UnixMilli(), principal: b.Principal, unblock: true})
	}
	t.to = e.Seq + 1
	t.last = digest(e)
}

func (t *tail) outcome(at int64, o *weir.Outcome) {
	gap := o.Kind == weir.Gap
	loosely := o.Unattached.People > 0 || len(o.Released) > 0 && o.Unattached.Classes != 0
	if o.Bytes == 0 && !gap && !loosely && len(o.Released) == 0 {
		return // a refusal: nothing left
	}
	s := shape{route: o.Route, unit: o.Unit, gap: gap}
	if gap {
		s.reason = o.Reason
	}
	who, ok := t.whoOf[o.Principal]
	if !ok {
		who = uint32(len(t.who))
		t.who, t.whoOf[o.Principal] = append(t.who, o.Principal), who
	}
	if loosely {
		t.loose = append(t.loose, loose{len(t.outs), uint64(o.Unattached.People), uint64(t.tables.set(o.Unattached.Classes))})
	}
	for i := range o.Released {
		r := &o.Released[i]
		t.unsettled = append(t.unsettled, r.DataSubject)
		t.sets = append(t.sets, uint32(t.tables.set(r.Classes)))
	}
	if len(t.unsettled) >= settleAt {
		t.settle()
	}
	t.outs = append(t.outs, tailOutcome{at, o.Bytes, who, uint32(t.tables.shape(s)), uint32(len(t.sets))})
}

// settleAt is how many people are looked up together: the looks at the table, each of which waits for memory, then overlap.
const settleAt = 256

// settle looks up the people of the disclosures that were added since, and numbers those that are new.
func (t *tail) settle() {
	for 2*(len(t.names)+len(t.unsettled)) >= len(t.slots) {
		t.slots = make([]uint64, 2*len(t.slots))
		for n := range t.names {
			h := hashOf(&t.names[n])
			t.slots[t.slot(&t.names[n], h)] = h>>32<<32 | uint64(n+1)
		}
	}
	t.looks = t.looks[:0]
	for i := range t.unsettled {
		h := hashOf(&t.unsettled[i])
		t.looks = append(t.looks, look{h, t.slots[h&uint64(len(t.slots)-1)]})
	}
	for i, l := range t.looks {
		p, slot := &t.unsettled[i], l.slot
		if slot == 0 || slot>>32 != l.hash>>32 || t.names[uint32(slot)-1] != *p {
			at := t.slot(p, l.hash)
			if t.slots[at] == 0 {
				t.names = append(t.names, *p)
				t.slots[at] = l.hash>>32<<32 | uint64(len(t.names))
			}
			slot = t.slots[at]
		}
		t.people = append(t.people, uint32(slot)-1)
	}
	t.unsettled = t.unsettled[:0]
}

// look is a hash and what stood in its slot; a slot that is taken never changes.
type look struct{ hash, slot uint64 }

// slot returns where the person stands, or may be put.
func (t *tail) slot(p *weir.Pseudonym, h uint64) int {
	for at := int(h & uint64(len(t.slots)-1)); ; at = (at + 1) & (len(t.slots) - 1) {
		s := t.slots[at]
		if s == 0 || s>>32 == h>>32 && t.names[uint32(s)-1] == *p {
			return at
		}
	}
}

// digest tells entries apart. It is no proof of anything: the index is not evidence, the ledger is.
func digest(e *ledger.Entry) uint64 {
	h := mix(mix(1, e.Seq), uint64(e.Time.UnixMilli()))
	switch b := e.Body.(type) {
	case *ledger.Outcome:
		h = mix(mix(mix(h, hashOf(&b.Principal)), uint64(b.Kind)<<8|uint64(b.Reason)), uint64(b.Bytes))
		for i := range b.Released {
			h = mix(h, hashOf(&b.Released[i].DataSubject)^uint64(b.Released[i].Classes))
		}
	case *ledger.Block:
		h = mix(mix(h, hashOf(&b.Principal)), 2)
	case *ledger.Unblock:
		h = mix(mix(h, hashOf(&b.Principal)), 3)
	}
	return h
}

func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0x9e3779b97f4a7c15
	return h ^ h>>31
}

// resolve gives their ids to the people that have none yet: those of the segments, or the next free ones in the order in
// which the people were met.
func (t *tail) resolve(segs []*segment) error {
	sought, err := t.seek(segs)
	if err != nil {
		return err
	}
	return t.number(sought)
}

// seek looks for the people without ids in the segments.
func (t *tail) seek(segs []*segment) (*names, error) {
	t.settle()
	sought := newNames(t.names[len(t.ids):])
	for _, s := range segs {
		if err := s.book.find(sought); err != nil {
			return nil, err
		}
	}
	return sought, nil
}

// number gives the people that were sought their ids.
func (t *tail) number(sought *names) error {
	from := uint32(len(t.ids))
	for i, id := range sought.found() {
		if id == nobody {
			if uint64(t.base)+uint64(len(t.fresh)) >= nobody {
				return doubt("more people than it can number")
			}
			id = t.base + uint32(len(t.fresh))
			t.fresh = append(t.fresh, from+uint32(i))
		}
		t.ids = append(t.ids, id)
	}
	return nil
}

// write writes the tail, whose people are all resolved, as a segment.
func (t *tail) write(w *segmentWriter) error {
	order := make([]uint32, len(t.who)) // principals by pseudonym
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return slices.Compare(t.who[a][:], t.who[b][:]) })
	sorted := t.byPrincipal(order)
	pairs := make([]uint64, 0, len(t.people))
	for _, who := range order {
		var err error
		if pairs, err = sorted.write(w, t.who[who], pairs); err != nil {
			return err
		}
	}
	if err := t.writePeople(w); err != nil {
		return err
	}
	refs := w.references()
	if err := refs.addPairs(sortPairs(pairs, make([]uint64, len(pairs)))); err != nil {
		return err
	}
	if err := refs.flush(); err != nil {
		return err
	}
	w.seg.blocks = t.blocks
	return w.finish(refs)
}

// writePeople writes the names of the people whom the tail met first.
func (t *tail) writePeople(w *segmentWriter) error {
	order := make([]uint64, len(t.fresh))
	for i, n := range t.fresh {
		order[i] = uint64(shortHash(&t.names[n]))<<32 | uint64(i)
	}
	order = sortPairs(order, make([]uint64, len(order)))
	column := func(visit func(*weir.Pseudonym)) error {
		for _, n := range t.fresh {
			visit(&t.names[n])
		}
		return nil
	}
	return w.people(t.base, len(t.fresh), column, nameHashes{
		all: func(visit func(hash uint32)) error {
			for _, o := range order {
				visit(uint32(o >> 32))
			}
			return nil
		},
		inOrder: func(visit func(hash, id uint32) error) error {
			for _, o := range order {
				if err := visit(uint32(o>>32), uint32(o)); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// byPrincipal is a tail's outcomes and disclosures, those of one principal together.
type byPrincipal struct {
	loose  []loose
	outs   []sortedOutcome
	people []uint32 // ids
	sets   []uint32
	order  []uint64 // memory of take
}

type sortedOutcome struct {
	millis, bytes int64
	shape         uint32
	records       uint32
	number        uint32 // in the tail
	who           uint32
}

// byPrincipal puts the outcomes where they belong, for principals in that order.
func (t *tail) byPrincipal(order []uint32) *byPrincipal {
	s := &byPrincipal{
		loose: t.loose, outs: make([]sortedOutcome, len(t.outs)), people: make([]uint32, len(t.people)), sets: make([]uint32, len(t.sets)),
	}
	type place struct{ out, event uint32 }
	places := make([]place, len(t.who))
	begin := uint32(0)
	for i := range t.outs {
		o := &t.outs[i]
		places[o.who].out++
		places[o.who].event += o.end - begin
		begin = o.end
	}
	next := place{}
	for _, who := range order {
		size := places[who]
		places[who] = next
		next.out, next.event = next.out+size.out, next.event+size.event
	}
	begin = 0
	for i := range t.outs {
		o := &t.outs[i]
		to := &places[o.who]
		s.outs[to.out] = sortedOutcome{o.millis, o.bytes, o.shape, o.end - begin, uint32(i), o.who}
		to.out++
		for ; begin < o.end; begin++ {
			s.people[to.event], s.sets[to.event] = t.ids[t.people[begin]], t.sets[begin]
			to.event++
		}
	}
	return s
}

// write takes the first principal's outcomes off and writes them. It appends a pair of person and chunk for each disclosure.
func (s *byPrincipal) write(w *segmentWriter, name weir.Pseudonym, pairs []uint64) ([]uint64, error) {
	n, events := 0, 0
	for ; n < len(s.outs) && s.outs[n].who == s.outs[0].who; n++ {
		events += int(s.outs[n].records)
	}
	w.begin(name, max(n, events))
	var piece chunk
	turn := func() error {
		number, err := w.append(&piece)
		for _, id := range piece.people {
			pairs = append(pairs, id<<32|uint64(number))
		}
		piece.reset()
		return err
	}
	for i := range s.outs[:n] {
		o := &s.outs[i]
		if len(piece.millis) > 0 && piece.size()+max(int(o.records), 1) > w.limit {
			if err := turn(); err != nil {
				return nil, err
			}
		}
		if at, ok := slices.BinarySearchFunc(s.loose, int(o.number), func(l loose, n int) int { return cmp.Compare(l.outcome, n) }); ok {
			l := s.loose[at]
			l.outcome = len(piece.millis)
			piece.loose = append(piece.loose, l)
		}
		piece.millis, piece.shapes = append(piece.millis, uint64(o.millis)), append(piece.shapes, uint64(o.shape))
		piece.bytes, piece.records = append(piece.bytes, uint64(o.bytes)), append(piece.records, uint64(o.records))
		s.take(&piece, int(o.records))
	}
	s.outs = s.outs[n:]
	if err := turn(); err != nil {
		return nil, err
	}
	return pairs, w.end()
}

// take moves the next n disclosures, which are of one outcome, to a chunk: in the order of ids, those of one person as they
// stood.
func (s *byPrincipal) take(c *chunk, n int) {
	s.order = s.order[:0]
	for i, id := range s.people[:n] {
		s.order = append(s.order, uint64(id)<<32|uint64(i))
	}
	if n > 1 {
		slices.Sort(s.order)
	}
	for _, o := range s.order {
		c.people, c.sets = append(c.people, o>>32), append(c.sets, uint64(s.sets[uint32(o)]))
	}
	s.people, s.sets = s.people[n:], s.sets[n:]
}

// lookUp returns the id of a person whom the tail gave it.
func (t *tail) lookUp(p *weir.Pseudonym) (uint32, bool) {
	n := uint32(t.slots[t.slot(p, hashOf(p))])
	if n == 0 || int(n) > len(t.ids) {
		return 0, false
	}
	return t.ids[n-1], true
}
