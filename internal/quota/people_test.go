package quota

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
)

// The table finds each of its people and nobody else, in the order of their release, whoever came, came again and left.
func TestPeopleEqualAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p people
		var want []weir.Pseudonym // the longest ago first
		var seen []int64
		for now := range int64(rapid.IntRange(1, 300).Draw(t, "steps")) {
			s := weir.Pseudonym{byte(rapid.IntRange(0, 40).Draw(t, "who"))}
			switch i := slices.Index(want, s); {
			case rapid.IntRange(0, 9).Draw(t, "expire") == 0 && len(want) > 0:
				upTo := rapid.IntRange(0, len(want)-1).Draw(t, "up to")
				p.expire(time.UnixMilli(seen[upTo]))
				want, seen = slices.Delete(want, 0, upTo+1), slices.Delete(seen, 0, upTo+1)
			default:
				at := p.find(s)
				if (at != 0) != (i >= 0) {
					t.Fatalf("%s is at %d, and %d of the list", s, at, i)
				}
				if at == 0 {
					at = p.add(s)
				} else {
					p.unlink(at)
					want, seen = slices.Delete(want, i, i+1), slices.Delete(seen, i, i+1)
				}
				p.members[at].seen = now
				p.link(at)
				want, seen = append(want, s), append(seen, now)
			}
			var got []weir.Pseudonym
			for at := p.oldest; at != 0; at = p.members[at].newer {
				got = append(got, p.members[at].subject)
				if p.find(p.members[at].subject) != at {
					t.Fatalf("%s is not found where it is", p.members[at].subject)
				}
			}
			if !slices.Equal(got, want) || p.count != len(want) {
				t.Fatalf("%d: %v, want %v", p.count, got, want)
			}
		}
	})
}

// BenchmarkAdmit admits the thousand people of one answer, who are among 64,000 that the principal has received. Between two
// of them as much memory is used as reading an answer does, for that is what makes looking up slow.
func BenchmarkAdmit(b *testing.B) {
	const lists, each = 64, 1000
	who, now := weir.Pseudonym{1}, time.UnixMilli(1_000_000)
	c := NewCounter(time.Hour)
	c.Limit(who, Limit{Subjects: 1 << 30, Window: time.Hour})
	random := rand.NewChaCha8([32]byte{})
	people := make([][]weir.Pseudonym, lists)
	for i := range people {
		people[i] = make([]weir.Pseudonym, each)
		for k := range people[i] {
			random.Read(people[i][k][:])
		}
		c.Admit(now, who, people[i], 0, false)
	}
	answer := make([]byte, 600<<10)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		for i := range answer {
			answer[i]++
		}
		b.StartTimer()
		c.Admit(now, who, people[n*31%lists], 0, false)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/each, "ns/person")
}
