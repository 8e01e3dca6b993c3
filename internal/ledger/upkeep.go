package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"
)

// Compact gives the closed volumes that are not compact yet their compact form, the oldest first, and returns how many. Each
// is written beside the volume, read again and put together to the very bytes that it is of, and only then takes its place:
// a crash leaves the one or the other. It may run beside appends and readers.
func (l *Log) Compact() (done int, err error) {
	folder, ok := l.fsys.(Folder)
	if !ok {
		return 0, errors.New("this file system cannot replace files")
	}
	names, err := l.closed()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := l.stopping(); err != nil {
			return done, err
		}
		changed, err := compactVolume(folder, name)
		if err != nil {
			return done, fmt.Errorf("%s: %w", name, err)
		}
		if changed {
			done++
		}
	}
	return done, nil
}

// closed returns the volumes before the one that is being written.
func (l *Log) closed() ([]string, error) {
	names, err := l.fsys.List()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(names, func(s string) bool { n, ok := volumeNumber(s); return !ok || n >= l.openVolume }), nil
}

// compactVolume replaces a volume by its compact form, if that is smaller and gives the same bytes.
func compactVolume(folder Folder, name string) (bool, error) {
	src, err := folder.Open(name)
	if err != nil {
		return false, err
	}
	defer src.Close()
	var was window
	if err := was.open(src); err != nil {
		return false, err
	}
	if head, err := was.from(0, compactHead); err != nil || isCompact(head) {
		return false, err
	}
	small, err := compact(&was, chunkSize)
	if err == nil && int64(len(small)) >= was.size {
		err = errAsItIs
	}
	if err == nil {
		err = sameAs(small, &was)
	}
	if errors.Is(err, errAsItIs) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, replace(folder, name, small)
}

// sameAs is errAsItIs unless a compact volume gives these very bytes.
func sameAs(small []byte, was *window) error {
	e, err := newExpander(small)
	if err != nil {
		return errAsItIs
	}
	for at := int64(0); ; {
		piece, err := e.next()
		if errors.Is(err, io.EOF) && at == was.size {
			return nil
		}
		if err != nil {
			return errAsItIs
		}
		is, err := was.from(at, len(piece))
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(is, piece) {
			return errAsItIs
		}
		at += int64(len(piece))
	}
}

// Retire removes the volumes whose entries are all older than before, once an entry that says so is durable. What began in
// them and still counts is in the snapshot of every volume since. It returns the number of the last volume that is gone.
func (l *Log) Retire(before time.Time) (last uint32, err error) {
	folder, ok := l.fsys.(Folder)
	if !ok {
		return 0, errors.New("this file system cannot remove files")
	}
	names, err := l.closed()
	if err != nil || len(names) == 0 {
		return 0, err
	}
	entries := uint64(0)
	for _, name := range append(names[1:], volumeName(l.presentVolume())) {
		o, err := readOpening(l.fsys, name)
		if errors.Is(err, errTorn) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if o.state.last >= before.UnixMilli() {
			break
		}
		last, entries = o.number-1, o.first
	}
	if last == 0 {
		return 0, nil
	}
	if err := l.Append(func(time.Time) []Body {
		l.retired = last // build runs under l.mu
		return []Body{&Retired{last, entries}}
	}); err != nil {
		return 0, err
	}
	for _, name := range names {
		if n, _ := volumeNumber(name); n > last {
			break
		}
		if err := folder.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return last, err
		}
	}
	return last, folder.SyncDir()
}

func (l *Log) presentVolume() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.openVolume
}
