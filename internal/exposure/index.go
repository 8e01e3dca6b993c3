package exposure

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir/internal/ledger"
)

// Options are the settings of an index.
type Options struct {
	Ledger ledger.FS // the ledger that it is of
	Dir    string    // its folder, made where it is missing; empty means a temporary one, which Close removes

	Until uint64 // if not 0, no entry from this number on is read

	// Progress, if not nil, is called now and then while Refresh reads the ledger, with the number of the next entry.
	Progress func(entry uint64)

	sizes sizes
	fault func(op, name string) error
}

// An Index answers questions about a ledger. It follows the ledger when Refresh is called, and keeps what it read on disk:
// in segments, each of which covers a range of entries, and a manifest that names them. The ledger's end, up to 65,536
// entries, is in memory only and read again at the next start; so nothing here needs to be durable, and a crash costs that
// reading. A file that is not as it was written, or a ledger that is not the one that was read, makes the index begin anew.
//
// One process owns the folder and writes to it. Any other one reads the segments, and the ledger's end itself; where it
// cannot, it makes a temporary index. Memory, beside a bounded part for each segment and each 8,192 disclosures (some 60
// bytes): at most four million disclosures that are about to become segments (some 400 MB, only while much is read anew), and
// an eighth of a byte for each person, for each class set in a question or a merge.
//
// All methods may be called at the same time.
type Index struct {
	opts Options
	work sync.Mutex // held by what changes the index: Refresh, Close; before mu

	mu      sync.RWMutex
	dir     folder
	temp    bool
	lock    *ledger.Lock // nil where another process owns the folder
	segs    []*segment   // guarded by mu
	tail    *tail        // guarded by mu
	follow  *ledger.Tail // guarded by work
	expect  uint64       // digest of the last entry that the segments cover; guarded by work
	checked bool         // the ledger still has the entry before those that are to be read; guarded by work
	damage  error        // what ended the following; guarded by mu
}

// Open opens the index of a ledger, and makes it where there is none. It answers nothing before the first Refresh.
func Open(opts Options) (*Index, error) {
	if opts.sizes == (sizes{}) {
		opts.sizes = usualSizes
	}
	x := &Index{opts: opts, temp: opts.Dir == ""}
	if !x.temp {
		x.dir = folder{opts.Dir, opts.fault}
		err := os.MkdirAll(opts.Dir, 0o700)
		if err == nil {
			err = x.own()
		}
		if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
			x.temp, err = true, nil // a copy that cannot be written to is still answered
		}
		if err != nil {
			return nil, err
		}
	}
	err := x.begin()
	if errors.Is(err, errDoubt) {
		err = x.anew()
	}
	if err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// own takes the folder's lock, if nobody else has it.
func (x *Index) own() error {
	lock, err := ledger.AcquireLock(x.dir.path, fmt.Sprintf("weir, process %d", os.Getpid()))
	var owned *ledger.OwnedError
	if errors.As(err, &owned) {
		return nil
	}
	x.lock = lock
	return err
}

func (x *Index) writes() bool { return x.temp || x.lock != nil }

