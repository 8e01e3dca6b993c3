// Package exposure computes from the ledger whose data left: which people, which classes, by whom, from when to when.
//
// Every answer is a recount of the ledger (P5): nothing is estimated and nothing is kept beside it. What could not be
// attributed to a person is counted apart, and what was released unread is a gap that lowers the coverage.
package exposure

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ledger"
)

// A Query restricts what is counted; the zero value asks for all.
type Query struct {
	Principal *weir.Pseudonym
	Route     string    // a route's pattern
	From, To  time.Time // From is inclusive, To exclusive; zero times are no bounds
}

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
	Unit         string // what one data subject is; several units are joined by commas
	People       []Person
	Unattributed weir.Unattributed
	Disclosures  int
	First, Last  time.Time        // of the disclosures; zero if there is none
	Principals   []weir.Pseudonym // who received something personal
	Bytes        int64            // upstream body bytes released
	Gaps         []Gap
	Findings     []weir.Finding
	Ledger       *ledger.Summary
}

// A Gap is what was released unread for one reason.
type Gap struct {
	Reason    weir.Reason
	Responses int
	Bytes     int64
}

// Compute reads the ledger and answers the query. A damaged ledger is answered from what can be read; the summary's faults
// say what is missing.
func Compute(fsys ledger.FS, q Query) (*Answer, error) {
	c := &count{answer: &Answer{Query: q}, people: map[weir.Pseudonym]*Person{}, principals: map[weir.Pseudonym]bool{}, gaps: map[weir.Reason]*Gap{}, units: map[string]bool{}, blocks: map[weir.Pseudonym]int{}}
	sum, err := ledger.Read(fsys, ledger.ReadOptions{Visit: c.visit})
	if err != nil {
		return nil, err
	}
	return c.finish(sum), nil
}

type count struct {
	answer     *Answer
	people     map[weir.Pseudonym]*Person
	principals map[weir.Pseudonym]bool
	gaps       map[weir.Reason]*Gap
	units      map[string]bool
	blocks     map[weir.Pseudonym]int // place of the principal's latest finding
}

// asksFor reports whether the query covers that principal at that time.
func (q Query) asksFor(who weir.Pseudonym, at time.Time) bool {
	return (q.Principal == nil || *q.Principal == who) && !at.Before(q.From) && (q.To.IsZero() || at.Before(q.To))
}

func (c *count) visit(e ledger.Entry) error {
	a := c.answer
	switch b := e.Body.(type) {
	case *ledger.Outcome:
		if a.Query.asksFor(b.Principal, e.Time) && (a.Query.Route == "" || a.Query.Route == b.Route) {
			c.outcome(e.Time, &b.Outcome)
		}
	case *ledger.Block:
		if a.Query.asksFor(b.Principal, e.Time) {
			f := weir.Finding{Kind: "quota_block", Time: e.Time, Principal: b.Principal.String(), People: b.People, Quota: b.Quota, Window: b.Window.String()}
			if b.Cause == ledger.ByHand {
				f.Kind, f.Window = "manual_block", ""
			}
			c.blocks[b.Principal] = len(a.Findings)
			a.Findings = append(a.Findings, f)
		}
	case *ledger.Unblock:
		if at, ok := c.blocks[b.Principal]; ok {
			a.Findings[at].Ended = true
		}
	}
	return nil
}

func (c *count) outcome(at time.Time, o *weir.Outcome) {
	a := c.answer
	a.Bytes += o.Bytes
	if o.Kind == weir.Gap {
		g := c.gaps[o.Reason]
		if g == nil {
			g = &Gap{Reason: o.Reason}
			c.gaps[o.Reason] = g
		}
		g.Responses++
		g.Bytes += o.Bytes
	}
	if len(o.Released) == 0 && o.Unattached.People == 0 { // a gap may hold what was seen before reading broke off
		return
	}
	c.units[o.Unit] = true
	c.principals[o.Principal] = true
	a.Unattributed.People += o.Unattached.People
	a.Unattributed.Classes |= o.Unattached.Classes
	for _, r := range o.Released {
		p := c.people[r.DataSubject]
		if p == nil {
			p = &Person{DataSubject: r.DataSubject, First: at}
			c.people[r.DataSubject] = p
		}
		p.Classes |= r.Classes
		p.Last = at
		p.Count++
		a.Disclosures++
		if a.First.IsZero() {
			a.First = at
		}
		a.Last = at
	}
}

func (c *count) finish(sum *ledger.Summary) *Answer {
	a := c.answer
	a.Ledger = sum
	a.Unit = strings.Join(slices.Sorted(maps.Keys(c.units)), ",")
	a.People = make([]Person, 0, len(c.people))
	for _, p := range c.people {
		a.People = append(a.People, *p)
	}
	slices.SortFunc(a.People, func(x, y Person) int {
		return cmp.Or(x.First.Compare(y.First), slices.Compare(x.DataSubject[:], y.DataSubject[:]))
	})
	for p := range c.principals {
		a.Principals = append(a.Principals, p)
	}
	slices.SortFunc(a.Principals, func(x, y weir.Pseudonym) int { return slices.Compare(x[:], y[:]) })
	for _, g := range c.gaps {
		a.Gaps = append(a.Gaps, *g)
	}
	slices.SortFunc(a.Gaps, func(x, y Gap) int { return cmp.Compare(x.Reason, y.Reason) })
	return a
}

// ByClass counts the distinct people of each class that was seen.
func (a *Answer) ByClass() map[string]int {
	counts := map[string]int{}
	for _, p := range a.People {
		for _, name := range p.Classes.Names() {
			counts[name]++
		}
	}
	return counts
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
	for _, p := range a.People {
		seen |= p.Classes
	}
	return seen
}

// Statement returns what the guard of that name can sign about the answer. checkpoint is the ledger's signed checkpoint.
func (a *Answer) Statement(guard string, made time.Time, checkpoint string) weir.Statement {
	s := weir.Statement{
		Guard: guard, Made: made.UTC().Truncate(time.Millisecond), From: bound(a.Query.From), To: bound(a.Query.To), Unit: cmp.Or(a.Unit, "account"),
		People: len(a.People), Unattached: a.Unattributed.People, Disclosures: a.Disclosures, ByClass: a.ByClass(), NoneFound: []string{},
		First: bound(a.First), Last: bound(a.Last), Principals: len(a.Principals), Coverage: a.Coverage(),
		Gaps: []weir.StatementGap{}, Findings: append([]weir.Finding{}, a.Findings...), Checkpoint: checkpoint,
	}
	if a.Query.Principal != nil {
		s.Principal = a.Query.Principal.String()
	}
	seen := a.Seen()
	for _, c := range weir.Classes() {
		if c != weir.Other && !seen.Has(c) { // nobody can look for "other" and not find it
			s.NoneFound = append(s.NoneFound, c.String())
		}
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

// Accounting returns every disclosure of one data subject, in the ledger's order (45 CFR 164.528; GDPR 15(1)(c)).
func Accounting(fsys ledger.FS, subject weir.Pseudonym) ([]weir.Disclosure, *ledger.Summary, error) {
	list := []weir.Disclosure{}
	sum, err := ledger.Read(fsys, ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		o, ok := e.Body.(*ledger.Outcome)
		if !ok {
			return nil
		}
		for _, r := range o.Released {
			if r.DataSubject == subject {
				list = append(list, weir.Disclosure{Time: e.Time, Principal: o.Principal, DataSubject: subject, Classes: r.Classes, Route: o.Route})
			}
		}
		return nil
	}})
	return list, sum, err
}
