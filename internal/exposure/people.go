package exposure

import (
	"cmp"
	"slices"

	"weir"
)

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
	reader := readers.Get().(*chunkReader)
	defer readers.Put(reader)
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
				list, err = s.appendDisclosures(list, subject, id, int(n), c)
			}
			if err != nil {
				return nil, err
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

// appendDisclosures appends what a chunk, which was opened, holds of a person.
func (s *segment) appendDisclosures(list []weir.Disclosure, subject weir.Pseudonym, id uint32, number int, c *chunk) ([]weir.Disclosure, error) {
	who, ok := slices.BinarySearchFunc(s.who, number, func(p party, n int) int {
		switch {
		case p.to <= n:
			return -1
		case p.from > n:
			return 1
		}
		return 0
	})
	if !ok {
		return nil, doubt("%s: chunk %d is nobody's", s.name, number)
	}
	last := len(c.people) - 1
	for last >= 0 && uint32(c.people[last]) != id {
		last--
	}
	if last < 0 {
		return nil, doubt("%s: chunk %d does not hold whom a reference says", s.name, number)
	}
	if err := c.loadTimesTo(c.outcomeOf(last) + 1); err != nil {
		return nil, err
	}
	for event, p := range c.people[:last+1] {
		if uint32(p) == id {
			outcome := c.outcomeOf(event)
			list = append(list, weir.Disclosure{
				Time: timeOf(int64(c.millis[outcome])), Principal: s.who[who].name, DataSubject: subject,
				Classes: s.tables.sets[c.sets[event]], Route: s.tables.shapes[c.shapes[outcome]].route,
			})
		}
	}
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
	begin, end := q.bounds()
	most := map[weir.Pseudonym]int{} // disclosures in the time, at most
	for _, s := range x.segs {
		for i := range s.who {
			for _, c := range s.chunks[s.who[i].from:s.who[i].to] {
				if c.last >= begin && c.first < end {
					most[s.who[i].name] += int(c.events)
				}
			}
		}
	}
	from := uint32(0)
	for _, o := range x.tail.outs {
		most[x.tail.who[o.who]] += int(o.end - from)
		from = o.end
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
	err := newLister(x, q, nil).gather(func(some, _ []uint64, _ *pool) {
		for _, id := range some {
			ids = append(ids, uint32(id))
		}
	})
	slices.Sort(ids)
	return len(slices.Compact(ids)), err
}
