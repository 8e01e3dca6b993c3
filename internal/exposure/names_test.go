package exposure

import (
	"testing"

	"weir"
	"weir/internal/ledger"
)

// People whose names have the same hash are told apart, in one segment and in several.
func TestNamesOfOneHash(t *testing.T) {
	k, err := weir.NewKeyring(make([]byte, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]weir.Pseudonym{}
	var twins [][2]weir.Pseudonym
	for n := 0; len(twins) < 3; n++ {
		p := k.DataSubject("account", string(rune(n)))
		h := shortHash(&p)
		if other, ok := seen[h]; ok && other != p {
			twins = append(twins, [2]weir.Pseudonym{other, p})
		}
		seen[h] = p
		if n > 1<<20 {
			t.Fatal("a million names have hardly a hash in common: it is longer than it says")
		}
	}
	record := func(people ...weir.Pseudonym) ledger.Body {
		o := disclosed(1, "GET /a", weir.Set(weir.Name))
		for _, p := range people {
			o.Released = append(o.Released, weir.Record{DataSubject: p, Classes: weir.Set(weir.Name)})
		}
		return o
	}
	led := write(t, t.TempDir(), record(twins[0][0], twins[0][1], twins[1][0]), record(twins[1][1]), record(twins[2][0]),
		record(twins[0][0], twins[2][1], twins[1][0], twins[1][1]))
	x, err := Open(Options{Ledger: led, Dir: t.TempDir(), sizes: sizes{chunk: 4, bucket: 1, batch: 2, live: 1, list: 4, part: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(x.segs) == 0 {
		t.Fatal("nothing became a segment")
	}
	if a := answered(t, x, Query{}); a.People != 6 || a.Disclosures != 9 {
		t.Errorf("%d people, %d disclosures, want 6 and 9", a.People, a.Disclosures)
	}
	for i, pair := range twins {
		for j, p := range pair {
			want := [3][2]int{{2, 1}, {2, 2}, {1, 1}}[i][j]
			if list, err := x.Accounting(p); err != nil || len(list) != want {
				t.Errorf("twin %d of pair %d: %d disclosures, %v, want %d", j, i, len(list), err, want)
			}
		}
	}
}
