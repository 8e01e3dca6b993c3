package guard

import (
	"math/rand/v2"
	"testing"

	"weir"
)

// Whoever is found twice has one place, however many share the beginning of their pseudonym, and however large the answer
// before was.
func TestPlaces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var table places
	for _, n := range []int{1, 2, 1000, 3, 64, 65} {
		table.expect(n)
		var people []weir.Pseudonym
		want := map[weir.Pseudonym]int{}
		for range n {
			p := weir.Pseudonym{byte(r.IntN(4)), 0, 0, 0, 0, 0, 0, 0, byte(r.IntN(n)), byte(r.IntN(2))}
			at, known := table.find(people, p)
			place, seen := want[p]
			if known != seen || seen && at != place || !seen && at != len(people) {
				t.Fatalf("%d people: %s is at %d (%t), want %d (%t)", n, p, at, known, place, seen)
			}
			if !known {
				want[p] = at
				people = append(people, p)
			}
		}
	}
}
