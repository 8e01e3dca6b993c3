package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir"
)

// collect follows to the present end and returns the people seen, in order.
func collect(t *testing.T, tail *Tail) (got []weir.Pseudonym) {
	t.Helper()
	n, err := tail.Next(func(e Entry) error {
		if o, ok := e.Body.(*Outcome); ok {
			for _, r := range o.Released {
				got = append(got, r.DataSubject)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < len(got) {
		t.Fatalf("%d entries hold %d people", n, len(got))
	}
	return got
}

// A tail sees each entry once and in order, across rotations and restarts, while the owner writes.
func TestTailFollowsTheOwner(t *testing.T) {
	fsys := newMemFS()
	tail, err := OpenTail(fsys, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, tail); len(got) != 0 || tail.Seq() != 0 {
		t.Fatalf("%d people in no ledger", len(got))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var got, want []weir.Pseudonym
	for life := range 4 {
		l := mustOpen(t, fsys, Options{VolumeSize: 1500})
		done := make(chan error, 1)
		var lifes []weir.Pseudonym
		for n := range 60 {
			lifes = append(lifes, subject(life, n))
		}
		go func() {
			for n, p := range lifes {
				if err := appendOne(l, outcome(fmt.Sprintf("GET /%d", n%3), p)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for running := true; running; {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				running = false
			default:
				got = append(got, collect(t, tail)...)
				time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond)
			}
		}
		l.Close()
		want = append(want, lifes...)
		if life == 1 {
			fsys.tear(frameMagic + "torn")
		}
	}
	got = append(got, collect(t, tail)...)
	if !slices.Equal(got, want) {
		t.Fatalf("%d people followed, %d appended, or another order", len(got), len(want))
	}
	sum, err := Read(fsys, ReadOptions{})
	if err != nil || tail.Seq() != sum.Entries {
		t.Fatalf("the tail is at %d, the ledger has %d entries: %v", tail.Seq(), sum.Entries, err)
	}
}

// tear leaves bytes behind the last volume's last frame, as a write that was cut off does.
func (m *memFS) tear(bytes string) {
	names, _ := m.List()
	last := m.files[names[len(names)-1]]
	last.data = append(last.data, bytes...)
}

// From any entry on, a tail visits what Read visits from there.
func TestTailBeginsAnywhere(t *testing.T) {
	fsys := sampleLedger(t)
	type seen struct {
		seq  uint64
		text string
	}
	var all []seen
	note := func(to *[]seen) func(Entry) error {
		return func(e Entry) error {
			*to = append(*to, seen{e.Seq, fmt.Sprintf("%s %+v", e.Time, e.Body)})
			return nil
		}
	}
	if _, err := Read(fsys, ReadOptions{Visit: note(&all)}); err != nil {
		t.Fatal(err)
	}
	for from := range len(all) + 2 {
		tail, err := OpenTail(fsys, uint64(from))
		if err != nil {
			t.Fatal(err)
		}
		var got []seen
		if _, err := tail.Next(note(&got)); err != nil {
			t.Fatal(err)
		}
		if want := all[min(from, len(all)):]; !slices.Equal(got, want) {
			t.Errorf("from %d: %v, want %v", from, got, want)
		}
		tail.Close()
	}
}

// An error of the visitor stops at its entry, which comes again.
func TestTailRepeatsTheEntryThatFailed(t *testing.T) {
	fsys := sampleLedger(t)
	sum, err := Read(fsys, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tail, err := OpenTail(fsys, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	calls, next := 0, uint64(0)
	for next < sum.Entries {
		if _, err = tail.Next(func(e Entry) error {
			if calls++; calls%2 == 1 {
				return stop
			}
			if e.Seq != next {
				t.Fatalf("entry %d, want %d", e.Seq, next)
			}
			next++
			return nil
		}); err != nil && !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
}

// Damage is an error with its place, and everything before it has been visited.
func TestTailReportsDamage(t *testing.T) {
	whole := sampleLedger(t)
	sum, err := Read(whole, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, volume := range []uint32{1, 2, 3} {
		damaged := whole.clone()
		bytes := damaged.files[volumeName(volume)].data
		at := firstFrame(t, bytes)
		bytes[at+frameHeadSize+5] ^= 4
		tail, err := OpenTail(damaged, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tail.Next(func(Entry) error { return nil })
		var where *DamagedError
		if !errors.As(err, &where) || where.Fault.Volume != volumeName(volume) || where.Fault.Offset != int64(at) {
			t.Errorf("volume %d: %v", volume, err)
		}
		if tail.Seq() != uint64(volume-1)*sum.Entries/3 {
			t.Errorf("%d of %d entries were visited before the damage", tail.Seq(), sum.Entries)
		}
	}
	damaged := whole.clone()
	delete(damaged.files, volumeName(2))
	tail, err := OpenTail(damaged, 0)
	if err != nil {
		t.Fatal(err)
	}
	var where *DamagedError
	if _, err = tail.Next(func(Entry) error { return nil }); !errors.As(err, &where) {
		t.Errorf("a volume is gone: %v", err)
	}
}

// A record read by a tail costs no allocation.
func TestTailAllocatesNothingPerRecord(t *testing.T) {
	fsys := newMemFS()
	l := mustOpen(t, fsys, Options{})
	for n := range 200 {
		people := make([]weir.Pseudonym, 50)
		for i := range people {
			people[i] = subject(n, i)
		}
		if err := appendOne(l, outcome("GET /", people...)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	records := 0
	allocs := testing.AllocsPerRun(5, func() {
		tail, err := OpenTail(fsys, 0)
		if err != nil {
			t.Fatal(err)
		}
		records = 0
		if _, err := tail.Next(func(e Entry) error {
			if o, ok := e.Body.(*Outcome); ok {
				records += len(o.Released)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	if records != 200*50 || allocs > 300 {
		t.Errorf("%.0f allocations for %d records in 200 entries", allocs, records)
	}
}
