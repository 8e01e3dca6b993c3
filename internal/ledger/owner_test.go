package ledger

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir"
)

// stallingFS has files whose next sync takes that long.
type stallingFS struct {
	*memFS
	stall atomic.Int64
}

type stallingFile struct {
	File
	fs *stallingFS
}

func (s *stallingFS) Create(name string) (File, error) {
	f, err := s.memFS.Create(name)
	return stallingFile{f, s}, err
}

func (f stallingFile) Sync() error {
	time.Sleep(time.Duration(f.fs.stall.Swap(0)))
	return f.File.Sync()
}

// stalled lets one fsync take ten seconds while a thousand appends come in each second, and returns the longest wait of
// anybody but the one whose write it is, the most bytes that waited, and how many were refused.
func stalled(t *testing.T, opts Options) (longest time.Duration, waiting, refused int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fsys := &stallingFS{memFS: newMemFS()}
		k := newKeeper()
		l, err := Open(fsys, k.options(opts))
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		fsys.stall.Store(int64(10 * time.Second))
		wg.Go(func() {
			if err := k.append(l, outcome("GET /", subject(0, 0))); err != nil {
				t.Errorf("the write that stalls: %v", err)
			}
		})
		synctest.Wait()
		for n := range 9000 {
			wg.Go(func() {
				start := time.Now()
				o := outcome("GET /")
				for i := range 50 {
					o.Released = append(o.Released, weir.Record{DataSubject: subject(n, i), Classes: 1})
				}
				err := appendOne(l, o)
				mu.Lock()
				defer mu.Unlock()
				longest = max(longest, time.Since(start))
				if errors.Is(err, ErrStalled) {
					refused++
				} else if err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Millisecond)
			if n%100 == 99 {
				l.mu.Lock()
				if l.pending != nil {
					waiting = max(waiting, cap(l.pending.buf))
				}
				l.mu.Unlock()
			}
			if n == 8000 && opts.Patience < time.Hour && l.Ready() == nil {
				t.Error("the log says that it is ready while its disk does not answer")
			}
		}
		wg.Wait()
		if err := l.Ready(); err != nil {
			t.Errorf("after the stall: %v", err)
		}
		if err := appendOne(l, outcome("GET /", subject(1, 1))); err != nil {
			t.Errorf("an append after the stall: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return longest, waiting, refused
}

// P9: a disk that hangs makes callers wait for the patience that was set and no longer, holds a bounded amount, and is used
// again when it answers.
func TestStalledSync(t *testing.T) {
	longest, waiting, refused := stalled(t, Options{Patience: 2 * time.Second})
	if longest > 2*time.Second+10*time.Millisecond || refused < 8000 || waiting > 2*maxPending {
		t.Errorf("waited %s, %d bytes, %d refused", longest, waiting, refused)
	}
	t.Logf("fsync of 10 s: longest wait %s, %d bytes waiting, %d of 9000 refused", longest, waiting, refused)
	if longest, _, refused := stalled(t, Options{Patience: time.Hour}); longest < 5*time.Second || refused > 0 {
		t.Errorf("control, endless patience: waited %s, %d refused: the test shows nothing", longest, refused)
	}
}

// takeOver lets a second owner take a folder over from one that goes on appending, and returns how many entries that the
// first was told are durable are in the ledger, and how many are not.
func takeOver(t *testing.T, bug bool) (there, missing int, faults []Fault) {
	t.Helper()
	path := t.TempDir()
	lock, err := AcquireLock(path, "first")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	opts := Options{Owned: lock.Held, VolumeSize: 20_000}
	if bug {
		opts.Owned = nil
	}
	first, err := Open(Dir(path), newKeeper().options(opts))
	if err != nil {
		t.Fatal(err)
	}
	var acked []weir.Pseudonym
	stop := make(chan struct{})
	var failure error
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if failure = appendOne(first, outcome(fmt.Sprintf("GET /%d", n%7), subject(1, n))); failure != nil {
				return
			}
			acked = append(acked, subject(1, n))
		}
	})
	time.Sleep(20 * time.Millisecond)
	second, err := TakeOver(path, "second")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	l, err := Open(Dir(path), newKeeper().options(Options{Owned: second.Held, TakeOver: true}))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if err := appendOne(l, outcome("GET /", subject(2, n))); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if failure == nil && !bug {
		failure = appendOne(first, outcome("GET /", subject(3, 0)))
	}
	if !bug && !errors.Is(failure, ErrTakenOver) {
		t.Errorf("the first owner appends on: %v", failure)
	}
	first.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	seen, faults := peopleAndFaults(t, Dir(path))
	for _, p := range acked {
		if seen[p] {
			there++
		} else {
			missing++
		}
	}
	return there, missing, faults
}

// Who was taken over releases nothing more, and everything that it released is in the ledger.
func TestTakeOver(t *testing.T) {
	rounds, all := 10, 0
	if long() {
		rounds = 200
	}
	for range rounds {
		there, missing, faults := takeOver(t, false)
		if missing > 0 || len(faults) > 0 {
			t.Fatalf("%d of %d acknowledged entries are missing after a takeover, %v", missing, there+missing, faults)
		}
		all += there
	}
	t.Logf("%d takeovers, %d acknowledged entries, all there", rounds, all)
	caught := false
	for round := 0; round < 20 && !caught; round++ {
		_, missing, faults := takeOver(t, true)
		caught = missing > 0 || len(faults) > 0
	}
	if !caught {
		t.Error("control: an owner that does not ask for its lock loses nothing: the test shows nothing")
	}
}

// Sequence numbers and owners only grow, whoever starts.
func TestOwnersGrow(t *testing.T) {
	fsys := keptLedger(t)
	names, _ := fsys.List()
	for i, name := range names {
		o, err := readOpening(fsys, name)
		if err != nil || o.owner != uint64(i) {
			t.Errorf("%s: owner %d, %v", name, o.owner, err)
		}
	}
}
