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

// sector is what a disk writes whole or not at all.
const sector = 512

// memFS is a folder in memory that knows what a power cut would leave of it: of what was not synced, any sector may be there
// or not, and the names that were made, changed and removed since the last SyncDir up to any one of them.
type memFS struct {
	mu    sync.Mutex
	files map[string]*memFile
	disk  map[string]*memFile // names that survive a power cut
	turns []map[string]*memFile
	lying bool // Sync does nothing: a control for the tests of durability
	loose bool // SyncDir does nothing: another one

	// fail, if set, is asked before every operation; "persist" tells it whether the operation shall happen all the same.
	fail func(op string) (err error, persist bool)
	// short makes a failing write leave its first half.
	short bool
	// watch, if set, is called with the folder before every operation, without the lock.
	watch func(op string)
}

type memFile struct {
	fs    *memFS
	data  []byte  // what is read
	kept  []byte  // what survives a power cut for certain
	dirty []int64 // sectors that were written since the last sync, in order
}

var errInjected = errors.New("injected")

func newMemFS() *memFS { return &memFS{files: map[string]*memFile{}, disk: map[string]*memFile{}} }

// do runs an operation under the lock, with the failure that the test wants. A failed operation that does not persist calls
// lost instead, if there is one.
func (m *memFS) do(op string, f, lost func()) error {
	if m.watch != nil {
		m.watch(op)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err, persist := m.fail(op); err != nil {
			if persist {
				f()
			} else if lost != nil {
				lost()
			}
			return err
		}
	}
	f()
	return nil
}

// turned notes the names as they are now; they are not durable yet.
func (m *memFS) turned() { m.turns = append(m.turns, maps.Clone(m.files)) }

// look is an operation that changes nothing: a power cut before it is one after the operation before.
func (m *memFS) look(op string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		return nil
	}
	err, _ := m.fail(op)
	return err
}

func (m *memFS) List() ([]string, error) {
	if err := m.look("list"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files)), nil
}

func (m *memFS) Open(name string) (Source, error) {
	if err := m.look("open"); err != nil {
		return nil, err
	}
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
	if err := s.fs.look("read"); err != nil {
		return 0, err
	}
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	return bytes.NewReader(s.f.data).ReadAt(p, off)
}

func (s memSource) Size() (int64, error) {
	if err := s.fs.look("size"); err != nil {
		return 0, err
	}
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	return int64(len(s.f.data)), nil
}

func (s memSource) Close() error { return nil }

func (m *memFS) Create(name string) (File, error) {
	if m.has(name) {
		return nil, fs.ErrExist
	}
	f := &memFile{fs: m}
	err := m.do("create", func() { m.files[name] = f; m.turned() }, nil)
	return f, err
}

func (m *memFS) Reopen(name string) (File, error) {
	if !m.has(name) {
		return nil, fs.ErrNotExist
	}
	return m.files[name], m.do("reopen", func() {}, nil)
}

func (m *memFS) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[name] != nil
}

func (m *memFS) Rename(from, to string) error {
	if !m.has(from) {
		return fs.ErrNotExist
	}
	return m.do("rename", func() { m.files[to] = m.files[from]; delete(m.files, from); m.turned() }, nil)
}

func (m *memFS) Remove(name string) error {
	if !m.has(name) {
		return fs.ErrNotExist
	}
	return m.do("remove", func() { delete(m.files, name); m.turned() }, nil)
}

func (m *memFS) SyncDir() error {
	return m.do("syncdir", func() {
		if !m.lying && !m.loose {
			m.disk, m.turns = maps.Clone(m.files), nil
		}
	}, nil)
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.fs.do("write", func() { f.write(p, off) }, func() {
		if f.fs.short {
			f.write(p[:len(p)/2], off)
		}
	})
	return len(p), err
}

func (f *memFile) write(p []byte, off int64) {
	if grow := int(off) + len(p) - len(f.data); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	copy(f.data[off:], p)
	for s := off / sector; s*sector < off+int64(len(p)); s++ {
		f.dirty = append(f.dirty, s)
	}
}

func (f *memFile) Truncate(size int64) error {
	return f.fs.do("truncate", func() { f.data = resize(f.data[:min(int(size), len(f.data))], int(size)) }, nil)
}

// Sync makes durable what was written since the last one. One that fails forgets what that was, as Linux does: what was
// written stays readable, is not durable, and the next Sync says nothing of it.
func (f *memFile) Sync() error {
	return f.fs.do("sync", func() {
		if !f.fs.lying {
			f.kept = resize(f.kept, len(f.data))
			for _, s := range f.dirty {
				copySector(f.kept, f.data, s)
			}
			f.dirty = nil
		}
	}, func() { f.dirty = nil })
}

func (f *memFile) Close() error { return nil }

func resize(b []byte, n int) []byte {
	out := make([]byte, n)
	copy(out, b)
	return out
}

func copySector(dst, src []byte, s int64) {
	from := min(s*sector, int64(len(dst)), int64(len(src)))
	to := min((s+1)*sector, int64(len(dst)), int64(len(src)))
	copy(dst[from:to], src[from:to])
}

// crash returns what a power cut at this moment leaves.
func (m *memFS) crash(rng *rand.Rand) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := m.disk
	if n := rng.IntN(len(m.turns) + 1); n > 0 {
		names = m.turns[n-1]
	}
	after := newMemFS()
	after.lying = m.lying
	for name, f := range names {
		data := f.afterCut(rng)
		after.files[name] = &memFile{fs: after, data: data, kept: bytes.Clone(data)}
	}
	after.disk = maps.Clone(after.files)
	return after
}

// afterCut is one of the contents that a power cut can leave.
func (f *memFile) afterCut(rng *rand.Rand) []byte {
	size := len(f.kept)
	if len(f.data) != size {
		switch rng.IntN(3) {
		case 0:
			size = len(f.data)
		case 1:
			size = min(len(f.data), len(f.kept)) + rng.IntN(max(len(f.data), len(f.kept))-min(len(f.data), len(f.kept))+1)
		}
	}
	out := resize(f.kept[:min(size, len(f.kept))], size)
	last, scattered := rng.IntN(len(f.dirty)+1), rng.IntN(2) == 0
	for i, s := range f.dirty {
		if scattered && rng.IntN(2) == 0 || !scattered && i < last {
			copySector(out, f.data, s)
		}
	}
	return out
}

// clone returns a copy to damage, all of it durable.
func (m *memFS) clone() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemFS()
	for name, f := range m.files {
		c.put(name, bytes.Clone(f.data))
	}
	return c
}

// put makes a durable file.
func (m *memFS) put(name string, data []byte) {
	m.files[name] = &memFile{fs: m, data: data, kept: bytes.Clone(data)}
	m.disk[name] = m.files[name]
}
