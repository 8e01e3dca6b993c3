package exposure

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"weir"
	"weir/internal/ledger"
)

var start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

func person(n int) weir.Pseudonym    { return weir.Pseudonym{0: 1, 15: byte(n)} }
func principal(n int) weir.Pseudonym { return weir.Pseudonym{0: 2, 15: byte(n)} }

// write makes a ledger in which entry n is of second n.
func write(t testing.TB, path string, bodies ...ledger.Body) ledger.FS {
	fsys := ledger.Dir(path)
	now := start
	l, err := ledger.Open(fsys, ledger.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bodies {
		if err := l.Append(func(time.Time) []ledger.Body { return []ledger.Body{b} }); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func disclosed(who int, route string, classes weir.ClassSet, people ...int) *ledger.Outcome {
	o := &ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Disclosed, Principal: principal(who), Route: route, Unit: "account", Status: 200, Bytes: 100}}
	for _, p := range people {
		o.Released = append(o.Released, weir.Record{DataSubject: person(p), Classes: classes})
	}
	return o
}

// opened returns an index of the ledger that has read all of it.
func opened(t testing.TB, fsys ledger.FS) *Index {
	t.Helper()
	x, err := Open(Options{Ledger: fsys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	if err := x.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x
}

func answered(t testing.TB, x *Index, q Query) *Answer {
	t.Helper()
	a, err := x.Answer(q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func peopleIn(t testing.TB, x *Index, q Query) (list []Person) {
	t.Helper()
	if err := x.People(q, func(p *Person) error {
		list = append(list, *p)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAnswer(t *testing.T) {
	one := principal(1)
	fsys := write(t, t.TempDir(),
		disclosed(1, "GET /a", weir.Set(weir.Name), 1, 2),
		disclosed(2, "GET /a", weir.Set(weir.Name), 2),
		disclosed(1, "GET /b", weir.Set(weir.Email), 2, 3),
		&ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Gap, Reason: weir.NotJSON, Principal: one, Route: "GET /c", Bytes: 100}},
		&ledger.Outcome{Outcome: weir.Outcome{Kind: weir.NoneFound, Principal: one, Route: "GET /c", Bytes: 100}},
		&ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Refused, Reason: weir.QuotaExceeded, Principal: one, Route: "GET /c"}},
		&ledger.Block{Principal: one, Cause: ledger.ByQuota, People: 3, Quota: 3, Window: time.Hour},
		&ledger.Unblock{Principal: one},
		&ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Disclosed, Principal: one, Route: "unmatched", Unit: "account", Bytes: 100, Unattached: weir.Unattributed{People: 4, Classes: weir.Set(weir.SSN)}}},
	)
	x := opened(t, fsys)
	a := answered(t, x, Query{Principal: &one})
	if a.People != 3 || a.Disclosures != 4 || a.Unattributed.People != 4 || len(a.Principals) != 1 {
		t.Errorf("%d people, %d disclosures, %d unattributed, %d principals", a.People, a.Disclosures, a.Unattributed.People, len(a.Principals))
	}
	if diff := cmp.Diff(map[string]int{"name": 2, "email": 2}, a.ByClass); diff != "" {
		t.Error(diff)
	}
	if got := a.Coverage(); got != 0.8 {
		t.Errorf("coverage %v, want 0.8: 100 of 500 bytes were not read", got)
	}
	both := Person{DataSubject: person(2), Classes: weir.Set(weir.Name, weir.Email), First: start, Last: start.Add(2 * time.Second), Count: 2}
	if list := peopleIn(t, x, Query{Principal: &one}); len(list) != 3 || list[1] != both {
		t.Errorf("%+v is not the second of %+v", both, list)
	}
	s := a.Statement("guard.example.com", start.Add(time.Hour), "")
	if slices.Contains(s.NoneFound, "ssn") || slices.Contains(s.NoneFound, "other") || !slices.Contains(s.NoneFound, "payment_card") {
		t.Errorf("none found: %v", s.NoneFound)
	}
	if len(s.Findings) != 1 || !s.Findings[0].Ended || s.Findings[0].Quota != 3 || s.Gaps[0].Reason != "not_json" {
		t.Errorf("statement %+v", s)
	}

	if a := answered(t, x, Query{Route: "GET /a"}); a.People != 2 || len(a.Principals) != 2 || len(a.Gaps) != 0 {
		t.Errorf("one route: %+v", a)
	}
	// From is inclusive, To exclusive.
	if a := answered(t, x, Query{From: start.Add(time.Second), To: start.Add(2 * time.Second)}); a.People != 1 || a.Disclosures != 1 {
		t.Errorf("one second: %+v", a)
	}
	list, err := x.Accounting(person(2))
	if err != nil || len(list) != 3 || list[1].Principal != principal(2) || list[2].Route != "GET /b" {
		t.Errorf("accounting: %+v, %v", list, err)
	}
	if list, _ := x.Accounting(person(99)); len(list) != 0 {
		t.Errorf("a stranger's accounting: %+v", list)
	}
}
