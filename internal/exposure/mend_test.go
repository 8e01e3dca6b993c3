package exposure

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/internal/ledger"
)

// A reader that takes over what the owner has written answers no less meanwhile than it did before.
func TestReaderAnswersWhileItTakesOver(t *testing.T) {
	led, log, now := filled(t)
	defer log.Close()
	dir := quickDir(t)
	owner, reader := openedIn(t, led, dir), openedIn(t, led, dir)
	defer owner.Close()
	defer reader.Close()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for last := 0; ; {
			select {
			case <-stop:
				return
			default:
			}
			a, err := reader.Answer(Query{})
			if err != nil || a.Disclosures < last {
				t.Errorf("after %d disclosures: %+v, %v", last, a, err)
				return
			}
			last = a.Disclosures
		}
	}()
	for range 4 {
		for range 120 { // more than a reader keeps in memory
			*now = now.Add(time.Hour)
			if err := log.Append(func(time.Time) []ledger.Body { return []ledger.Body{disclosed(2, "GET /b", testClasses[1], 99)} }); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error)
		go func() { done <- reader.Refresh(context.Background()) }()
		for waits := false; !waits; { // for the owner
			select {
			case err := <-done:
				t.Fatalf("the reader did not wait: %v", err)
			case <-time.After(20 * time.Millisecond):
				waits = true
			}
		}
		if err := owner.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-ended
	sameAsRecount(t, reader, allEntries(t, led))
}

// unreachable is a ledger that for a time cannot be opened, as for want of descriptors.
type unreachable struct {
	*memLedger
	now atomic.Bool
}

func (u *unreachable) List() ([]string, error) {
	if u.now.Load() {
		return nil, syscall.EMFILE
	}
	return u.memLedger.List()
}

func (u *unreachable) Open(name string) (ledger.Source, error) {
	if u.now.Load() {
		return nil, syscall.EMFILE
	}
	return u.memLedger.Open(name)
}

// An index goes on when it could neither write nor read for a time, whatever it was doing then.
func TestGoesOnWithoutDescriptors(t *testing.T) {
	led, log, _ := filled(t)
	defer log.Close()
	for works := range 40 {
		u := &unreachable{memLedger: led}
		var disk countdown
		disk.set(works)
		x, err := Open(Options{Ledger: u, Dir: quickDir(t), sizes: tiny, fault: func(op, name string) error {
			err := disk.fault(op, name)
			if err != nil {
				u.now.Store(true)
			}
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Refresh(t.Context()); err == nil {
			t.Fatalf("after %d changes: no error", works)
		}
		u.now.Store(false)
		disk.set(-1)
		if err := x.Refresh(t.Context()); err != nil {
			t.Fatalf("after %d changes: %v", works, err)
		}
		sameAsRecount(t, x, allEntries(t, led))
		x.Close()
	}
}

// However often a disk fails, what is left of it goes once the disk works.
func TestFailuresLeaveNoFiles(t *testing.T) {
	led, log, _ := filled(t)
	defer log.Close()
	for _, failing := range []struct{ op, name string }{{"sync", ".seg"}, {"rename", ".seg"}, {"syncdir", ""}, {"create", manifestName}, {"sync", manifestName}, {"rename", manifestName}} {
		dir, broken := quickDir(t), atomic.Bool{}
		broken.Store(true)
		x, err := Open(Options{Ledger: led, Dir: dir, sizes: tiny, fault: func(op, name string) error {
			if broken.Load() && op == failing.op && (name == failing.name || filepath.Ext(name) == failing.name) {
				return syscall.ENOSPC
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := x.Refresh(t.Context()); err == nil {
				t.Fatalf("%v: no error", failing)
			}
		}
		broken.Store(false)
		if err := x.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		sameAsRecount(t, x, allEntries(t, led))
		if files, err := filepath.Glob(filepath.Join(dir, "*.seg*")); err != nil || len(files) != len(x.segs) {
			t.Errorf("%v: %d files for %d segments, %v", failing, len(files), len(x.segs), err)
		}
		x.Close()
	}
}

// Much that was read anew ends as few segments, also where next to nothing follows it.
func TestFewSegmentsAfterCatchUp(t *testing.T) {
	led, log, _ := filled(t)
	defer log.Close()
	sz := tiny
	sz.batch, sz.live = 10, 1000
	x, err := Open(Options{Ledger: led, Dir: quickDir(t), sizes: sz})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(x.segs) > 2 {
		t.Errorf("%d segments", len(x.segs))
	}
	sameAsRecount(t, x, allEntries(t, led))
}

// Times that no ledger has, under checksums that are right, are found; they neither end the process nor keep it for ever.
func TestSenselessTimes(t *testing.T) {
	for what, edit := range map[string]func(*chunk){
		"far apart":            func(c *chunk) { c.millis[1] = c.millis[0] + 1<<62 },
		"at the end of time":   func(c *chunk) { c.millis[1] = 1<<63 - 1 },
		"behind the chunk's":   func(c *chunk) { c.millis[1] += dayMillis },
		"before the chunk's":   func(c *chunk) { c.millis[0]-- },
		"back by way of 2^64":  func(c *chunk) { c.millis[1] = c.millis[0] - 1 },
		"so far that it wraps": func(c *chunk) { c.millis[1] = c.millis[0] + 1<<63 },
	} {
		x := resealed(t, edit)
		if err := newLister(x, Query{}, func(*Person) error { return nil }).run(); !errors.Is(err, errDoubt) {
			t.Errorf("%s: a list: %v", what, err)
		}
		if err := x.merged(x.merge(0)); !errors.Is(err, errDoubt) {
			t.Errorf("%s: a merge: %v", what, err)
		}
	}
}

// resealed returns an index of which one chunk was changed, and every checksum made to fit.
func resealed(t *testing.T, edit func(*chunk)) *Index {
	t.Helper()
	led, log, _ := filled(t)
	defer log.Close()
	dir := quickDir(t)
	x := openedIn(t, led, dir)
	name := x.segs[0].name
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	s, err := openSegment(path, name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.file.Close()
	var r chunkReader
	c, err := r.read(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	edit(c)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	whole = whole[:le.Uint64(whole[len(whole)-segmentFooter:])] // without meta
	raw := appendChunk(nil, c)
	s.chunks[1].blob = blob{int64(len(whole)), uint32(len(raw)), crc32.Checksum(raw, castagnoli)}
	whole = append(whole, raw...)
	meta := s.encodeMeta()
	foot := le.AppendUint32(le.AppendUint32(le.AppendUint64(nil, uint64(len(whole))), uint32(len(meta))), crc32.Checksum(meta, castagnoli))
	whole = append(append(append(whole, meta...), foot...), segmentMagic...)
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	d := folder{path: dir}
	m, err := d.readManifest()
	if err != nil {
		t.Fatal(err)
	}
	m.Segments[0].Size = int64(len(whole))
	if err := d.writeManifest(m); err != nil {
		t.Fatal(err)
	}
	x = openedIn(t, led, dir)
	t.Cleanup(func() { x.Close() })
	if x.segs[0].name != name {
		t.Fatal("the changed index was not opened")
	}
	return x
}
