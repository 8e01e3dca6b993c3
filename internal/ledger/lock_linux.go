package ledger

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

var errHeld = errors.New("held")

// tryLock takes an open file description lock: unlike a POSIX record lock it belongs to this opening of the file, so two
// openings within one process exclude each other too, and it can be asked about without being taken.
func tryLock(f *os.File) error {
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errHeld
	}
	return err
}

func isLocked(f *os.File) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false, err
	}
	return lock.Type != unix.F_UNLCK, nil
}
