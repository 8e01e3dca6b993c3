package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir"
	"weir/internal/auditor"
)

// long reports whether the fault families run in their long form, which docs/figures.md tells of.
func long() bool { return os.Getenv("WEIR_FAULTS") == "long" }

// tally counts the cases of a family and keeps the first that went wrong.
type tally struct {
	mu    sync.Mutex
	cases int
	bad   int
	first string
}

func (y *tally) add(problem string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.cases++
	if problem != "" {
		if y.bad++; y.bad == 1 {
			y.first = problem
		}
	}
}

func (y *tally) full(n int) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.cases >= n
}

// passes fails the test if anything went wrong, or if there were too few cases to say.
func (y *tally) passes(t *testing.T, family string, least int) {
	t.Helper()
	t.Logf("%s: %d cases, %d bad", family, y.cases, y.bad)
	if y.bad > 0 {
		t.Errorf("%s: %d of %d cases went wrong: %s", family, y.bad, y.cases, y.first)
	}
	if y.cases < least {
		t.Errorf("%s: only %d cases, want %d", family, y.cases, least)
	}
}

// caught fails the test if a planted bug went unseen.
func (y *tally) caught(t *testing.T, bug string) {
	t.Helper()
	t.Logf("control, %s: %d of %d cases show it: %s", bug, y.bad, y.cases, y.first)
	if y.bad == 0 {
		t.Errorf("%s, and none of %d cases shows it: this family proves nothing", bug, y.cases)
	}
}

// promised is what was acknowledged until some moment: the entries' number and root.
type promised struct{ weir.Checkpoint }

// nothing is acknowledged yet.
var nothing = promised{weir.Checkpoint{Root: (&tree{}).root()}}

// examine starts an owner on a folder as a fault left it, and says what is wrong, if anything is: an acknowledged entry is
// missing or another one, the restored state is not what a recount gives, or what it writes from there on does not verify.
func examine(fsys *memFS, p promised, rng *rand.Rand) string {
	k := newKeeper()
	l, err := Open(fsys, k.options(Options{VolumeSize: 1500}))
	if err != nil {
		return fmt.Sprintf("the start refuses: %v", err)
	}
	defer l.Close()
	recount := newKeeper()
	sum, err := Read(fsys, ReadOptions{Visit: func(e Entry) error { recount.replay(e); return nil }, RootAt: &p.Size, Known: testRing.Verifiers()})
	switch {
	case err != nil:
		return err.Error()
	case len(sum.Faults) > 0:
		return sum.Faults[0].String()
	case !sum.RootAtOK || sum.RootAt != p.Root:
		return fmt.Sprintf("of %d acknowledged entries some are missing or changed, %d are there", p.Size, sum.Entries)
	}
	if want, got := recount.snapshot(), k.snapshot(); !bytes.Equal(want.encode(), got.encode()) {
		return "the restored state differs: " + cmp.Diff(want, got, cmpopts.IgnoreUnexported(State{}), cmpopts.EquateEmpty())
	}
	if err := k.append(l, outcome("GET /after", subject(99, 99))); err != nil {
		return fmt.Sprintf("an append after the start: %v", err)
	}
	if err := l.Close(); err != nil {
		return fmt.Sprintf("close: %v", err)
	}
	if sum, err := (VerifyOptions{Known: testRing.Verifiers(), Held: &p.Checkpoint}).Verify(fsys); err != nil || len(sum.Faults) > 0 {
		return fmt.Sprintf("after one more append: %v, %v", sum.Faults, err)
	}
	if rng.IntN(20) > 0 {
		return ""
	}
	folder := fstest.MapFS{}
	for name, f := range fsys.files {
		folder[name] = &fstest.MapFile{Data: f.data}
	}
	if r, err := auditor.Run(folder, auditor.Options{Key: testKey}); err != nil || len(r.Faults) > 0 {
		return fmt.Sprintf("the auditor: %v, %v", r, err)
	}
	return ""
}

// A step is one thing that a workload does.
type step byte

const (
	little  step = 'l' // an append within a sector
	large   step = 'L' // one over several sectors
	several step = 's' // entries of several routes
	reopen  step = 'r' // close, and start again
	die     step = 'd' // start again without a close, as after a kill
)

