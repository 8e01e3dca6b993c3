package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// memFS is a folder in memory that knows what a power cut would leave of it.
type memFS struct {
	mu    sync.Mutex
	files map[string]*memFile
	lying bool // Sync does nothing: the control for the tests of durability

	// fail, if set, is asked before every operation; "persist" tells it whether the operation shall happen all the same.
	fail func(op string) (err error, persist bool)
}

type memFile struct {
	fs     *memFS
	data   []byte
	synced int  // bytes that survive a power cut for certain
	named  bool // the name survives
}

var errInjected = errors.New("injected")

func newMemFS() *memFS { return &memFS{files: map[string]*memFile{}} }

// do runs an operation under the lock, with the failure that the test wants.
func (m *memFS) do(op string, f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err, persist := m.fail(op); err != nil {
			if persist {
				f()
			}
			return err
		}
	}
	f()
	return nil
}

func (m *memFS) List() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files)), nil
}

func (m *memFS) Open(name string) (Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return memSource{m, f}, nil
}

// memSource reads what the file holds at the time of each read, as an operating system's file does.
type memSource struct {
	fs *memFS
	f  *memFile
}

func (s memSource) ReadAt(p []byte, off int64) (int, error) {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	return bytes.NewReader(s.f.data).ReadAt(p, off)
}

func (s memSource) Size() (int64, error) {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	return int64(len(s.f.data)), nil
}

func (s memSource) Close() error { return nil }

func (m *memFS) Create(name string) (File, error) {
	f := &memFile{fs: m}
	err := m.do("create", func() { m.files[name] = f })
	return f, err
}

func (m *memFS) SyncDir() error {
	return m.do("syncdir", func() {
		for _, f := range m.files {
			f.named = f.named || !m.lying
		}
	})
}

func (f *memFile) Write(p []byte) (int, error) {
	err := f.fs.do("write", func() { f.data = append(f.data, p...) })
	return len(p), err
}

func (f *memFile) Sync() error {
	return f.fs.do("sync", func() {
		if !f.fs.lying {
			f.synced = len(f.data)
		}
	})
}

func (f *memFile) Close() error { return nil }

// crash returns what a power cut at this moment leaves: unsynced names and bytes may be there or not, in part, or as zeros.
func (m *memFS) crash(rng *rand.Rand) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := newMemFS()
	after.lying = m.lying
	for name, f := range m.files {
		if !f.named && rng.IntN(2) == 0 {
			continue
		}
		kept := bytes.Clone(f.data[:f.synced+rng.IntN(len(f.data)-f.synced+1)])
		if tail := kept[f.synced:]; len(tail) > 0 && rng.IntN(4) == 0 {
			clear(tail[rng.IntN(len(tail)):])
		}
		after.files[name] = &memFile{fs: after, data: kept, synced: len(kept), named: true}
	}
	return after
}

// clone returns a copy to damage.
func (m *memFS) clone() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemFS()
	for name, f := range m.files {
		c.files[name] = &memFile{fs: c, data: bytes.Clone(f.data), synced: len(f.data), named: true}
	}
	return c
}
