package exposure

import (
	"cmp"
	"math"
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
	people   []uint32 // numbers in names, outcome by outcome
	sets     []uint32
	loose    []loose // by place in outs
	blocks   []blockEntry

	who   []weir.Pseudonym
	whoOf map[weir.Pseudonym]uint32

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
	n.names, n.ids, n.fresh, n.slots = t.names[:0], t.ids[:0], t.fresh[:0], t.slots
	clear(n.slots)
	return n
}

// size is what batches are limited by.
func (t *tail) size() int { return max(len(t.outs), len(t.people), int(t.to-t.from)) }

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
		t.people = append(t.people, t.person(&r.DataSubject))
		t.sets = append(t.sets, uint32(t.tables.set(r.Classes)))
	}
	t.outs = append(t.outs, tailOutcome{at, o.Bytes, who, uint32(t.tables.shape(s)), uint32(len(t.people))})
}

// person returns the person's number in names, and gives the next one where there is none.
func (t *tail) person(p *weir.Pseudonym) uint32 {
	if 2*len(t.names) >= len(t.slots) {
		t.slots = make([]uint64, 2*len(t.slots))
		for n := range t.names {
			h := hashOf(&t.names[n])
			t.slots[t.slot(&t.names[n], h)] = h>>32<<32 | uint64(n+1)
		}
	}
	h := hashOf(p)
	at := t.slot(p, h)
	if t.slots[at] == 0 {
		t.names = append(t.names, *p)
		t.slots[at] = h>>32<<32 | uint64(len(t.names))
	}
	return uint32(t.slots[at]) - 1
}

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
	from := len(t.ids)
	if from == len(t.names) {
		return nil
	}
	sought := newNames(t.names[from:])
	ids := make([]uint32, len(sought.all))
	known := make([]bool, len(ids))
	for _, s := range segs {
		if err := s.book.find(sought, func(at, id uint32) { ids[at], known[at] = id, true }); err != nil {
			return err
		}
	}
	for i := range ids {
		if known[i] {
			continue
		}
		if uint64(t.base)+uint64(len(t.fresh)) >= math.MaxUint32 {
			return doubt("more people than it can number")
		}
		ids[i] = t.base + uint32(len(t.fresh))
		t.fresh = append(t.fresh, uint32(from+i))
	}
	t.ids = append(t.ids, ids...)
	return nil
}

// write writes the tail, whose people are all resolved, as a segment.
func (t *tail) write(w *segmentWriter) error {
	order := make([]uint32, len(t.who)) // principals by pseudonym
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return slices.Compare(t.who[a][:], t.who[b][:]) })
	starts, events := make([]int, len(t.who)+1), make([]int, len(t.who))
	begin := uint32(0)
	for i := range t.outs {
		starts[t.outs[i].who+1]++
		events[t.outs[i].who] += int(t.outs[i].end - begin)
		begin = t.outs[i].end
	}
	for i := range t.who {
		starts[i+1] += starts[i]
	}
	outs := make([]uint32, len(t.outs)) // by principal
	fill := slices.Clone(starts)
	for i := range t.outs {
		at := &fill[t.outs[i].who]
		outs[*at] = uint32(i)
		*at++
	}
	pairs := make([]uint64, 0, len(t.people))
	for _, who := range order {
		list := outs[starts[who]:starts[who+1]]
		w.begin(t.who[who], max(len(list), events[who]))
		var err error
		if pairs, err = t.writePrincipal(w, list, pairs); err != nil {
			return err
		}
		if err := w.end(); err != nil {
			return err
		}
	}
	err := w.people(t.base, len(t.fresh), func(visit func(uint32, *weir.Pseudonym)) error {
		for i, n := range t.fresh {
			visit(uint32(i), &t.names[n])
		}
		return nil
	})
	if err != nil {
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

// writePrincipal writes one principal's outcomes and appends a pair of person and chunk for each disclosure.
func (t *tail) writePrincipal(w *segmentWriter, list []uint32, pairs []uint64) ([]uint64, error) {
	var piece chunk
	turn := func() error {
		number, err := w.append(&piece)
		for _, id := range piece.people {
			pairs = append(pairs, id<<32|uint64(number))
		}
		piece.reset()
		return err
	}
	for _, n := range list {
		o := &t.outs[n]
		from := uint32(0)
		if n > 0 {
			from = t.outs[n-1].end
		}
		if len(piece.millis) > 0 && piece.size()+int(o.end-from) > w.sizes.chunk || len(piece.millis) == w.sizes.chunk {
			if err := turn(); err != nil {
				return nil, err
			}
		}
		if at, ok := slices.BinarySearchFunc(t.loose, int(n), func(l loose, n int) int { return cmp.Compare(l.outcome, n) }); ok {
			l := t.loose[at]
			l.outcome = len(piece.millis)
			piece.loose = append(piece.loose, l)
		}
		piece.millis, piece.shapes = append(piece.millis, uint64(o.millis)), append(piece.shapes, uint64(o.shape))
		piece.bytes, piece.records = append(piece.bytes, uint64(o.bytes)), append(piece.records, uint64(o.end-from))
		for i := from; i < o.end; i++ {
			piece.people = append(piece.people, uint64(t.ids[t.people[i]]))
			piece.sets = append(piece.sets, uint64(t.sets[i]))
		}
	}
	return pairs, turn()
}

// lookUp returns the id of a person whom the tail gave it.
func (t *tail) lookUp(p *weir.Pseudonym) (uint32, bool) {
	n := uint32(t.slots[t.slot(p, hashOf(p))])
	if n == 0 || int(n) > len(t.ids) {
		return 0, false
	}
	return t.ids[n-1], true
}