// begin opens what the folder holds and goes to the place in the ledger that follows it. Nothing of the index is in use yet.
func (x *Index) begin() (err error) {
	if x.temp && x.dir.path == "" {
		if x.dir.path, err = os.MkdirTemp("", "weir-index-"); err != nil {
			return err
		}
		x.dir.fault = x.opts.fault
	}
	var segs []*segment
	var m *manifest
	for try := 0; ; try++ {
		if m, err = x.dir.readManifest(); err != nil {
			return err
		}
		if segs, err = x.open(m); err == nil {
			break
		}
		if x.writes() || try == 5 || !errors.Is(err, fs.ErrNotExist) {
			return doubt("%v", err)
		} // the owner has merged segments since the manifest was read
	}
	at, base := uint64(0), uint32(0)
	for i, s := range segs {
		if i > 0 && s.from != at || s.book.base != base {
			err = doubt("%s does not follow the segment before", s.name)
		}
		at, base = s.to, s.people()
	}
	if m != nil && at != m.Position {
		err = doubt("the manifest names another position than the segments")
	}
	if err == nil && x.writes() {
		err = x.dir.tidy(m)
	}
	if err == nil {
		err = x.seek(at)
	}
	if err != nil {
		return errors.Join(err, closeAll(segs))
	}
	x.expect = 0
	if m != nil {
		x.expect = m.LastEntry
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segs, x.tail, x.damage = segs, newTail(at, base, x.expect), nil
	return nil
}

// seek follows the ledger from the entry before that one on: it is compared first.
func (x *Index) seek(at uint64) (err error) {
	if x.follow != nil {
		err = x.follow.Close()
	}
	if err == nil {
		x.checked = at == 0
		x.follow, err = ledger.OpenTail(x.opts.Ledger, max(at, 1)-1)
	}
	return err
}

func (x *Index) open(m *manifest) (segs []*segment, err error) {
	if m == nil {
		return nil, nil
	}
	for _, named := range m.Segments {
		s, err := openSegment(filepath.Join(x.dir.path, filepath.Base(named.Name)), named.Name)
		if err != nil {
			return nil, errors.Join(err, closeAll(segs))
		}
		segs = append(segs, s)
		if info, err := s.file.Stat(); err != nil || info.Size() != named.Size {
			return nil, errors.Join(doubt("%s has another size", named.Name), closeAll(segs))
		}
	}
	return segs, nil
}

func closeAll(segs []*segment) error {
	var errs []error
	for _, s := range segs {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// anew drops everything and begins with the ledger's first entry. Where another process owns the folder, that one will find
// its own doubts, and this one makes an index for itself.
func (x *Index) anew() error {
	x.mu.Lock()
	segs := x.segs
	x.segs, x.tail = nil, nil
	x.mu.Unlock()
	if err := closeAll(segs); err != nil {
		return err
	}
	if x.writes() {
		if err := x.dir.tidy(nil); err != nil {
			return err
		}
	} else {
		x.temp, x.dir.path = true, ""
	}
	return x.begin()
}

// Close lets go of the index's files. The index must not be used afterwards.
func (x *Index) Close() error {
	x.work.Lock()
	defer x.work.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	err := closeAll(x.segs)
	x.segs = nil
	if x.follow != nil {
		err = errors.Join(err, x.follow.Close())
	}
	if x.lock != nil {
		err = errors.Join(err, x.lock.Release())
	}
	if x.temp && x.dir.path != "" {
		err = errors.Join(err, os.RemoveAll(x.dir.path))
	}
	return err
}

// Position returns how many of the ledger's entries the answers cover.
func (x *Index) Position() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.tail == nil {
		return 0
	}
	return x.tail.to
}

// begins is the first entry that the answers cover.
func (x *Index) begins() uint64 {
	if len(x.segs) > 0 {
		return x.segs[0].from
	}
	return x.tail.from
}

// Damage returns what is wrong with the ledger, if it is damaged: answers then hold only what can be read.
func (x *Index) Damage() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.damage
}

// errUnmade is why an index that could not be made anew, as for want of space, has no tail: that is tried again with the next
// question or refresh, and until then nothing is answered.
var errUnmade = doubt("it is gone, and could not be made anew yet")

// errPause ends a reading of the ledger in between.
var errPause = errors.New("pause")

// errEnough ends it at Options.Until.
var errEnough = errors.New("enough")

// Refresh reads what the ledger holds by now. A damaged ledger is no error: see Damage.
func (x *Index) Refresh(ctx context.Context) error {
	x.work.Lock()
	defer x.work.Unlock()
	return x.refresh(ctx)
}

func (x *Index) refresh(ctx context.Context) error {
	err := x.advance(ctx)
	if errors.Is(err, errDoubt) {
		if err = x.anew(); err == nil {
			err = x.advance(ctx)
		}
	}
	var damaged *ledger.DamagedError
	if errors.As(err, &damaged) {
		return x.salvage(damaged)
	}
	return err
}

// advance reads on until the ledger's end, and writes segments as it goes.
func (x *Index) advance(ctx context.Context) error {
	if x.tail == nil {
		return errUnmade
	}
	anew := false
	for x.Damage() == nil {
		ended, err := x.read()
		if err != nil {
			return err
		}
		if ended && x.tail.size() < x.opts.sizes.live || !ended && x.tail.size() < x.opts.sizes.batch {
			return nil
		}
		switch {
		case ended && x.writes():
			if err := x.seal(); err != nil {
				return err
			}
			old, err := x.compact(x.grown(anew))
			return errors.Join(err, x.drop(old))
		case ended:
			return nil
		case x.writes():
			anew = true
			err = x.catchUp(ctx)
		default:
			err = x.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read takes entries into the tail that questions see; ended says that there are no more.
func (x *Index) read() (ended bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ended, err = x.fill(x.tail)
	if resolveErr := x.tail.resolve(x.segs); resolveErr != nil { // before damage is told of, what was read is usable
		return ended, resolveErr
	}
	return ended, err
}

// catchUp writes full tails while the ledger's end is far. The next one is read while one is written; questions see it only
// once the one before has become a segment.
func (x *Index) catchUp(ctx context.Context) error {
	var spare *tail
	for x.tail.size() >= x.opts.sizes.batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		full := x.tail
		base := full.base + uint32(len(full.fresh))
		next := newTail(full.to, base, full.last)
		if spare != nil {
			next = spare.follow(full.to, base, full.last)
		}
		var kept *segment
		var old []*segment
		segs := x.segs // compact gives x others, and leaves these open
		sealed := make(chan error, 1)
		go func() {
			var err error
			if old, err = x.compact(x.alike()); err == nil {
				kept, err = x.keep(full)
			}
			sealed <- err
		}()
		_, readErr := x.fill(next)
		sought, seekErr := next.seek(segs)
		err := errors.Join(<-sealed, x.drop(old), seekErr)
		if err == nil {
			err = kept.book.find(sought)
		}
		if err == nil {
			err = next.number(sought)
		}
		if err != nil { // what was read into next is read again
			if kept != nil {
				err = errors.Join(err, kept.file.Close())
			}
			return errors.Join(err, x.seek(full.to))
		}
		x.mu.Lock()
		x.segs, x.expect = append(x.segs, kept), full.last
		x.tail, spare = next, full
		x.mu.Unlock()
		if readErr != nil {
			return readErr
		}
	}
	return nil
}

// fill takes entries into a tail, until it is full or there are no more, which ended says.
func (x *Index) fill(t *tail) (ended bool, err error) {
	_, err = x.follow.Next(func(e ledger.Entry) error {
		if e.Seq < t.to {
			if digest(&e) != t.last {
				return doubt("the ledger is not the one that was read")
			}
			x.checked = true
			return nil
		}
		if x.opts.Until > 0 && e.Seq >= x.opts.Until {
			return errEnough
		}
		if t.size() >= x.opts.sizes.batch {
			return errPause
		}
		if e.Seq > t.to {
			if t.to > 0 {
				return doubt("the ledger has no entry %d any more", t.to)
			}
			t.from, x.checked = e.Seq, true // the volumes before have been retired
		}
		t.add(&e)
		return nil
	})
	if ended = !errors.Is(err, errPause); !ended || errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && !x.checked {
		err = doubt("the ledger is shorter than what was read")
	}
	if x.opts.Progress != nil {
		x.opts.Progress(t.to)
	}
	return ended, err
}

// wait lets the folder's owner go on, and takes over what it has written by then, or its place.
func (x *Index) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond):
	}
	if err := x.own(); err != nil {
		return err
	}
	m, err := x.dir.readManifest()
	if err != nil || !x.writes() && (m == nil || m.Position <= x.tail.from) {
		return err
	}
	x.mu.Lock()
	segs := x.segs
	x.segs = nil
	x.mu.Unlock()
	if err := closeAll(segs); err != nil {
		return err
	}
	return x.begin()
}

