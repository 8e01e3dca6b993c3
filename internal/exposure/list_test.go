package exposure

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir"
	"weir/internal/ledger"
)

// A list is that of a recount whatever the memory: when all disclosures have room, when most are left to later passes, and
// when those of one part are added up before the end. No more memory is taken than was allowed or one part needs.
func TestListMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 6))
	var bodies []ledger.Body
	for n := range 900 {
		o := disclosed(1+n%2, testRoutes[n%2], 0)
		for range 40 {
			// somebody is asked for so often that a part fills its blocks, and class sets come in runs and alone
			who := int(600 * rng.Float64() * rng.Float64())
			set := testClasses[(n/30+rng.IntN(20)/19)%3]
			o.Released = append(o.Released, weir.Record{DataSubject: somebody(who), Classes: set})
		}
		bodies = append(bodies, o)
	}
	led := write(t, quickDir(t), bodies...)
	one := principal(1)
	q := Query{Principal: &one, Route: testRoutes[0]}
	_, want := recount(allEntries(t, led), q)
	for _, sz := range []sizes{{list: 1 << 20, part: 15}, {list: 1, part: 15}, {list: 1, part: 0}, {list: 20, part: 2}, {list: 20, part: 6}, {list: 3, part: 8}} {
		sz.chunk, sz.bucket, sz.batch, sz.live = 700, 4096, 9000, 9000
		x, err := Open(Options{Ledger: led, Dir: t.TempDir(), sizes: sz})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		var list []Person
		l := newLister(x, q, func(p *Person) error {
			list = append(list, *p)
			return nil
		})
		if err := l.run(); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(list, func(x, y Person) int { return slices.Compare(x.DataSubject[:], y.DataSubject[:]) })
		if !slices.Equal(list, want) {
			t.Errorf("%+v: %d people, want %d, or they differ", sz, len(list), len(want))
		}
		if most := max(sz.list, 2*l.rowBlocks()+1); l.used != 0 || len(l.blocks) > most {
			t.Errorf("%+v: %d blocks are used in the end and %d were made, of at most %d", sz, l.used, len(l.blocks), most)
		}
		if several := l.base > 0; several != (sz.list < 100 && sz.part < 15) {
			t.Errorf("%+v: the last pass begins with id %d", sz, l.base)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
