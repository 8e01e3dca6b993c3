package exposure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ledger"
)

var tiny = sizes{chunk: 3, bucket: 4, batch: 50, live: 1, list: 4, part: 1}

// filled makes a ledger with some hundred entries over months.
func filled(t testing.TB) (*memLedger, *ledger.Log, *time.Time) {
	led, now := newMemLedger(), start
	log, err := ledger.Open(led, ledger.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		o := disclosed(1+i%3, testRoutes[i%2], testClasses[i%3], i%40, 50+i%7)
		if i%11 == 0 {
			o.Unattached = weir.Unattributed{People: 2, Classes: weir.Set(weir.SSN)}
		}
		if err := log.Append(func(time.Time) []ledger.Body { return []ledger.Body{o} }); err != nil {
			t.Fatal(err)
		}
		now = now.Add(7 * time.Hour)
	}
	return led, log, &now
}

func openedIn(t testing.TB, led ledger.FS, dir string) *Index {
	x, err := Open(Options{Ledger: led, Dir: dir, sizes: tiny})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	return x
}

func sameAsRecount(t testing.TB, x *Index, entries []ledger.Entry) {
	t.Helper()
	one := principal(1)
	for _, q := range []Query{{}, {Principal: &one}, {Route: "GET /b"}, {From: start.Add(1000 * time.Hour), To: start.Add(1500*time.Hour + 1)}} {
		if diff := differs(x, entries, q, 2); diff != "" {
			t.Fatal(diff)
		}
	}
	for n := range 3 {
		if diff := accountingDiffers(x, entries, person(n*20)); diff != "" {
			t.Fatal(diff)
		}
	}
}

// Any one changed byte, and any cut, of any file is found before it can change an answer.
func FuzzDamagedIndex(f *testing.F) {
	led, log, _ := filled(f)
	defer log.Close()
	entries := allEntries(f, led)
	sound := quickDir(f)
	openedIn(f, led, sound).Close()
	names, err := filepath.Glob(filepath.Join(sound, "*[^k]")) // not the lock
	if err != nil || len(names) < 2 {
		f.Fatal(names, err)
	}
	f.Add(uint8(0), uint32(5), uint8(1), false)
	f.Add(uint8(1), uint32(9), uint8(0x80), false)
	f.Add(uint8(1), uint32(1000), uint8(0), true)
	f.Add(uint8(0), uint32(0), uint8(0), true)
	for i := range uint32(40) {
		f.Add(uint8(i), i*487, uint8(1+i%255), i%7 == 0)
	}
	f.Fuzz(func(t *testing.T, file uint8, at uint32, xor uint8, cut bool) {
		dir := quickDir(t)
		if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.Base(names[int(file)%len(names)]))
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		place := int(at) % len(b)
		b[place] ^= xor
		if cut {
			b = b[:place]
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		x := openedIn(t, led, dir)
		defer x.Close()
		sameAsRecount(t, x, entries)
	})
}

// What has a right checksum and makes no sense is refused, without a panic or much memory.
func FuzzPieces(f *testing.F) {
	led, log, _ := filled(f)
	defer log.Close()
	x := openedIn(f, led, "")
	defer x.Close()
	s := x.segs[0]
	add := func(kind uint8, b blob) {
		raw, err := s.read(b, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, slices.Clone(raw))
	}
	add(0, s.chunks[0].blob)
	add(1, s.refs[0].blob)
	add(3, s.all)
	f.Add(uint8(2), s.encodeMeta())
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		switch kind % 4 {
		case 0:
			var c chunk
			if err := c.decode(raw, s.limits()); err == nil {
				c.between(0, 1<<62)
				c.disclosures(0, len(c.millis))
			}
		case 1:
			var p refPage
			p.decode(raw, 0, s.people(), len(s.chunks))
		case 2:
			o := &segment{file: s.file, name: "fuzzed"}
			if err := o.decodeMeta(raw, 1<<20); err == nil {
				o.encodeMeta()
			}
		case 3:
			s.decodeBuckets(raw, 1<<20)
		}
	})
}

