package exposure

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

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

// alike returns where the newest segments of about one size begin, none larger than mergeAtOnce/2 of the last, if they are
// mergeAtOnce or more.
func (x *Index) alike() int {
	from := len(x.segs)
	for from > 0 && x.segs[from-1].events <= mergeAtOnce/2*max(1, x.segs[len(x.segs)-1].events) {
		from--
	}
	if len(x.segs)-from < mergeAtOnce {
		return len(x.segs)
	}
	return from
}

// A merging writes segments as one, while others may be added behind them.
type merging struct {
	from int // the place of the first
	old  []*segment
	done chan struct{} // closed when these are set:
	made *segment
	err  error
}

// merge begins to merge the segments from one on; merged must be called for it.
func (x *Index) merge(from int) *merging {
	m := &merging{from: from, old: x.segs[from:], done: make(chan struct{})}
	go func() {
		defer close(m.done)
		m.made, m.err = x.write(m.old[0].from, m.old[len(m.old)-1].to, newTables(), func(w *segmentWriter) error { return merge(w, m.old) })
	}()
	return m
}

func (m *merging) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// merged waits for the end of a merging, and puts what was made in the place of the segments.
func (x *Index) merged(m *merging) error {
	if <-m.done; m.err != nil {
		return m.err
	}
	segs := slices.Concat(x.segs[:m.from], []*segment{m.made}, x.segs[m.from+len(m.old):])
	if err := x.install(segs, x.expect); err != nil {
		return errors.Join(err, m.made.file.Close())
	}
	x.mu.Lock()
	x.segs = segs
	x.mu.Unlock()
	errs := []error{closeAll(m.old)}
	for _, o := range m.old {
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
