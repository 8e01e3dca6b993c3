package ledger

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// FS is the little of a file system that a ledger needs. It has two implementations: the operating system's, and in tests
// one in memory that loses what was not synced.
type FS interface {
	// List returns the names in the folder, sorted; a missing folder is an error that is fs.ErrNotExist.
	List() ([]string, error)
	// Open opens a file for reading; a missing one is an error that is fs.ErrNotExist.
	Open(name string) (Source, error)
	// Create makes a new empty file; one that exists is an error that is fs.ErrExist.
	Create(name string) (File, error)
	// Reopen opens a file for writing to it once more.
	Reopen(name string) (File, error)
	// SyncDir makes the names of files durable: those created, renamed and removed.
	SyncDir() error
}

// A Folder is an FS in which files can be replaced, which only the upkeep of closed volumes needs.
type Folder interface {
	FS
	// Rename gives a file another name, in place of the file that had it.
	Rename(from, to string) error
	Remove(name string) error
}

// A Source is a volume being read. An owner may be writing behind what has been read.
type Source interface {
	io.ReaderAt
	io.Closer
	// Size returns the file's present length.
	Size() (int64, error)
}

// A File is a volume being written.
type File interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync returns once all that was written would survive a power cut.
	Sync() error
}

// Dir returns the folder of that path on the operating system's file system.
func Dir(path string) Folder { return dir(path) }

type dir string

func (d dir) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

func (d dir) Open(name string) (Source, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	return osSource{f}, nil
}

func (d dir) Create(name string) (File, error) {
	return d.write(name, os.O_CREATE|os.O_EXCL)
}

func (d dir) Reopen(name string) (File, error) { return d.write(name, 0) }

func (d dir) write(name string, flags int) (File, error) {
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_WRONLY|flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d dir) Rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d dir) Remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

func (d dir) SyncDir() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

type osSource struct{ *os.File }

func (f osSource) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return datasync(f.File) }
