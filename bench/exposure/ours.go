package main

import (
	"context"
	"fmt"
	"time"

	"weir"
	"weir/internal/exposure"
	"weir/internal/ledger"
)

// ours is the exposure index.
type ours struct {
	x          *exposure.Index
	people     []weir.Pseudonym
	principals []weir.Pseudonym
}

func (o *ours) name() string { return "weir" }

// build makes the index from the ledger alone.
func (o *ours) build(ledgerDir, dir string) (err error) {
	if o.x, err = exposure.Open(exposure.Options{Ledger: ledger.Dir(ledgerDir), Dir: dir}); err != nil {
		return err
	}
	return o.x.Refresh(context.Background())
}

func (o *ours) sizes(disclosures int) string {
	names, rest, people, events := o.x.Size()
	return fmt.Sprintf("%.2f bytes a disclosure in both orders, of %d; %.1f bytes a person for names, of %d", float64(rest)/float64(events), events, float64(names)/float64(people), people)
}

func (o *ours) query(principal int, from, to int64) exposure.Query {
	q := exposure.Query{Principal: &o.principals[principal]}
	if from != 0 || to != 0 {
		q.From, q.To = time.UnixMilli(from), time.UnixMilli(to)
	}
	return q
}

func (o *ours) distinct(principal int, from, to int64) (int, error) {
	a, err := o.x.Answer(o.query(principal, from, to))
	if err != nil {
		return 0, err
	}
	return a.People, nil
}

func (o *ours) accounting(person int) (int, error) {
	list, err := o.x.Accounting(o.people[person])
	return len(list), err
}

func (o *ours) list(principal int) (n int, err error) {
	err = o.x.People(o.query(principal, 0, 0), func(*exposure.Person) error {
		n++
		return nil
	})
	return n, err
}

func (o *ours) close() error { return o.x.Close() }