// life runs a workload and tells what was acknowledged as it goes on.
type life struct {
	fsys  *memFS
	k     *keeper
	l     *Log
	acked promised
	n     int
	now   func() time.Time
	size  int64
}

func (w *life) open() error {
	w.k = newKeeper()
	l, err := Open(w.fsys, w.k.options(Options{VolumeSize: w.size, Now: w.now}))
	w.l = l
	return err
}

func (w *life) step(s step) error {
	w.n++
	switch s {
	case reopen, die:
		if s == reopen {
			if err := w.l.Close(); err != nil {
				return err
			}
		}
		return w.open()
	case little:
		return w.append(outcome("GET /", subject(1, w.n)))
	case large:
		o := outcome("GET /large")
		for i := range 60 {
			o.Released = append(o.Released, weir.Record{DataSubject: subject(w.n, i), Classes: 1})
		}
		return w.append(o)
	}
	return w.append(outcome(fmt.Sprintf("GET /%d", w.n), subject(2, w.n)), &Mode{Route: fmt.Sprintf("GET /%d", w.n)},
		&Block{Principal: weir.Pseudonym{byte(w.n)}, Cause: ByHand})
}

// append is acknowledged as soon as it returns.
func (w *life) append(bodies ...Body) error {
	err := w.k.append(w.l, bodies...)
	if err == nil {
		w.acked = promised{w.l.Checkpoint()}
	}
	return err
}

// workloads are all sequences of steps up to that length.
func workloads(length int) (all [][]step) {
	level := [][]step{{}}
	for range length {
		var next [][]step
		for _, w := range level {
			for _, s := range []step{little, large, several, reopen, die} {
				next = append(next, append(append([]step{}, w...), s))
			}
		}
		all, level = append(all, next...), next
	}
	return all
}

// crashes cuts the power before each operation of each workload and examines what is left; some images are cut again while
// an owner recovers from them. Each cut gives so many images.
func crashes(y *tally, all [][]step, images, most int, prepare func(*memFS)) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, steps := range all {
		if y.full(most) {
			return
		}
		fsys := newMemFS()
		if prepare != nil {
			prepare(fsys)
		}
		now, _ := steadyClock()
		w := &life{fsys: fsys, now: now, size: 900, acked: nothing}
		fsys.watch = func(string) {
			for range images {
				cut(y, fsys.crash(rng), w.acked, rng)
			}
		}
		err := w.open()
		for _, s := range steps {
			if err == nil {
				err = w.step(s)
			}
		}
		if err != nil {
			y.add(fmt.Sprintf("workload %s: %v", steps, err))
		}
		fsys.watch("end")
	}
}

func cut(y *tally, image *memFS, acked promised, rng *rand.Rand) {
	if rng.IntN(4) == 0 {
		image.watch = func(string) {
			if rng.IntN(4) == 0 {
				y.add(examine(image.crash(rng), acked, rng))
			}
		}
	}
	y.add(examine(image, acked, rng))
}

// P1 and P4: whatever a power cut leaves, at whatever operation, everything acknowledged is there, nothing is another, and
// the state is that of the entries.
func TestCrashImages(t *testing.T) {
	y := &tally{}
	if long() {
		crashes(y, workloads(4), 8, 120_000, nil)
		y.passes(t, "crash images", 100_000)
		return
	}
	crashes(y, workloads(3), 1, 12_000, nil)
	y.passes(t, "crash images", 5000)
}

func TestCrashImagesWouldNotice(t *testing.T) {
	for bug, prepare := range map[string]func(*memFS){
		"the disk forgets what was synced":      func(m *memFS) { m.lying = true },
		"the folder forgets the names of files": func(m *memFS) { m.loose = true },
	} {
		y := &tally{}
		crashes(y, workloads(2), 2, 1500, prepare)
		y.caught(t, bug)
	}
}

