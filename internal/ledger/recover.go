package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
)

// Open restores the live state from the last volume's opening and what follows, begins a new volume behind what is there and
// returns the log to append to. A tail that a crash tore is sealed as it is. Damage in what is read is ErrDamaged; what lies
// before is left to [Verify].
func Open(fsys FS, opts Options) (*Log, error) {
	opts.setDefaults()
	l := &Log{opts: opts, fsys: fsys, routes: map[RouteName]uint64{}, whos: map[weir.Pseudonym]uint64{}}
	l.idle = sync.NewCond(&l.mu)
	l.clock = clock{wall: opts.Now, running: opts.Running, jump: opts.ClockJump, fresh: true}
	at, err := l.recover()
	if err != nil {
		return nil, err
	}
	l.seq = l.tree.size
	l.durable = weir.Checkpoint{Size: l.tree.size, Root: l.tree.root()}
	if l.seq > 0 {
		l.clock.use(at.millis)
	}
	// The new volume's opening repeats what was just restored: the next start begins here.
	if err := l.beginVolume(at, opts.Snapshot()); err != nil {
		return nil, err
	}
	return l, l.rule()
}

// rule enters that the log was opened though a checkpoint says that it should not.
func (l *Log) rule() error {
	kept, has := l.opts.Kept, l.durable
	if !l.opts.AcceptRollback || kept == nil {
		return nil
	}
	what := fmt.Sprintf("the checkpoint kept elsewhere has %d entries and root %x, the ledger %d and %x", kept.Size, kept.Root, has.Size, has.Root)
	err := l.Append(func(time.Time) []Body { return []Body{&Decision{AcceptRollback, what}} })
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// recover reads what is there and says where the next volume begins.
func (l *Log) recover() (*place, error) {
	names, err := l.fsys.List()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.ContainsFunc(names, isVolume) {
		if l.opts.Kept != nil && l.opts.Kept.Size > 0 && !l.opts.AcceptRollback {
			return nil, fmt.Errorf("%w (there is none, the checkpoint has %d entries)", ErrRollback, l.opts.Kept.Size)
		}
		return &place{}, nil
	}
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(s string) bool { return !isVolume(s) })
	if l.opts.TakeOver {
		if err := l.copyLast(names); err != nil {
			return nil, err
		}
	}
	start, err := l.start(names)
	if err != nil {
		return nil, err
	}
	for i := range names[1:] { // the others are left to CheckClosed
		if before, _ := volumeNumber(names[i]); names[i+1] != volumeName(before+1) {
			return nil, fmt.Errorf("%w (volume %s is missing)", ErrDamaged, volumeName(before+1))
		}
	}
	r := &reader{fsys: l.fsys, sum: &Summary{}, opts: ReadOptions{Reuse: true, Known: l.opts.Known}, started: l.restored, mend: true}
	r.opts.Visit = func(e Entry) error {
		if x, ok := e.Body.(*Retired); ok {
			l.retired = max(l.retired, x.Volume)
		}
		if l.opts.Replay != nil {
			l.opts.Replay(e)
		}
		return nil
	}
	if l.opts.Kept != nil {
		r.opts.RootAt = &l.opts.Kept.Size
	}
	if err := r.read(names[start:]); err != nil {
		return nil, err
	}
	sum := r.sum
	if len(sum.Faults) > 0 {
		return nil, fmt.Errorf("%w (%s)", ErrDamaged, sum.Faults[0])
	}
	if first, _ := volumeNumber(names[0]); first > 1 && sum.retired < first-1 {
		return nil, fmt.Errorf("%w (volume %s is missing)", ErrDamaged, volumeName(first-1))
	}
	if kept := l.opts.Kept; kept != nil && !l.opts.AcceptRollback && !(sum.RootAtOK && sum.RootAt == kept.Root) {
		return nil, fmt.Errorf("%w (the checkpoint has %d entries, the ledger %d)", ErrRollback, kept.Size, sum.Entries)
	}
	if err := l.makeDurable(r); err != nil {
		return nil, err
	}
	l.tree, l.owner = sum.tree, sum.owner+1
	return &place{
		prev: sum.validIn, valid: uint64(sum.valid), rest: uint64(sum.rest), restID: sum.restID,
		volume: sum.volume, chain: sum.chain, millis: sum.millis,
	}, nil
}

// restored takes over what the first volume that is read begins with.
func (l *Log) restored(o *opening) error {
	if o.keyID != l.opts.KeyID {
		return ErrKey
	}
	l.since, l.retired = o.state.Since, o.retired
	if l.opts.Restore != nil {
		l.opts.Restore(o.state)
	}
	return nil
}

