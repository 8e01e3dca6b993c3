package exposure

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

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

func compute(t testing.TB, fsys ledger.FS, q Query) *Answer {
	a, err := Compute(fsys, q)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Ledger.Faults) > 0 {
		t.Fatal(a.Ledger.Faults)
	}
	return a
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
	a := compute(t, fsys, Query{Principal: &one})
	if len(a.People) != 3 || a.Disclosures != 4 || a.Unattributed.People != 4 || len(a.Principals) != 1 {
		t.Errorf("%d people, %d disclosures, %d unattributed, %d principals", len(a.People), a.Disclosures, a.Unattributed.People, len(a.Principals))
	}
	if diff := cmp.Diff(map[string]int{"name": 2, "email": 2}, a.ByClass()); diff != "" {
		t.Error(diff)
	}
	if got := a.Coverage(); got != 0.8 {
		t.Errorf("coverage %v, want 0.8: 100 of 500 bytes were not read", got)
	}
	both := Person{DataSubject: person(2), Classes: weir.Set(weir.Name, weir.Email), First: start, Last: start.Add(2 * time.Second), Count: 2}
	if !slices.Contains(a.People, both) {
		t.Errorf("%+v is not among %+v", both, a.People)
	}
	s := a.Statement("guard.example.com", start.Add(time.Hour), "")
	if slices.Contains(s.NoneFound, "ssn") || slices.Contains(s.NoneFound, "other") || !slices.Contains(s.NoneFound, "payment_card") {
		t.Errorf("none found: %v", s.NoneFound)
	}
	if len(s.Findings) != 1 || !s.Findings[0].Ended || s.Findings[0].Quota != 3 || s.Gaps[0].Reason != "not_json" {
		t.Errorf("statement %+v", s)
	}

	if a := compute(t, fsys, Query{Route: "GET /a"}); len(a.People) != 2 || len(a.Principals) != 2 || len(a.Gaps) != 0 {
		t.Errorf("one route: %+v", a)
	}
	// From is inclusive, To exclusive.
	if a := compute(t, fsys, Query{From: start.Add(time.Second), To: start.Add(2 * time.Second)}); len(a.People) != 1 || a.Disclosures != 1 {
		t.Errorf("one second: %+v", a)
	}
	list, _, err := Accounting(fsys, person(2))
	if err != nil || len(list) != 3 || list[1].Principal != principal(2) || list[2].Route != "GET /b" {
		t.Errorf("accounting: %+v, %v", list, err)
	}
	if list, _, _ := Accounting(fsys, person(99)); len(list) != 0 {
		t.Errorf("a stranger's accounting: %+v", list)
	}
}

// P5: any query on any ledger equals a recount that keeps every disclosure.
func TestAnswerEqualsRecount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []weir.Disclosure
		var bodies []ledger.Body
		for i := range rapid.IntRange(0, 20).Draw(rt, "entries") {
			who, route := rapid.IntRange(1, 3).Draw(rt, "who"), rapid.SampledFrom([]string{"GET /a", "GET /b"}).Draw(rt, "route")
			classes := weir.ClassSet(rapid.Uint64Range(1, 1<<11-1).Draw(rt, "classes"))
			people := rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 0, 4, rapid.ID[int]).Draw(rt, "people")
			bodies = append(bodies, disclosed(who, route, classes, people...))
			for _, p := range people {
				all = append(all, weir.Disclosure{Time: start.Add(time.Duration(i) * time.Second), Principal: principal(who), DataSubject: person(p), Classes: classes, Route: route})
			}
		}
		dir, err := os.MkdirTemp(t.TempDir(), "ledger")
		if err != nil {
			t.Fatal(err)
		}
		fsys := write(t, dir, bodies...)
		q := Query{Route: rapid.SampledFrom([]string{"", "GET /a"}).Draw(rt, "asked route")}
		if rapid.Bool().Draw(rt, "by principal") {
			p := principal(rapid.IntRange(1, 3).Draw(rt, "asked principal"))
			q.Principal = &p
		}
		if rapid.Bool().Draw(rt, "bounded") {
			q.From = start.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "from")) * time.Second)
			q.To = q.From.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "length")) * time.Second)
		}
		people, byClass := map[weir.Pseudonym]weir.ClassSet{}, map[string]int{}
		count := 0
		for _, d := range all {
			if (q.Principal == nil || *q.Principal == d.Principal) && (q.Route == "" || q.Route == d.Route) &&
				!d.Time.Before(q.From) && (q.To.IsZero() || d.Time.Before(q.To)) {
				people[d.DataSubject] |= d.Classes
				count++
			}
		}
		for _, set := range people {
			for _, name := range set.Names() {
				byClass[name]++
			}
		}
		a := compute(t, fsys, q)
		got := map[weir.Pseudonym]weir.ClassSet{}
		for _, p := range a.People {
			got[p.DataSubject] = p.Classes
		}
		if !maps.Equal(got, people) || a.Disclosures != count || !maps.Equal(a.ByClass(), byClass) {
			rt.Fatalf("answer %+v, recount %v of %d", a, people, count)
		}
	})
}
