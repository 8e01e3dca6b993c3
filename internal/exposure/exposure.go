// Package exposure computes from the ledger whose data left: which people, which classes, by whom, from when to when.
//
// Every answer equals a recount of the ledger (P5): nothing is estimated. What could not be attributed to a person is counted
// apart, and what was released unread is a gap that lowers the coverage.
//
// An [Index] follows the ledger and keeps, on disk, what it read in two orders. By principal: chunks of outcomes in the
// ledger's order, with its milliseconds; and for who has much, buckets of days and longer, in which the distinct people are
// counted already. By data subject: for each person the chunks that name them, which are then read. People are numbered in
// the order in which the ledger met them, and sets of people are sets of such numbers. An answer takes the largest buckets
// that lie in the time asked about and the outcomes, one by one, that no bucket covers; so it is exact at any edge. The
// ledger remains the only record: whatever of the index is lost, damaged or in doubt is made anew from it.
package exposure

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"weir"
)

// A Query restricts what is counted; the zero value asks for all.
type Query struct {
	Principal *weir.Pseudonym
	Route     string        // a route's pattern
	Classes   weir.ClassSet // only disclosures that hold any of these; 0 is no restriction
	From, To  time.Time     // From is inclusive, To exclusive; zero times are no bounds
}

// bounds are the query's times as the ledger has them, whole milliseconds, the end exclusive.
func (q *Query) bounds() (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if !q.From.IsZero() {
		from = ceilMillis(q.From)
	}
	if !q.To.IsZero() {
		to = ceilMillis(q.To)
	}
	return from, to
}

func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%1e6 != 0 {
		ms++
	}
	return ms
}

func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// A Person is what left of one data subject.
type Person struct {
	DataSubject weir.Pseudonym
	Classes     weir.ClassSet
	First, Last time.Time
	Count       int // disclosures
}

// An Answer is what the ledger says to a query.
type Answer struct {
	Query        Query
	Position     uint64         // the ledger's entries before this one are covered
	Begins       uint64         // but not those before this one: their volumes had been retired when the index was made
	Unit         string         // what one data subject is; several units are joined by commas
	People       int            // distinct data subjects
	ByClass      map[string]int // distinct data subjects of each class that was seen
	Unattributed weir.Unattributed
	Disclosures  int
	First, Last  time.Time        // of the disclosures; zero if there is none
	Principals   []weir.Pseudonym // who received something personal
	Bytes        int64            // upstream body bytes released
	Gaps         []Gap
	Findings     []weir.Finding
}

// A Gap is what was released unread for one reason.
type Gap struct {
	Reason    weir.Reason
	Responses int
	Bytes     int64
}

// Coverage is the share of the upstream body bytes released that was read, from 0 to 1; of nothing, all was read.
func (a *Answer) Coverage() float64 {
	if a.Bytes == 0 {
		return 1
	}
	unread := int64(0)
	for _, g := range a.Gaps {
		unread += g.Bytes
	}
	return float64(a.Bytes-unread) / float64(a.Bytes)
}

// Seen is every class that left, of people and unattributed alike.
func (a *Answer) Seen() weir.ClassSet {
	seen := a.Unattributed.Classes
	for _, c := range weir.Classes() {
		if a.ByClass[c.String()] > 0 {
			seen |= weir.Set(c)
		}
	}
	return seen
}

// NoneFound returns the names of the classes that were looked for and not found in what was read: no more than the coverage
// and the gaps allow to say. "other" is not among them: nobody can look for that.
func (a *Answer) NoneFound() []string {
	names := []string{}
	seen := a.Seen()
	for _, c := range weir.Classes() {
		if c != weir.Other && !seen.Has(c) {
			names = append(names, c.String())
		}
	}
	return names
}

// Statement returns what the guard of that name can sign about the answer. checkpoint is the ledger's signed checkpoint at
// the answer's position.
func (a *Answer) Statement(guard string, made time.Time, checkpoint string) weir.Statement {
	s := weir.Statement{
		Guard: guard, Made: made.UTC().Truncate(time.Millisecond), From: bound(a.Query.From), To: bound(a.Query.To), Unit: cmp.Or(a.Unit, "account"),
		People: a.People, Unattached: a.Unattributed.People, Disclosures: a.Disclosures, ByClass: maps.Clone(a.ByClass), NoneFound: a.NoneFound(),
		First: bound(a.First), Last: bound(a.Last), Principals: len(a.Principals), Coverage: a.Coverage(),
		Gaps: []weir.StatementGap{}, Findings: append([]weir.Finding{}, a.Findings...), Checkpoint: checkpoint,
	}
	if a.Query.Principal != nil {
		s.Principal = a.Query.Principal.String()
	}
	for _, p := range a.Principals {
		s.ReceivedBy = append(s.ReceivedBy, p.String())
	}
	for _, g := range a.Gaps {
		s.Gaps = append(s.Gaps, weir.StatementGap{Reason: g.Reason.String(), Responses: g.Responses, Bytes: g.Bytes})
	}
	return s
}

func bound(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Answer answers a query in figures.
func (x *Index) Answer(q Query) (a *Answer, err error) {
	err = x.ask(func() error {
		t := newTally(q)
		for _, s := range x.segs {
			if err := t.segment(s); err != nil {
				return err
			}
		}
		t.tail(x.tail)
		a, err = t.answer()
		if a != nil {
			a.Position, a.Begins, a.Findings = x.tail.to, x.begins(), x.findings(&q)
		}
		return err
	}, notStarted)
	return a, err
}

// findings returns the blocks that the query asks for, and whether each has ended since.
func (x *Index) findings(q *Query) (list []weir.Finding) {
	from, to := q.bounds()
	latest := map[weir.Pseudonym]int{} // place of the principal's latest finding
	note := func(b *blockEntry) {
		if b.unblock {
			if at, ok := latest[b.principal]; ok {
				list[at].Ended = true
			}
			return
		}
		if q.Principal != nil && *q.Principal != b.principal || b.millis < from || b.millis >= to {
			return
		}
		f := weir.Finding{Kind: "quota_block", Time: timeOf(b.millis), Principal: b.principal.String(), People: b.people, Quota: b.quota, Window: (time.Duration(b.window) * time.Millisecond).String()}
		if b.byHand {
			f.Kind, f.Window = "manual_block", ""
		}
		latest[b.principal] = len(list)
		list = append(list, f)
	}
	for _, s := range x.segs {
		for i := range s.blocks {
			note(&s.blocks[i])
		}
	}
	for i := range x.tail.blocks {
		note(&x.tail.blocks[i])
	}
	return list
}

// answer finishes a tally.
func (t *tally) answer() (*Answer, error) {
	a := &Answer{
		Query: t.q, Unattributed: weir.Unattributed{People: int(t.loosePeople), Classes: t.looseClasses}, Disclosures: int(t.all.count), Bytes: int64(t.bytes),
		Unit: strings.Join(slices.Sorted(maps.Keys(t.units)), ","),
	}
	if t.all.count > 0 {
		a.First, a.Last = timeOf(t.all.first), timeOf(t.all.last)
	}
	for p := range t.principals {
		a.Principals = append(a.Principals, p)
	}
	slices.SortFunc(a.Principals, func(x, y weir.Pseudonym) int { return slices.Compare(x[:], y[:]) })
	for _, g := range t.gaps {
		a.Gaps = append(a.Gaps, *g)
	}
	slices.SortFunc(a.Gaps, func(x, y Gap) int { return cmp.Compare(x.Reason, y.Reason) })
	var err error
	a.People, a.ByClass, err = t.distinct()
	return a, err
}