// seal writes the tail as a segment and begins the next one.
func (x *Index) seal() error {
	s, err := x.keep(x.tail)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.segs, x.expect = append(x.segs, s), x.tail.last
	x.tail = x.tail.follow(x.tail.to, s.people(), x.tail.last)
	return nil
}

// keep writes a tail as a segment that the manifest names. Only the holder of work changes the tail and the segments.
func (x *Index) keep(t *tail) (*segment, error) {
	s, err := x.write(t.from, t.to, t.tables, t.write)
	if err != nil {
		return nil, err
	}
	if err := x.install(append(x.segs[:len(x.segs):len(x.segs)], s), t.last); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

// grown returns from where on segments are merged when the ledger's end is reached: where those that follow one have become
// as large together as it. So there are at most as many as the logarithm of their disclosures, and each disclosure is written
// that often. After much was read anew, half as large is enough: mostly one segment remains then.
func (x *Index) grown(anew bool) int {
	from, later := len(x.segs), 0
	for i := len(x.segs) - 1; i >= 0; i-- {
		size := max(x.segs[i].events, x.segs[i].outcomes)
		if size <= later || anew && size <= 2*later {
			from = i
		}
		later += size
	}
	return from
}

// mergeAtOnce is how many segments of one size are merged while the ledger's end is far.
const mergeAtOnce = 16

// alike returns where the newest mergeAtOnce segments begin, if the first of them is no larger than mergeAtOnce/2 of the last.
func (x *Index) alike() int {
	from := len(x.segs) - mergeAtOnce
	if from < 0 || x.segs[from].events > mergeAtOnce/2*max(1, x.segs[len(x.segs)-1].events) {
		return len(x.segs)
	}
	return from
}

// compact merges the segments from one on, and returns those that are to be dropped.
func (x *Index) compact(from int) (old []*segment, err error) {
	if from == len(x.segs) {
		return nil, nil
	}
	old = x.segs[from:]
	s, err := x.write(old[0].from, old[len(old)-1].to, newTables(), func(w *segmentWriter) error { return merge(w, old) })
	if err != nil {
		return nil, err
	}
	segs := append(x.segs[:from:from], s)
	if err := x.install(segs, x.expect); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	x.mu.Lock()
	x.segs = segs
	x.mu.Unlock()
	return old, nil
}

// drop closes segments that no manifest names any more, and removes them.
func (x *Index) drop(old []*segment) error {
	errs := []error{closeAll(old)}
	for _, o := range old {
		errs = append(errs, x.dir.remove(o.name))
	}
	return errors.Join(errs...)
}

// write writes a segment's file and opens it.
func (x *Index) write(from, to uint64, t *tables, fill func(*segmentWriter) error) (*segment, error) {
	name := fmt.Sprintf("%d-%d-%s.seg", from, to, rand.Text()[:8])
	f, err := x.dir.create(name)
	if err != nil {
		return nil, err
	}
	if err := fill(newSegmentWriter(f, x.opts.sizes, t, from, to)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.File.Name()))
	}
	if err := f.keep(); err != nil {
		return nil, err
	}
	return openSegment(filepath.Join(x.dir.path, name), name)
}

