package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const lockName = "owner.lock"

// OwnedError says that another process owns the folder.
type OwnedError struct{ Path, Owner string }

func (e *OwnedError) Error() string {
	owner := e.Owner
	if owner == "" {
		owner = "another process"
	}
	return fmt.Sprintf("%s is owned by %s: stop that one first, or name another data folder", e.Path, owner)
}

// A Lock makes its holder the only owner of a folder. The system lets go of it when the process ends, however it ends.
type Lock struct {
	f    *os.File
	name string
	mine os.FileInfo // of f
}

// newLock remembers which file is locked.
func newLock(f *os.File, name string) (*Lock, error) {
	mine, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{f, name, mine}, nil
}

// AcquireLock takes the folder's lock and writes owner, a line that tells an operator who holds it, into the lock file.
// A folder that another process owns is an *OwnedError.
func AcquireLock(path, owner string) (*Lock, error) {
	name := filepath.Join(path, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := tryLock(f); {
	case errors.Is(err, errHeld):
		return nil, errors.Join(ownedBy(path, f), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(owner+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return newLock(f, name)
}

// ErrTakenOver is returned when the folder has another owner now.
var ErrTakenOver = errors.New("another process has taken the folder over: nothing more is written or released here")

// Held returns ErrTakenOver if the lock file in the folder is no longer the one that is locked, as after [TakeOver]. A
// process that was paused meanwhile still holds its lock, on a file that nobody asks any more.
func (l *Lock) Held() error {
	if ownerUnasked {
		return nil
	}
	there, err := os.Stat(l.name)
	if err != nil || !os.SameFile(l.mine, there) {
		return errors.Join(ErrTakenOver, err)
	}
	return nil
}

// TakeOver makes the folder this process's though another one holds its lock, by putting a new lock file in place of that
// one. The owner before finds out by Lock.Held, at the latest before it would release what it wrote after this returned. The
// ledger must then be opened with Options.TakeOver.
func TakeOver(path, owner string) (*Lock, error) {
	name := filepath.Join(path, lockName)
	next := name + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err = tryLock(f); err == nil {
		_, err = f.WriteAt([]byte(owner+"\n"), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(next, name)
	}
	if err == nil {
		err = Dir(path).SyncDir()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return newLock(f, name)
}

// Release lets another process own the folder.
func (l *Lock) Release() error { return l.f.Close() }

// Owned returns an *OwnedError if a process owns the folder, without taking the lock.
func Owned(path string) (*OwnedError, error) {
	f, err := os.Open(filepath.Join(path, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	held, err := isLocked(f)
	if err != nil || !held {
		return nil, err
	}
	return ownedBy(path, f), nil
}

// ownedBy reads who holds the lock.
func ownedBy(path string, f *os.File) *OwnedError {
	line, err := io.ReadAll(io.LimitReader(f, 200))
	if err != nil {
		line = nil // the error then says that it is another process
	}
	return &OwnedError{path, strings.TrimSpace(string(line))}
}
