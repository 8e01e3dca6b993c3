package exposure

import (
	"cmp"
	"math"
	"slices"

	"weir"
)

// People calls visit for each data subject that the query asks for, in the order in which the ledger first met them, with
// what the query asks of them. It holds the rows of at most 4 million people in memory, and reads the chunks once for each
// so many; a list of any length begins soon and never grows beyond that. An error of visit ends it.
func (x *Index) People(q Query, visit func(*Person) error) error {
	started := false
	return x.ask(func() error {
		l := &lister{x: x, tally: newTally(q), visit: func(p *Person) error {
			started = true
			return visit(p)
		}}
		return l.run()
	}, func() bool { return started })
}

type lister struct {
	x     *Index
	tally *tally
	visit func(*Person) error
	rows  []row
	base  uint32 // the id of rows[0]
}

// row is what is known of one person; nothing where count is 0.
type row struct {
	first, last int64
	classes     weir.ClassSet
	count       uint32
}

func (l *lister) run() error {
	people := l.x.tail.base + uint32(len(l.x.tail.fresh))
	if l.bound() < l.x.opts.sizes.list/16 {
		return l.few(&nameReader{x: l.x, ahead: 1})
	}
	names := &nameReader{x: l.x, ahead: 64}
	size := uint32(min(uint64(people), uint64(l.x.opts.sizes.list)))
	l.rows = make([]row, size)
	for from := uint64(0); from < uint64(people); from += uint64(size) {
		if l.base = uint32(from); from > 0 {
			clear(l.rows)
		}
		if err := l.gather(func(id uint32, at int64, set weir.ClassSet) { l.rows[id-l.base].saw(at, set) }); err != nil {
			return err
		}
		for i := range l.rows {
			if l.rows[i].count > 0 {
				if err := l.give(names, l.base+uint32(i), &l.rows[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// few makes the list by sorting the disclosures.
func (l *lister) few(names *nameReader) error {
	type event struct {
		at  int64
		set weir.ClassSet
		id  uint32
	}
	var events []event
	l.rows = nil
	if err := l.gather(func(id uint32, at int64, set weir.ClassSet) { events = append(events, event{at, set, id}) }); err != nil {
		return err
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.id, b.id) })
	for i := 0; i < len(events); {
		r, id := row{}, events[i].id
		for ; i < len(events) && events[i].id == id; i++ {
			r.saw(events[i].at, events[i].set)
		}
		if err := l.give(names, id, &r); err != nil {
			return err
		}
	}
	return nil
}

func (r *row) saw(at int64, set weir.ClassSet) {
	if r.count == 0 {
		r.first, r.last = at, at
	}
	r.first, r.last = min(r.first, at), max(r.last, at)
	r.classes |= set
	r.count++
}

func (l *lister) give(names *nameReader, id uint32, r *row) error {
	name, err := names.name(id)
	if err != nil {
		return err
	}
	return l.visit(&Person{name, r.classes, timeOf(r.first), timeOf(r.last), int(r.count)})
}

// bound is at least how many disclosures the query asks for.
func (l *lister) bound() int {
	n := len(l.x.tail.people)
	l.each(func(s *segment, p *party) error {
		for i := p.from; i < p.to; i++ {
			if c := &s.chunks[i]; c.last >= l.tally.from && c.first < l.tally.to {
				n += int(c.events)
			}
		}
		return nil
	})
	return n
}

// each visits the principals that the query asks for, in each segment.
func (l *lister) each(visit func(*segment, *party) error) error {
	for _, s := range l.x.segs {
		if s.outcomes == 0 || s.last < l.tally.from || s.first >= l.tally.to {
			continue
		}
		if q := l.tally.q.Principal; q != nil {
			if n, ok := s.party(q); ok {
				if err := visit(s, &s.who[n]); err != nil {
					return err
				}
			}
			continue
		}
		for n := range s.who {
			if err := visit(s, &s.who[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// gather visits the disclosures that the query asks for, of the people in rows; if rows is nil, of all.
func (l *lister) gather(visit func(id uint32, at int64, set weir.ClassSet)) error {
	t := l.tally
	least, most := uint32(0), uint32(math.MaxUint32)
	if l.rows != nil {
		least, most = l.base, uint32(min(uint64(l.base)+uint64(len(l.rows))-1, math.MaxUint32))
	}
	var lens *lens
	var of *segment
	err := l.each(func(s *segment, p *party) error {
		if s != of {
			lens, of = t.lens(s.tables), s
		}
		for i := p.from; i < p.to; i++ {
			info := &s.chunks[i]
			if info.last < t.from || info.first >= t.to || info.events == 0 || info.most < least || info.least > most {
				continue
			}
			c, err := t.reader.open(s, i)
			if err == nil {
				err = c.loadTimes()
			}
			if err != nil {
				return err
			}
			first, end := c.between(t.from, t.to)
			event, _ := c.disclosures(first, end)
			for o := first; o < end; o++ {
				if !lens.shapes[c.shapes[o]] {
					event = c.ends[o]
					continue
				}
				for ; event < c.ends[o]; event++ {
					if id := uint32(c.people[event]); id >= least && id <= most && lens.pools[c.sets[event]] != nil {
						visit(id, int64(c.millis[o]), s.tables.sets[c.sets[event]])
					}
				}
			}
		}
		return nil
	})
	if err == nil {
		t.tailEvents(l.x.tail, func(i, e int) {
			if id := l.x.tail.ids[l.x.tail.people[e]]; id >= least && id <= most {
				visit(id, l.x.tail.outs[i].millis, l.x.tail.tables.sets[l.x.tail.sets[e]])
			}
		})
	}
	return err
}

// tailEvents visits the tail's disclosures that the query asks for: the place of the outcome and that of the disclosure.
func (t *tally) tailEvents(tl *tail, visit func(outcome, event int)) {
	l := t.lens(tl.tables)
	from := uint32(0)
	for i := range tl.outs {
		o := &tl.outs[i]
		begin := from
		from = o.end
		if t.q.Principal != nil && tl.who[o.who] != *t.q.Principal || o.millis < t.from || o.millis >= t.to || !l.shapes[o.shape] {
			continue
		}
		for e := begin; e < o.end; e++ {
			if l.pools[tl.sets[e]] != nil {
				visit(i, int(e))
			}
		}
	}
}

// nameReader finds names by id, best in their order.
type nameReader struct {
	x      *Index
	ahead  int
	seg    int // whose column is open
	column *pages
}

func (r *nameReader) name(id uint32) (weir.Pseudonym, error) {
	if t := r.x.tail; id >= t.base {
		return t.names[t.fresh[id-t.base]], nil
	}
	n, _ := slices.BinarySearchFunc(r.x.segs, id, func(s *segment, id uint32) int {
		if s.people() <= id {
			return -1
		}
		return 1
	})
	if n == len(r.x.segs) || id < r.x.segs[n].book.base {
		return weir.Pseudonym{}, doubt("nobody has the id %d", id)
	}
	if r.column == nil || r.seg != n {
		r.seg, r.column = n, r.x.segs[n].book.reader(r.ahead)
	}
	return r.x.segs[n].book.name(r.column, id)
}

// idOf returns the id of a data subject whom the ledger knows.
func (x *Index) idOf(p weir.Pseudonym) (id uint32, ok bool, err error) {
	if id, ok = x.tail.lookUp(&p); ok {
		return id, true, nil
	}
	names := newNames([]weir.Pseudonym{p})
	for _, s := range x.segs {
		if err := s.book.find(names); err != nil || names.ids[0] != nobody {
			return names.ids[0], err == nil, err
		}
	}
	return 0, false, nil
}

// Accounting returns every disclosure of one data subject (45 CFR 164.528; GDPR 15(1)(c)): by time, and within one
// millisecond by principal, in the ledger's order for each.
func (x *Index) Accounting(subject weir.Pseudonym) (list []weir.Disclosure, err error) {
	err = x.ask(func() error {
		list, err = x.accounting(subject)
		return err
	}, notStarted)
	return list, err
}

func (x *Index) accounting(subject weir.Pseudonym) ([]weir.Disclosure, error) {
	list := []weir.Disclosure{}
	id, ok, err := x.idOf(subject)
	if err != nil || !ok {
		return list, err
	}
	var reader chunkReader
	for _, s := range x.segs {
		if id >= s.people() {
			continue
		}
		chunks, err := s.chunksOf(id)
		if err != nil {
			return nil, err
		}
		for _, n := range chunks {
			c, err := reader.open(s, int(n))
			if err == nil {
				err = c.loadTimes()
			}
			if err != nil {
				return nil, err
			}
			who, ok := slices.BinarySearchFunc(s.who, int(n), func(p party, n int) int {
				switch {
				case p.to <= n:
					return -1
				case p.from > n:
					return 1
				}
				return 0
			})
			if !ok {
				return nil, doubt("%s: chunk %d is nobody's", s.name, n)
			}
			event, before := 0, len(list)
			for i, end := range c.ends {
				for ; event < end; event++ {
					if uint32(c.people[event]) == id {
						list = append(list, weir.Disclosure{
							Time: timeOf(int64(c.millis[i])), Principal: s.who[who].name, DataSubject: subject,
							Classes: s.tables.sets[c.sets[event]], Route: s.tables.shapes[c.shapes[i]].route,
						})
					}
				}
			}
			if len(list) == before {
				return nil, doubt("%s: chunk %d does not hold whom a reference says", s.name, n)
			}
		}
	}
	tl := x.tail
	newTally(Query{}).tailEvents(tl, func(i, e int) {
		if tl.ids[tl.people[e]] == id {
			o := &tl.outs[i]
			list = append(list, weir.Disclosure{
				Time: timeOf(o.millis), Principal: tl.who[o.who], DataSubject: subject,
				Classes: tl.tables.sets[tl.sets[e]], Route: tl.tables.shapes[o.shape].route,
			})
		}
	})
	slices.SortStableFunc(list, func(a, b weir.Disclosure) int {
		return cmp.Or(a.Time.Compare(b.Time), slices.Compare(a.Principal[:], b.Principal[:]))
	})
	return list, nil
}

// A Receiver is a principal and how many distinct people it received.
type Receiver struct {
	Principal weir.Pseudonym
	People    int
}

// Top returns the n principals that received the most distinct people of those that the query asks for, the most first, and
// equal ones in the order of their pseudonyms. The query names no principal.
func (x *Index) Top(q Query, n int) (top []Receiver, err error) {
	err = x.ask(func() error {
		top, err = x.top(q, n)
		return err
	}, notStarted)
	return top, err
}

func (x *Index) top(q Query, n int) ([]Receiver, error) {
	q.Principal = nil
	l := &lister{x: x, tally: newTally(q)}
	most := map[weir.Pseudonym]int{} // disclosures in the time, at most
	l.each(func(s *segment, p *party) error {
		for i := p.from; i < p.to; i++ {
			if c := &s.chunks[i]; c.last >= l.tally.from && c.first < l.tally.to {
				most[p.name] += int(c.events)
			}
		}
		return nil
	})
	for i, begin := range x.tail.outs {
		from := uint32(0)
		if i > 0 {
			from = x.tail.outs[i-1].end
		}
		most[x.tail.who[begin.who]] += int(begin.end - from)
	}
	all := make([]Receiver, 0, len(most))
	for name, events := range most {
		all = append(all, Receiver{name, events})
	}
	order := func(a, b Receiver) int {
		return cmp.Or(cmp.Compare(b.People, a.People), slices.Compare(a.Principal[:], b.Principal[:]))
	}
	slices.SortFunc(all, order)
	top := []Receiver{}
	for _, r := range all {
		if n <= 0 || len(top) == n && r.People < top[n-1].People {
			break // nobody who follows has more disclosures than the last one has people
		}
		people, err := x.peopleOf(q, r.Principal, r.People)
		if err != nil {
			return nil, err
		}
		if people > 0 {
			top = append(top, Receiver{r.Principal, people})
		}
		slices.SortFunc(top, order)
		top = top[:min(len(top), n)]
	}
	return top, nil
}

// peopleOf counts one principal's people; few disclosures are sorted, for many there are tallies.
func (x *Index) peopleOf(q Query, who weir.Pseudonym, events int) (int, error) {
	q.Principal = &who
	if events >= x.opts.sizes.bucket {
		t := newTally(q)
		for _, s := range x.segs {
			if err := t.segment(s); err != nil {
				return 0, err
			}
		}
		t.tail(x.tail)
		people, _, err := t.distinct()
		return people, err
	}
	var ids []uint32
	l := &lister{x: x, tally: newTally(q)}
	err := l.gather(func(id uint32, _ int64, _ weir.ClassSet) { ids = append(ids, id) })
	slices.Sort(ids)
	return len(slices.Compact(ids)), err
}