// A ledger that lost its last entries in a power cut, and then went another way, is not the one that was read.
func TestLedgerThatWentBack(t *testing.T) {
	led, log, now := filled(t)
	dir := quickDir(t)
	openedIn(t, led, dir).Close()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []int{1, 500} {
		last := led.files["00000001.weir"]
		last.b = last.b[:len(last.b)-lost]
		if lost == 500 { // and nothing was written since: the ledger is shorter
			x := openedIn(t, led, dir)
			sameAsRecount(t, x, allEntries(t, led))
			x.Close()
		}
		l, err := ledger.Open(led, ledger.Options{Now: func() time.Time { return now.Add(time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := l.Append(func(time.Time) []ledger.Body { return []ledger.Body{disclosed(3, "GET /b", testClasses[0], 77, 1)} }); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
		x := openedIn(t, led, dir)
		sameAsRecount(t, x, allEntries(t, led))
		x.Close()
		for name := range led.files { // for the next round
			if name != "00000001.weir" {
				delete(led.files, name)
			}
		}
	}
}

// Beside the owner of the folder, another process answers from the owner's segments and the ledger's end.
func TestReaderBesideOwner(t *testing.T) {
	led, log, now := filled(t)
	defer log.Close()
	dir := quickDir(t)
	owner := openedIn(t, led, dir)
	more := func() {
		*now = now.Add(time.Hour)
		if err := log.Append(func(time.Time) []ledger.Body { return []ledger.Body{disclosed(2, "GET /b", testClasses[1], 99)} }); err != nil {
			t.Fatal(err)
		}
	}
	more()
	reader := openedIn(t, led, dir)
	defer reader.Close()
	if reader.writes() || owner.lock == nil {
		t.Fatal("both own the folder")
	}
	for range 8 {
		more()
		if err := owner.Refresh(t.Context()); err != nil { // merges, and removes what the reader has open
			t.Fatal(err)
		}
		if err := reader.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		sameAsRecount(t, reader, allEntries(t, led))
		sameAsRecount(t, owner, allEntries(t, led))
	}
	// A reader that is far behind waits for the owner, and takes its place when it is gone.
	for range 60 {
		more()
	}
	done := make(chan error)
	go func() { done <- reader.Refresh(context.Background()) }()
	time.Sleep(50 * time.Millisecond)
	if err := owner.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 120 {
		more()
	}
	owner.Close()
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	sameAsRecount(t, reader, allEntries(t, led))
	if !reader.writes() {
		t.Error("nobody owns the folder")
	}
}

// A folder that cannot be written to, as on a copy, is answered from a temporary index, which leaves nothing.
func TestTemporaryIndex(t *testing.T) {
	led, log, _ := filled(t)
	defer log.Close()
	tmp := quickDir(t)
	t.Setenv("TMPDIR", tmp)
	x := openedIn(t, led, "")
	sameAsRecount(t, x, allEntries(t, led))
	if names, _ := os.ReadDir(tmp); len(names) != 1 {
		t.Errorf("%d files", len(names))
	}
	x.Close()
	if names, _ := os.ReadDir(tmp); len(names) != 0 {
		t.Errorf("%d files are left", len(names))
	}
}

// Of a damaged ledger, all that can be read is answered, and the damage told.
func TestDamagedLedger(t *testing.T) {
	led, log, _ := filled(t)
	log.Close()
	led.files["00000001.weir"].b[9000] ^= 1
	x := openedIn(t, led, quickDir(t))
	defer x.Close()
	if err := x.Damage(); err == nil || !strings.Contains(err.Error(), "weir ledger verify") {
		t.Errorf("damage %v", err)
	}
	var entries []ledger.Entry
	sum, err := ledger.Read(led, ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		entries = append(entries, e)
		return nil
	}})
	if err != nil || len(sum.Faults) == 0 || len(entries) < 200 || len(entries) == 300 {
		t.Fatalf("%v, %v, %d entries", err, sum.Faults, len(entries))
	}
	sameAsRecount(t, x, entries)
}

// An index that is made after the first volumes were retired says from where on it answers; one that had read them keeps
// what it knows.
func TestRetiredVolumes(t *testing.T) {
	led, log, _ := filled(t)
	dir := quickDir(t)
	openedIn(t, led, dir).Close()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	later, err := ledger.Open(led, ledger.Options{Now: func() time.Time { return start.Add(5000 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 9 {
		if err := later.Append(func(time.Time) []ledger.Body { return []ledger.Body{disclosed(1, "GET /a", testClasses[0], n, 90)} }); err != nil {
			t.Fatal(err)
		}
	}
	later.Close()
	entries := allEntries(t, led)
	delete(led.files, "00000001.weir")
	x := openedIn(t, led, quickDir(t))
	defer x.Close()
	a := answered(t, x, Query{})
	if a.Begins == 0 || a.Begins > 310 || a.Position != uint64(len(entries)) {
		t.Errorf("the answer covers entries %d to %d", a.Begins, a.Position)
	}
	rest := entries[a.Begins:]
	if diff := differs(x, rest, Query{}, 2); diff != "" {
		t.Error(diff)
	}
	again := openedIn(t, led, dir)
	defer again.Close()
	if again.begins() != 0 && again.begins() != a.Begins {
		t.Errorf("begins with %d", again.begins())
	}
	if diff := differs(again, entries[again.begins():], Query{}, 2); diff != "" {
		t.Error(diff)
	}
}

// An index that proves damaged, and cannot be made anew because the disk fails at any one change of files, says so; once the
// disk works again, it answers all of it.
func TestDiskFailsWhileAnew(t *testing.T) {
	led, log, _ := filled(t)
	defer log.Close()
	entries := allEntries(t, led)
	for works := 0; ; works += 1 + works/4 {
		dir := quickDir(t)
		var disk countdown
		x, err := Open(Options{Ledger: led, Dir: dir, sizes: tiny, fault: disk.fault})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, s := range x.segs {
			if err := os.Truncate(filepath.Join(dir, s.name), 40); err != nil {
				t.Fatal(err)
			}
		}
		disk.set(works)
		ask := x.Answer
		if works%2 == 1 { // whoever comes first makes it anew
			ask = func(Query) (*Answer, error) { return nil, x.Refresh(t.Context()) }
		}
		_, first := x.Answer(Query{})
		_, second := ask(Query{})
		if err := x.People(Query{}, func(*Person) error { return nil }); err != nil && !errors.Is(err, errCrash) {
			t.Fatalf("a list when the disk works %d times: %v", works, err)
		}
		if first != nil && !errors.Is(first, errCrash) || second != nil && !errors.Is(second, errCrash) {
			t.Fatalf("the disk works %d times: %v, then %v", works, first, second)
		}
		if works == 0 && (first == nil || second == nil) {
			t.Error("it was made anew without a disk")
		}
		disk.set(-1)
		if err := x.People(Query{}, func(*Person) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := x.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		sameAsRecount(t, x, entries)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			return
		}
	}
}
