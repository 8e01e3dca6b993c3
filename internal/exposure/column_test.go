package exposure

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestColumns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		vals := rapid.OneOf(
			rapid.SliceOf(rapid.Uint64()),
			rapid.SliceOf(rapid.Uint64Max(1000)),
			rapid.SliceOf(rapid.OneOf(rapid.Uint64Max(3), rapid.Uint64Max(1<<40))),
			rapid.SliceOf(rapid.Uint64Range(1<<63, 1<<63+5)),
		).Draw(rt, "values")
		raw := append(appendColumn(nil, vals), []byte("the rest")...)
		got, rest, err := readColumn(raw, len(vals), nil)
		if err != nil || !slices.Equal(got, vals) || !bytes.Equal(rest, []byte("the rest")) {
			rt.Fatalf("%v, %q, %v: want %v", got, rest, err, vals)
		}
		if rest, err := skipColumn(raw, len(vals)); err != nil || !bytes.Equal(rest, []byte("the rest")) {
			rt.Fatalf("skipped to %q, %v", rest, err)
		}
	})
}

// Gaps between random events cost about the logarithm of their mean and a bit and a half.
func TestColumnSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	vals := make([]uint64, 2000)
	for i := range vals {
		vals[i] = uint64(rng.ExpFloat64() * 1000)
	}
	if perValue := 8 * float64(len(appendColumn(nil, vals))) / 2000; perValue > 11.7 {
		t.Errorf("%.2f bits a gap", perValue)
	}
}

func FuzzColumn(f *testing.F) {
	f.Add(append(appendColumn(nil, []uint64{1, 2, 300}), make([]byte, columnPad)...), 3)
	f.Add(append(appendColumn(nil, []uint64{1, 2, 3, 0, 0, 0, 0, 0, 0, 1 << 45}), make([]byte, columnPad)...), 10)
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		if vals, rest, err := readColumn(raw, n, nil); err == nil {
			if after, err := skipColumn(raw, n); len(vals) != n || err != nil || !bytes.Equal(rest, after) {
				t.Errorf("%d values, want %d; skipped: %v", len(vals), n, err)
			}
		}
	})
}
