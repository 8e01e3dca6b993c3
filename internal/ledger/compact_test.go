package ledger

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/fstest"
	"time"

	"weir"
	"weir/internal/auditor"
)

// randomLedger has people who are evenly spread, as real pseudonyms are.
func randomLedger(t testing.TB, volumes int) *memFS {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	everybody := make([]weir.Pseudonym, 300)
	for i := range everybody {
		for j := range everybody[i] {
			everybody[i][j] = byte(rng.Uint32())
		}
	}
	fsys := newMemFS()
	now, running := steadyClock()
	for range volumes {
		k := newKeeper()
		l, err := Open(fsys, k.options(Options{Now: now, Running: running, VolumeSize: 20_000}))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 30 {
			o := outcome(fmt.Sprintf("GET /%d", n%3))
			for range rng.IntN(60) {
				o.Released = append(o.Released, weir.Record{DataSubject: everybody[rng.IntN(300)], Classes: weir.ClassSet(rng.IntN(300))})
			}
			if err := k.append(l, o, &Mode{Route: "GET /", Observe: n%2 == 0}); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
		fsys.tear("torn")
	}
	return fsys
}

// P4: a compact volume gives the live one's very bytes, so a checkpoint of before holds; both verifiers, a tail and a restart
// read it; a changed byte is seen.
func TestCompactedLedgerIsTheSame(t *testing.T) {
	fsys := randomLedger(t, 4)
	held := wholeCheckpoint(t, fsys)
	before := fsys.clone()
	l, err := Open(fsys, newKeeper().options(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Compact()
	if err != nil || n < 3 {
		t.Fatalf("%d volumes compacted: %v", n, err)
	}
	if n, err := l.Compact(); n != 0 || err != nil {
		t.Errorf("compacting again: %d, %v", n, err)
	}
	was, is := 0, 0
	for name, f := range before.files {
		now := fsys.files[name].data
		was, is = was+len(f.data), is+len(now)
		if isCompact(now) {
			if again, err := expand(now); err != nil || !bytes.Equal(again, f.data) {
				t.Errorf("%s: other bytes: %v", name, err)
			}
		}
	}
	t.Logf("%d bytes became %d", was, is)
	if err := l.CheckClosed(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if sum, err := (VerifyOptions{Held: &held, Known: testRing.Verifiers()}).Verify(fsys); err != nil || len(sum.Faults) > 0 {
		t.Fatal(err, sum.Faults)
	}
	folder := fstest.MapFS{}
	for name, f := range fsys.files {
		folder[name] = &fstest.MapFile{Data: f.data}
	}
	if r, err := auditor.Run(folder, auditor.Options{Key: testKey}); err != nil || len(r.Faults) > 0 {
		t.Errorf("the auditor: %v, %v", r, err)
	}
	tail, err := OpenTail(fsys, 10)
	if err != nil {
		t.Fatal(err)
	}
	entries := uint64(10)
	if _, err := tail.Next(func(Entry) error { entries++; return nil }); err != nil || entries < held.Size {
		t.Errorf("a tail visits up to entry %d of %d: %v", entries, held.Size, err)
	}
	again, err := Open(fsys, newKeeper().options(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func wholeCheckpoint(t *testing.T, fsys FS) weir.Checkpoint {
	t.Helper()
	sum, err := Read(fsys, ReadOptions{})
	if err != nil || len(sum.Faults) > 0 {
		t.Fatal(err, sum.Faults)
	}
	return weir.Checkpoint{Size: sum.Entries, Root: sum.Root}
}

// Whatever operation of an upkeep is the last before a power cut, the ledger is whole and complete.
func TestCrashImagesOfUpkeep(t *testing.T) {
	rounds := 4
	if long() {
		rounds = 100
	}
	y := &tally{}
	upkeepCrashes(t, y, rounds, false)
	y.passes(t, "crash images of a compaction", 40)
	control := &tally{}
	upkeepCrashes(t, control, 2, true)
	control.caught(t, "the disk forgets what was synced")
}

// upkeepCrashes cuts the power at each operation of a compaction. A disk that lies forgets what that synced.
func upkeepCrashes(t *testing.T, y *tally, rounds int, lying bool) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range rounds {
		fsys := randomLedger(t, 3)
		held := promised{wholeCheckpoint(t, fsys)}
		l, err := Open(fsys, newKeeper().options(Options{VolumeSize: 3000}))
		if err != nil {
			t.Fatal(err)
		}
		fsys.lying = lying
		fsys.watch = func(string) { y.add(examine(fsys.crash(rng), held, rng)) }
		if _, err := l.Compact(); err != nil {
			t.Fatal(err)
		}
		fsys.watch = nil
		l.Close()
	}
}

// Old volumes go once an entry says so; what is left verifies, holds every checkpoint since, and restores the whole live state.
func TestRetire(t *testing.T) {
	fsys := randomLedger(t, 4)
	k := newKeeper()
	l, err := Open(fsys, k.options(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	held := l.Checkpoint()
	first := readTime(t, fsys, 3)
	last, err := l.Retire(first)
	if err != nil || last != 1 {
		t.Fatalf("retired up to volume %d: %v", last, err)
	}
	if again, err := l.Retire(first); again != 0 || err != nil {
		t.Errorf("retiring again: %d, %v", again, err)
	}
	if err := l.CheckClosed(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	next := newKeeper()
	l, err = Open(fsys, next.options(Options{Kept: &held}))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if !bytes.Equal(next.snapshot().encode(), k.snapshot().encode()) {
		t.Error("the state went with the volumes")
	}
	sum, err := VerifyOptions{Held: &held, Known: testRing.Verifiers()}.Verify(fsys)
	if err != nil || len(sum.Faults) > 0 || sum.Retired == 0 || fsys.files[volumeName(1)] != nil {
		t.Errorf("%v, %+v", err, sum)
	}
	folder := fstest.MapFS{}
	for name, f := range fsys.files {
		folder[name] = &fstest.MapFile{Data: f.data}
	}
	if r, err := auditor.Run(folder, auditor.Options{Key: testKey}); err != nil || len(r.Faults) > 0 || r.Gone != sum.Retired {
		t.Errorf("the auditor: %v, %v", r, err)
	}
	delete(fsys.files, volumeName(2)) // nobody said that this one may go
	if sum, err := Verify(fsys, nil, false); err != nil || len(sum.Faults) == 0 {
		t.Error("a volume that was not retired is gone and nobody noticed")
	}
}

// readTime is the time of the last entry before that volume.
func readTime(t *testing.T, fsys FS, n uint32) time.Time {
	t.Helper()
	o, err := readOpening(fsys, volumeName(n))
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(o.state.last)
}