// install makes these segments the index's: the rename of the manifest is the point from which on they are.
func (x *Index) install(segs []*segment, last uint64) error {
	m := &manifest{Version: manifestVersion, LastEntry: last}
	for _, s := range segs {
		info, err := s.file.Stat()
		if err != nil {
			return err
		}
		m.Segments = append(m.Segments, manifestSegment{s.name, info.Size()})
		m.Position = s.to
	}
	return x.dir.writeManifest(m)
}

// salvage reads what lies behind damage, into memory only: an index of a damaged ledger is not kept.
func (x *Index) salvage(damaged *ledger.DamagedError) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tail
	_, err := ledger.Read(x.opts.Ledger, ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		if e.Seq >= t.to {
			t.add(&e)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	x.damage = damaged
	return t.resolve(x.segs)
}

// ask runs a question, and where the index proves damaged makes it anew and runs it once more. started says whether the
// question has given out a part of its answer: then it fails, and the next one is answered.
func (x *Index) ask(question func() error, started func() bool) error {
	x.mu.RLock()
	found := errUnmade
	if x.tail != nil {
		found = question()
	}
	x.mu.RUnlock()
	if !errors.Is(found, errDoubt) {
		return found
	}
	x.work.Lock()
	defer x.work.Unlock()
	if err := x.anew(); err != nil {
		return err
	}
	if err := x.refresh(context.Background()); err != nil {
		return err
	}
	if started() {
		return fmt.Errorf("%w: it has been made anew from the ledger: ask again", found)
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	return question()
}

func notStarted() bool { return false }

// Size returns what the index takes on disk: bytes for names, and for all else; people, disclosures.
func (x *Index) Size() (names, rest int64, people, disclosures int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, s := range x.segs {
		n := int64(columnPages(s.book.n)+s.book.pages) * pageSize
		names += n
		if info, err := s.file.Stat(); err == nil {
			rest += info.Size() - n
		}
		people, disclosures = people+s.book.n, disclosures+s.events
	}
	return names, rest, people, disclosures
}