// start returns which of the volumes to begin with: the newest whose live state and what follows it hold all that the
// longest quota needs, and the entries of the kept checkpoint.
func (l *Log) start(names []string) (int, error) {
	var last int64
	newest := -1
	for i := len(names) - 1; i >= 0; i-- {
		o, err := readOpening(l.fsys, names[i])
		if errors.Is(err, errTorn) {
			continue // what the reader makes of it is decided there
		}
		if err != nil {
			return 0, err
		}
		if o.keyID != l.opts.KeyID {
			return 0, ErrKey
		}
		if newest < 0 {
			newest, last = i, o.state.last
		}
		needed := time.UnixMilli(last).Add(-l.opts.Covers)
		enough := o.state.Since.IsZero() || l.opts.Covers == 0 || !o.state.Since.After(needed)
		if enough && (l.opts.Kept == nil || l.opts.Kept.Size >= o.first || i == 0) {
			return i, nil
		}
		if i == 0 {
			return 0, fmt.Errorf("%w (what was released before %s is not kept)", ErrHorizon, o.state.Since.Format(time.RFC3339))
		}
	}
	return 0, nil
}

// readOpening reads the opening of a volume; errTorn says that it has no whole one.
func readOpening(fsys FS, name string) (*opening, error) {
	src, h, err := openVolume(fsys, name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	raw := make([]byte, h.openingSize())
	if n, err := src.ReadAt(raw, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if n < len(raw) {
		return nil, errTorn
	}
	return decodeOpening(raw)
}

// CheckClosed reads all volumes before the one that is being written, which Open has left unread, and stops the log at the
// first fault in them. It may take long, takes no lock while it reads, and may run beside appends.
func (l *Log) CheckClosed() error {
	names, err := l.fsys.List()
	if err != nil {
		return err
	}
	l.mu.Lock()
	r := &reader{fsys: l.fsys, sum: &Summary{retired: l.retired}, opts: ReadOptions{Reuse: true, Known: l.opts.Known}, until: l.openVolume, stop: l.stopping}
	l.mu.Unlock()
	names = slices.DeleteFunc(names, func(s string) bool { n, ok := volumeNumber(s); return !ok || n > r.until })
	if err := r.read(names); errors.Is(err, ErrClosed) {
		return err
	} else if err != nil {
		return l.fail(fmt.Errorf("%w (%w)", ErrDamaged, err)) // a volume that cannot be read is no better
	}
	r.missing()
	if len(r.sum.Faults) == 0 {
		return nil
	}
	return l.fail(fmt.Errorf("%w (%s)", ErrDamaged, r.sum.Faults[0]))
}

func (l *Log) stopping() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return ErrClosed
	}
	return nil
}

// makeDurable writes once more what the last write of the owner before may have left in the system's memory only: after a
// failed sync the bytes can be read, and be gone after a power cut. Nothing changes in the files.
func (l *Log) makeDurable(r *reader) error {
	for _, p := range r.unsure {
		f, err := l.fsys.Reopen(p.name)
		if err != nil {
			return err
		}
		if _, err = f.WriteAt(p.bytes, p.at); err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("ledger cannot be written: %w", err)
		}
	}
	return l.fsys.SyncDir()
}

// copyLast puts copies in place of the last volume with a whole opening, and of all behind it, so that a process that
// still has them open writes where nobody reads.
func (l *Log) copyLast(names []string) error {
	folder, ok := l.fsys.(Folder)
	if !ok {
		return errors.New("this file system cannot replace files")
	}
	for _, name := range slices.Backward(names) {
		_, err := readOpening(l.fsys, name)
		whole := err == nil
		if err != nil && !errors.Is(err, errTorn) {
			return err
		}
		raw, _, err := load(l.fsys, name, nil)
		if err != nil {
			return err
		}
		if err := replace(folder, name, raw); err != nil {
			return err
		}
		if whole {
			break
		}
	}
	return nil
}

// replace puts a file with other bytes in place of one, durably: a crash leaves the one or the other.
func replace(folder Folder, name string, raw []byte) error {
	next := strings.TrimSuffix(name, volumeSuffix) + ".new"
	if err := folder.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := folder.Create(next)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(raw, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, folder.Remove(next))
	}
	if err := folder.Rename(next, name); err != nil {
		return err
	}
	return folder.SyncDir()
}
