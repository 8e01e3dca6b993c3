package main

import (
	"errors"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"weir"
	"weir/internal/ledger"
)

// A load is what a carrier's API gives out in 41 days: ordinary principals look customers up, one by one and now and then in
// a list, and one principal, the scraper, walks through everybody. It is the same for the same numbers.
type load struct {
	people      int
	disclosures int
	scraped     int // of the disclosures, how many are the scraper's
	principals  int // ordinary ones; the scraper's number is that
	identify    bool
}

const days = 41

var begin = time.Date(2022, 11, 25, 0, 0, 0, 0, time.UTC).UnixMilli()

// response is one answer of the API: its records are of different people. people is valid until the next one.
type response struct {
	millis    int64
	principal int
	bytes     int64
	classes   weir.ClassSet
	people    []uint32
}

var classSets = [...]weir.ClassSet{
	weir.Set(weir.Name, weir.Email, weir.Phone, weir.BirthDate, weir.PostalAddress, weir.AccountNumber, weir.Plan),
	weir.Set(weir.Name, weir.Phone, weir.AccountNumber),
	weir.Set(weir.AccountNumber, weir.Plan),
}

// each calls visit for every response in the order of time.
func (l *load) each(visit func(*response)) {
	rng := rand.New(rand.NewPCG(41, 2022))
	const perOrdinary = 0.9 + 0.1*9 // records of an ordinary response on average: one of ten is a list of 2 to 16
	ordinary := l.disclosures - l.scraped
	lookups := float64(ordinary) / perOrdinary
	total := lookups + float64(l.scraped)
	gap := float64(days*24*time.Hour/time.Millisecond) / total
	at, walk, left, scrapedLeft := 0.0, 0, ordinary, l.scraped
	r := response{people: make([]uint32, 0, 16)}
	for left > 0 || scrapedLeft > 0 {
		at += gap * (0.5 + rng.Float64())
		r.millis, r.people = begin+int64(at), r.people[:0]
		if scrapedLeft > 0 && (left == 0 || rng.Float64()*total < float64(l.scraped)) {
			r.principal, r.bytes, r.classes = l.principals, 550+rng.Int64N(120), classSets[0]
			r.people = append(r.people, uint32(walk%l.people))
			walk++
			scrapedLeft--
			visit(&r)
			continue
		}
		r.principal, r.classes = rng.IntN(l.principals), classSets[0]
		n := 1
		switch k := rng.IntN(100); {
		case k < 10:
			n, r.classes = 2+rng.IntN(15), classSets[1]
		case k < 30:
			r.classes = classSets[2]
		}
		n = min(n, left)
		for range n {
			r.people = append(r.people, uint32(rng.IntN(l.people)))
		}
		r.bytes = int64(n) * (550 + rng.Int64N(120))
		left -= n
		visit(&r)
	}
}

// key is the account number of a person.
func key(person int) string { return strconv.Itoa(100_000_000 + person) }

// pseudonyms are those of all people, by number, and of all principals.
func (l *load) pseudonyms(keyring *weir.Keyring) (people, principals []weir.Pseudonym) {
	people, principals = make([]weir.Pseudonym, l.people), make([]weir.Pseudonym, l.principals+1)
	for i := range people {
		people[i] = keyring.DataSubject("account", key(i))
	}
	for i := range principals {
		principals[i] = keyring.Principal(strconv.Itoa(i))
	}
	return people, principals
}

// record writes the load into a ledger. 256 callers wait for their commits, as before a busy guard, but nothing is synced.
func (l *load) record(path string, keyID [16]byte, people, principals []weir.Pseudonym) error {
	next, stop := iter.Pull(l.responses())
	defer stop()
	r, more := next() // guarded by the ledger's own lock: Now and build run one at a time under it
	log, err := ledger.Open(unsynced{ledger.Dir(path)}, ledger.Options{KeyID: keyID, Now: func() time.Time {
		if !more {
			return time.UnixMilli(begin)
		}
		return time.UnixMilli(r.millis)
	}})
	if err != nil {
		return err
	}
	take := func() *ledger.Outcome {
		o := &ledger.Outcome{}
		o.Kind, o.Principal, o.Route, o.Unit, o.Status, o.Bytes = weir.Disclosed, principals[r.principal], "GET /v1/customers/{account}", "account", 200, r.bytes
		if len(r.people) > 1 {
			o.Route = "GET /v1/customers"
		}
		for _, p := range r.people {
			o.Released = append(o.Released, weir.Record{DataSubject: people[p], Classes: r.classes})
		}
		r, more = next()
		return o
	}
	errs := make(chan error)
	const callers = 256
	for range callers {
		go func() {
			for {
				ended := false
				err := log.Append(func(time.Time) []ledger.Body {
					if ended = !more; ended {
						return nil
					}
					return []ledger.Body{take()}
				})
				if err != nil || ended {
					errs <- err
					return
				}
			}
		}()
	}
	for range callers {
		err = errors.Join(err, <-errs)
	}
	return errors.Join(err, log.Close())
}

// responses is each as an iterator.
func (l *load) responses() iter.Seq[*response] {
	return func(yield func(*response) bool) {
		going := true
		l.each(func(r *response) { going = going && yield(r) })
	}
}

// unsynced is a ledger's folder that does not wait for the disk.
type unsynced struct{ ledger.FS }

func (u unsynced) Create(name string) (ledger.File, error) {
	f, err := u.FS.Create(name)
	return lazyFile{f}, err
}

type lazyFile struct{ ledger.File }

func (lazyFile) Sync() error { return nil }