// failures fails the k-th operation of a reference run, for every k, and examines what the next start finds, without and
// with a power cut behind the failure. After a failure, nothing may be acknowledged in the same life.
func failures(y *tally, steps []step, fault error, short bool, prepare func(*memFS) FS) {
	rng := rand.New(rand.NewPCG(7, 8))
	for k := 1; ; k++ {
		fsys := newMemFS()
		fsys.short = short
		count := 0
		which := ""
		fsys.fail = func(op string) (error, bool) {
			if count++; count == k {
				which = op
				return fault, rng.IntN(3) == 0 // it may have happened all the same
			}
			return nil, false
		}
		w := &life{fsys: fsys, size: 900, acked: nothing}
		failed, problem := failingLife(w, steps, prepare(fsys))
		if count < k {
			return
		}
		if !failed && problem == "" {
			problem = fmt.Sprintf("operation %d (%s) failed and nobody was told", k, which)
		}
		fsys.fail = nil
		image := fsys.crash(rng)
		if problem == "" {
			problem = examine(fsys, w.acked, rng)
		}
		if problem == "" {
			problem = examine(image, w.acked, rng)
		}
		if problem != "" {
			problem = fmt.Sprintf("%v at operation %d (%s) of %s: %s", fault, k, which, steps, problem)
		}
		y.add(problem)
	}
}

// failingLife runs the workload on, life after life, with three more appends after a failure.
func failingLife(w *life, steps []step, fsys FS) (failed bool, problem string) {
	start := func() error {
		w.k = newKeeper()
		var err error
		w.l, err = Open(fsys, w.k.options(Options{VolumeSize: w.size}))
		return err
	}
	broken := false
	err := start()
	for i := 0; i < len(steps)+3; i++ {
		if err != nil {
			failed, broken = true, true
		}
		s := little
		if i < len(steps) {
			s = steps[i]
		}
		if s == reopen || s == die || w.l == nil {
			if w.l != nil && (w.l.Err() != nil || s == reopen && w.l.Close() != nil) {
				failed = true
			}
			w.l, broken = nil, false
			err = start()
			continue
		}
		if err = w.step(s); err == nil && broken {
			return failed, "an append was acknowledged after a failure"
		}
	}
	if err != nil {
		failed = true
	}
	if w.l != nil {
		if err := w.l.Close(); err != nil {
			failed = true
		}
	}
	return failed, ""
}

var failingSteps = [][]step{
	{little, large, reopen, little, several}, {large, die, several, die, little, reopen, little}, {several, several, large, reopen},
}

// The k-th operation fails, for every k: reads, writes, syncs, names.
func TestEveryOperationFailing(t *testing.T) {
	y := &tally{}
	rounds := 1
	if long() {
		rounds = 10
	}
	for range rounds {
		for _, steps := range failingSteps {
			for _, fault := range []error{syscall.EIO, syscall.ENOSPC} {
				failures(y, steps, fault, false, func(m *memFS) FS { return m })
			}
			failures(y, steps, errors.New("short write"), true, func(m *memFS) FS { return m })
		}
	}
	y.passes(t, "k-th operation", 480)
}

func TestEveryOperationFailingWouldNotice(t *testing.T) {
	for bug, wrap := range map[string]func(*memFS) FS{
		"a failed sync is passed over":  func(m *memFS) FS { return deafFS{m, true, false, false} },
		"a failed write is passed over": func(m *memFS) FS { return deafFS{m, false, true, false} },
		"recovery writes nothing anew":  func(m *memFS) FS { return deafFS{m, false, false, true} },
	} {
		y := &tally{}
		for round := 0; round < 6 && y.bad == 0; round++ {
			for _, steps := range failingSteps {
				failures(y, steps, syscall.EIO, false, wrap)
			}
		}
		y.caught(t, bug)
	}
}

// deafFS is a file system whose user does not hear of some failures, or leaves out a step: bugs to be caught.
type deafFS struct {
	*memFS
	sync, write, reopen bool
}

func (d deafFS) Create(name string) (File, error) {
	f, err := d.memFS.Create(name)
	return deafFile{f, d}, err
}

func (d deafFS) Reopen(name string) (File, error) {
	f, err := d.memFS.Reopen(name)
	if d.reopen && err == nil {
		return idleFile{}, nil
	}
	return deafFile{f, d}, err
}

type deafFile struct {
	File
	d deafFS
}

func (f deafFile) Sync() error {
	err := f.File.Sync()
	if f.d.sync {
		return nil
	}
	return err
}

func (f deafFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if f.d.write {
		return n, nil
	}
	return n, err
}

type idleFile struct{}

func (idleFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (idleFile) Truncate(int64) error                   { return nil }
func (idleFile) Sync() error                            { return nil }
func (idleFile) Close() error                           { return nil }
