package exposure

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A chunk comes back as it was written, whichever forms its columns took, and takes no more room for what lists have in common.
func TestChunks(t *testing.T) {
	lim := limits{people: 50_000, shapes: 4, sets: 6}
	rapid.Check(t, func(t *rapid.T) {
		var c chunk
		common, walks := rapid.Bool().Draw(t, "common"), rapid.Bool().Draw(t, "walks")
		at, next := uint64(1_669_334_400_000), uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "outcomes") {
			at += uint64(rapid.IntRange(0, 90_000).Draw(t, "gap"))
			n := uint64(rapid.SampledFrom([]int{0, 1, 1, 1, 7}).Draw(t, "records"))
			c.millis, c.shapes = append(c.millis, at), append(c.shapes, uint64(rapid.IntRange(0, lim.shapes-1).Draw(t, "shape")))
			c.records, c.bytes = append(c.records, n), append(c.bytes, n*610+uint64(rapid.IntRange(0, 900).Draw(t, "bytes")))
			set := uint64(rapid.IntRange(0, lim.sets-1).Draw(t, "set"))
			if !walks {
				next = uint64(rapid.IntRange(0, int(lim.people)/2).Draw(t, "person"))
			}
			for range n {
				next += uint64(rapid.SampledFrom([]int{0, 1, 1, 40}).Draw(t, "step"))
				if !common {
					set = uint64(rapid.IntRange(0, lim.sets-1).Draw(t, "own set"))
				}
				c.people, c.sets = append(c.people, next), append(c.sets, set)
			}
		}
		c.finish()
		raw := appendChunk(nil, &c)
		var got chunk
		if err := got.decode(raw, lim); err != nil {
			t.Fatal(err)
		}
		for _, column := range []struct {
			name      string
			got, want []uint64
		}{
			{"millis", got.millis, c.millis}, {"shapes", got.shapes, c.shapes}, {"bytes", got.bytes, c.bytes}, {"records", got.records, c.records},
			{"people", got.people, c.people}, {"sets", got.sets, c.sets},
		} {
			if len(column.got)+len(column.want) > 0 && !cmp.Equal(column.got, column.want) {
				t.Errorf("%s: %s", column.name, cmp.Diff(column.want, column.got))
			}
		}
		if common && len(c.ownSets()) > 0 {
			t.Error("sets that outcomes have in common are kept for each disclosure")
		}
	})
}
