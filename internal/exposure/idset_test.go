package exposure

import (
	"maps"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func (s *idset) members() (ids []uint32) {
	for n, b := range s.blocks {
		if b == nil {
			continue
		}
		for i, w := range b {
			for ; w != 0; w &= w - 1 {
				ids = append(ids, uint32(n<<blockBits+i<<6+bits.TrailingZeros64(w)))
			}
		}
	}
	return ids
}

// drawIDs draws sets of every form: scattered, in runs, dense, over several containers.
func drawIDs(rt *rapid.T, limit uint32) map[uint32]bool {
	ids := map[uint32]bool{}
	for range rapid.IntRange(0, 4).Draw(rt, "parts") {
		from := rapid.Uint32Range(0, limit-1).Draw(rt, "from")
		step := rapid.SampledFrom([]uint32{1, 1, 2, 3, 7, 1000}).Draw(rt, "step")
		for i := range uint32(rapid.SampledFrom([]int{1, 5, 63, 64, 65, 4000, 20000}).Draw(rt, "length")) {
			if id := uint64(from) + uint64(i)*uint64(step); id < uint64(limit) {
				ids[uint32(id)] = true
			}
		}
	}
	return ids
}

func TestSetsComeBack(t *testing.T) {
	const limit = 300_000
	rapid.Check(t, func(rt *rapid.T) {
		one, two := drawIDs(rt, limit), drawIDs(rt, limit)
		a, b := &idset{}, &idset{}
		for id := range one {
			a.add(id)
		}
		for id := range two {
			b.add(id)
		}
		got := &idset{}
		for _, s := range []*idset{a, b} {
			if err := got.uniteRaw(appendSet(nil, s), limit); err != nil {
				rt.Fatal(err)
			}
		}
		maps.Copy(one, two)
		want := slices.Sorted(maps.Keys(one))
		if !slices.Equal(got.members(), want) || got.count() != len(want) {
			rt.Fatalf("%d members, want %d", got.count(), len(want))
		}
		if a.union(b); !slices.Equal(a.members(), want) {
			rt.Fatalf("union has %d members, want %d", a.count(), len(want))
		}
	})
}

func FuzzSet(f *testing.F) {
	for _, ids := range [][]uint32{{1, 2, 3, 4, 5, 6, 7, 8, 9}, {5, 900, 70_000}, {0}} {
		s := &idset{}
		for _, id := range ids {
			s.add(id)
		}
		f.Add(appendSet(nil, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := &idset{}
		if err := s.uniteRaw(raw, 100_000); err == nil && len(s.blocks) > 100_000>>blockBits+16 {
			t.Errorf("%d blocks", len(s.blocks))
		}
	})
}

// A batched set has the members that were added, in whatever order and however many at once, and none after clear.
func TestBatchedSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var s batchedSet
	for _, most := range []uint32{1, 1 << blockBits, 3 << 20, math.MaxUint32 >> 4} {
		want := map[uint32]bool{}
		for n := range 3*fewestWaiting + 5 {
			id := rng.Uint32N(most)
			want[id] = true
			if s.add(id); n%5000 == 0 {
				s.settle()
			}
		}
		s.settle()
		if !slices.Equal(s.members(), slices.Sorted(maps.Keys(want))) {
			t.Errorf("below %d: %d members, want %d", most, s.count(), len(want))
		}
		s.add(most)
		if s.clear(); s.count() != 0 || len(s.waiting) != 0 {
			t.Errorf("below %d: %d members after clear", most, s.count())
		}
	}
}
