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
type Lock struct{ f *os.File }

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
	return &Lock{f}, nil
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
