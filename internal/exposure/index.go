package exposure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

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
// for each person an eighth of a byte for each class set in a question, and less than a fifth for each cell and level of what
// is being written: one merge and, while much is read anew, one segment beside it.
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
	untidy  bool         // something failed and may have left files; guarded by work
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
