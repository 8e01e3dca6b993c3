package ledger

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Columns and bytes come back as they were written, one behind the other; a cut is noticed wherever it is.
func TestColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Max(3), rapid.Uint64Max(70_000), rapid.Uint64())
		written := rapid.SliceOfN(rapid.SliceOf(of), 1, 5).Draw(t, "columns")
		tail := rapid.SliceOf(rapid.Byte()).Draw(t, "tail")
		p := newPacker(nil)
		for _, numbers := range written {
			p.column(numbers)
		}
		p.deflated(tail)
		read := func(u *unpacker) bool {
			var c numbers // its room is used again
			for _, want := range written {
				u.column(&c, uint64(len(want)))
				if u.bad {
					return false
				}
				for i, n := range want {
					if got := c.next(); got != n {
						t.Fatalf("number %d: %d, want %d", i, got, n)
					}
				}
			}
			got := u.deflated(nil, uint64(len(tail)))
			if !u.bad && !slices.Equal(got, tail) {
				t.Fatalf("other bytes: %x, want %x", got, tail)
			}
			return !u.bad
		}
		if u := (&unpacker{rest: p.out}); !read(u) || len(u.rest) > 0 {
			t.Fatalf("%d bytes are left, bad: %v", len(u.rest), u.bad)
		}
		if len(p.out) == 0 {
			return
		}
		if u := (&unpacker{rest: p.out[:rapid.IntRange(0, len(p.out)-1).Draw(t, "cut")]}); read(u) {
			t.Fatal("a cut was not noticed")
		}
	})
}

// A column that says that it has more numbers than it has, or others than it has, takes no memory for them.
func TestColumnsThatLie(t *testing.T) {
	p := newPacker(nil)
	p.column([]uint64{1, 2, 3})
	honest := p.out
	for name, test := range map[string]struct {
		bytes []byte
		count uint64
	}{
		"one number too many":    {honest, 4},
		"one number too few":     {honest, 2},
		"many numbers":           {honest, 1 << 40},
		"all numbers":            {honest, math.MaxUint64},
		"nine bytes wide":        {[]byte{9}, 1},
		"a plane without end":    {[]byte{1, 200, 1}, 1},
		"nothing":                {nil, 1},
		"bytes behind a plane":   {append([]byte{1, honest[1] + 1}, append(honest[2:], 0)...), 3},
		"a length of many bytes": {[]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 1},
	} {
		u := &unpacker{rest: test.bytes}
		var c numbers
		took := allocated(func() { u.column(&c, test.count) })
		if !u.bad || took > 1<<20 {
			t.Errorf("%s: bad: %v, %d bytes allocated", name, u.bad, took)
		}
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A sum that is too large is none, however it comes about.
func TestColumnSums(t *testing.T) {
	for _, test := range []struct {
		numbers []uint64
		most    uint64
		ok      bool
	}{
		{nil, 0, true}, {[]uint64{0, 0, 0}, 0, true}, {[]uint64{3, 4}, 7, true}, {[]uint64{3, 4}, 6, false},
		{[]uint64{math.MaxUint64, 2}, 5, false}, {[]uint64{1, math.MaxUint64}, math.MaxUint64, false},
	} {
		p, c := newPacker(nil), numbers{}
		p.column(test.numbers)
		(&unpacker{rest: p.out}).column(&c, uint64(len(test.numbers)))
		if _, ok := c.sum(test.most); ok != test.ok {
			t.Errorf("%d up to %d: %v", test.numbers, test.most, ok)
		}
	}
}
