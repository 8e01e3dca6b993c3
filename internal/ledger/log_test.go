package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"weir"
)

var keyID = [16]byte{7}

// subject makes a recognisable pseudonym.
func subject(worker, n int) (p weir.Pseudonym) {
	binary.BigEndian.PutUint64(p[:], uint64(worker))
	binary.BigEndian.PutUint64(p[8:], uint64(n))
	return p
}

func outcome(route string, people ...weir.Pseudonym) *Outcome {
	o := &Outcome{Outcome: weir.Outcome{Kind: weir.Disclosed, Route: route, Status: 200, Bytes: 100, Principal: weir.Pseudonym{1}}}
	for _, p := range people {
		o.Released = append(o.Released, weir.Record{DataSubject: p, Classes: weir.Set(weir.Name, weir.Email)})
	}
	return o
}

func appendOne(l *Log, bodies ...Body) error {
	return l.Append(func(time.Time) []Body { return bodies })
}

// small makes the options of a ledger whose files are small.
func small(opts Options) Options {
	opts.KeyID = keyID
	if opts.Ahead == 0 {
		opts.Ahead = 1000
	}
	return opts
}

func mustOpen(t *testing.T, fsys FS, opts Options) *Log {
	t.Helper()
	l, err := Open(fsys, small(opts))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func people(t *testing.T, fsys FS) map[weir.Pseudonym]bool {
	t.Helper()
	seen, faults := peopleAndFaults(t, fsys)
	if len(faults) > 0 {
		t.Fatalf("fault: %s", faults[0])
	}
	return seen
}

func peopleAndFaults(t *testing.T, fsys FS) (seen map[weir.Pseudonym]bool, faults []Fault) {
	t.Helper()
	seen = map[weir.Pseudonym]bool{}
	sum, err := Read(fsys, ReadOptions{Visit: func(e Entry) error {
		if o, ok := e.Body.(*Outcome); ok {
			for _, r := range o.Released {
				seen[r.DataSubject] = true
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return seen, sum.Faults
}

// crashRun appends from several goroutines, cuts the power at a random moment, starts again, several times over. It
// returns how many entries that Append had acknowledged were missing afterwards.
func crashRun(t *testing.T, fsys *memFS, rng *rand.Rand) (missing int) {
	acked := map[weir.Pseudonym]bool{}
	for life := range 4 {
		l, err := Open(fsys, small(Options{VolumeSize: 2000}))
		if errors.Is(err, ErrDamaged) {
			return 1 // what was synced has changed: something of it is lost
		} else if err != nil {
			t.Fatalf("start %d: %v", life, err)
		}
		there, faults := peopleAndFaults(t, fsys)
		if len(faults) > 0 {
			return 1
		}
		for p := range acked {
			if !there[p] {
				missing++
			}
		}
		if missing > 0 {
			l.Close()
			return missing
		}
		var mu sync.Mutex // held while the power is cut, so that acked is exactly what was released before
		var wg sync.WaitGroup
		stop := false
		for w := range 4 {
			wg.Go(func() {
				for n := range 40 {
					p := subject(life*10+w, n)
					if err := appendOne(l, outcome(fmt.Sprintf("GET /%d", w), p)); err != nil {
						t.Error(err)
					}
					mu.Lock()
					if !stop {
						acked[p] = true
					}
					mu.Unlock()
				}
			})
		}
		for target := rng.IntN(160); ; {
			mu.Lock()
			if len(acked) >= life*1+target {
				stop = true
				fsys = fsys.crash(rng)
				mu.Unlock()
				break
			}
			mu.Unlock()
		}
		wg.Wait()
		l.Close()
	}
	return 0
}

// P1: what Append acknowledged survives a power cut; with a disk that lies about sync the same test finds losses.
func TestAcknowledgedSurvivesPowerCut(t *testing.T) {
	for seed := range uint64(40) {
		if missing := crashRun(t, newMemFS(), rand.New(rand.NewPCG(seed, 1))); missing > 0 {
			t.Fatalf("seed %d: %d acknowledged entries are missing after a power cut", seed, missing)
		}
	}
}

func TestPowerCutTestWouldNotice(t *testing.T) {
	for seed := range uint64(40) {
		fsys := newMemFS()
		fsys.lying = true
		if crashRun(t, fsys, rand.New(rand.NewPCG(seed, 2))) > 0 {
			return
		}
	}
	t.Error("40 runs without sync lost nothing: the test of durability tests nothing")
}

// Each step of a write and of a start is tested failed, and failed but persisted: the caller is told, nothing after it is
// acknowledged, and the next start reads everything acknowledged before.
func TestEveryStepFailing(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "syncdir"} {
		for _, persist := range []bool{false, true} {
			for at := 1; at <= 4; at++ {
				t.Run(fmt.Sprintf("%s %d persist=%t", op, at, persist), func(t *testing.T) {
					fsys := newMemFS()
					count, failed := 0, false
					fsys.fail = func(o string) (error, bool) {
						if o == op {
							count++
						}
						if o == op && count == at {
							failed = true
							return errInjected, persist
						}
						return nil, false
					}
					var acked []weir.Pseudonym
					refused := false
					for life := range 3 {
						l, err := Open(fsys, small(Options{VolumeSize: 300}))
						if errors.Is(err, errInjected) {
							refused = true
							continue
						} else if err != nil {
							t.Fatal(err)
						}
						broken := false
						for n := range 5 {
							p := subject(life, n)
							err := appendOne(l, outcome("GET /", p))
							switch {
							case err == nil && broken:
								t.Fatal("an entry was acknowledged after a failure")
							case err == nil:
								acked = append(acked, p)
							case !errors.Is(err, errInjected):
								t.Fatal(err)
							default:
								broken, refused = true, true
							}
						}
						l.Close()
					}
					if failed && !refused {
						t.Error("nobody was told of the failure")
					}
					seen := people(t, fsys)
					for _, p := range acked {
						if !seen[p] {
							t.Errorf("acknowledged %s is missing", p)
						}
					}
				})
			}
		}
	}
}

// Concurrent appends come out whole, once, in one order with time that never goes back, though the clock does.
func TestConcurrentAppends(t *testing.T) {
	fsys := newMemFS()
	var mu sync.Mutex
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rng := rand.New(rand.NewPCG(1, 1))
	l := mustOpen(t, fsys, Options{VolumeSize: 5000, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		clock = clock.Add(time.Duration(rng.IntN(40)-10) * time.Millisecond)
		return clock
	}})
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for n := range 50 {
				if err := appendOne(l, outcome(fmt.Sprintf("GET /%d", n%3), subject(w, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := appendOne(l, &Unblock{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	next, last, got := uint64(0), time.Time{}, map[weir.Pseudonym]int{}
	sum, err := Read(fsys, ReadOptions{Visit: func(e Entry) error {
		if e.Seq != next || e.Time.Before(last) {
			t.Fatalf("entry %d at %s follows entry %d at %s", e.Seq, e.Time, next, last)
		}
		next, last = e.Seq+1, e.Time
		if o, ok := e.Body.(*Outcome); ok {
			n := int(binary.BigEndian.Uint64(o.Released[0].DataSubject[8:]))
			if want := fmt.Sprintf("GET /%d", n%3); o.Route != want {
				t.Fatalf("entry %d is of route %q, want %q", e.Seq, o.Route, want)
			}
			got[o.Released[0].DataSubject]++
		}
		return nil
	}})
	if err != nil || len(sum.Faults) > 0 {
		t.Fatal(err, sum.Faults)
	}
	if len(got) != 16*50 || sum.Volumes < 3 {
		t.Errorf("%d people in %d volumes", len(got), sum.Volumes)
	}
	if cp := l.Checkpoint(); cp.Size != sum.Entries || cp.Root != sum.Root {
		t.Errorf("the log's checkpoint is of %d entries, the ledger has %d, or the roots differ", cp.Size, sum.Entries)
	}
}

// The root is that of RFC 9162, as the Go checksum database's code computes it, however many leaves are added at once.
func TestRootEqualsPeer(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	steps := []int{1, 2, 3, 7, 16, 50}
	own, waiting := make([]tree, len(steps)), make([][]byte, len(steps))
	for n := range 300 {
		leaf := sha256.Sum256(fmt.Append([]byte{0}, n))
		hashes, err := tlog.StoredHashesForRecordHash(int64(n), tlog.Hash(leaf), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		want, err := tlog.TreeHash(int64(n+1), reader)
		if err != nil {
			t.Fatal(err)
		}
		for i, step := range steps {
			if waiting[i] == nil {
				waiting[i] = make([]byte, sha256.Size)
			}
			if waiting[i] = append(waiting[i], leaf[:]...); len(waiting[i]) <= step*sha256.Size {
				continue
			}
			own[i].addAll(waiting[i])
			waiting[i] = nil
			if own[i].root() != hash(want) || own[i].size != uint64(n+1) || !own[i].whole() {
				t.Fatalf("root of %d leaves, added %d by %d, differs", n+1, step, step)
			}
		}
	}
}
