package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"weir"
)

// bigLedger is a ledger of a mebibyte in volumes of 16 KiB, with the checkpoint of all of it.
func bigLedger(t testing.TB) (fsys *memFS, names []string, held weir.Checkpoint) {
	t.Helper()
	fsys = newMemFS()
	k := newKeeper()
	k.expire = 1 // so that the snapshots stay small
	now, running := steadyClock()
	l, err := Open(fsys, k.options(Options{VolumeSize: 16 << 10, Now: now, Running: running}))
	if err != nil {
		t.Fatal(err)
	}
	for n, size := 0, 0; size < 1<<20; n++ {
		o := outcome(fmt.Sprintf("GET /%d", n%5))
		for i := range 30 {
			o.Released = append(o.Released, weir.Record{DataSubject: subject(n, i), Classes: 3})
		}
		if err := k.append(l, o); err != nil {
			t.Fatal(err)
		}
		size += 30*17 + 100
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err = fsys.List()
	if err != nil {
		t.Fatal(err)
	}
	return fsys, names, l.Checkpoint()
}

// verifyPart verifies some volumes as Verify does all, so that a million cases take minutes and not hours. What is before
// the first of them is believed.
func verifyPart(fsys FS, names []string, held *weir.Checkpoint) (noticed bool) {
	r := &reader{fsys: fsys, sum: &Summary{}}
	if held != nil {
		r.opts.RootAt = &held.Size
	}
	if err := r.read(names); err != nil {
		return true
	}
	return len(r.sum.Faults) > 0 || r.sum.Torn > 0 || held != nil && (!r.sum.RootAtOK || r.sum.RootAt != held.Root)
}

// flips changes one bit of every stride-th byte. A verifier sees each in the volume and the opening behind it, without a key
// and, but for the last volume, without a checkpoint.
func flips(y *tally, whole *memFS, names []string, held weir.Checkpoint, stride int, view func(*memFS) FS) {
	for i, name := range names {
		part := newMemFS()
		for _, n := range names[i:min(i+2, len(names))] {
			part.put(n, bytes.Clone(whole.files[n].data))
		}
		var with *weir.Checkpoint
		if i == len(names)-1 {
			with = &held
		}
		data := part.files[name].data
		seen := view(part)
		for at := i % stride; at < len(data); at += stride {
			data[at] ^= 1 << (at % 8)
			problem := ""
			if !verifyPart(seen, names[i:min(i+2, len(names))], with) {
				problem = fmt.Sprintf("%s: byte %d changed and nobody noticed", name, at)
			}
			y.add(problem)
			data[at] ^= 1 << (at % 8)
		}
	}
}

// cuts ends the ledger at every stride-th byte.
func cuts(y *tally, whole *memFS, names []string, held *weir.Checkpoint, stride int) {
	for i, name := range names {
		part := newMemFS()
		part.put(name, nil)
		data := whole.files[name].data
		for at := (i + 1) % stride; at < len(data); at += stride {
			part.files[name].data = data[:at]
			problem := ""
			if !verifyPart(part, names[i:i+1], held) {
				problem = fmt.Sprintf("%s cut at byte %d, and nobody noticed", name, at)
			}
			y.add(problem)
		}
	}
}

// P4: every byte of a mebibyte changed, and every place at which it can end.
func TestEveryByteOfAMebibyte(t *testing.T) {
	whole, names, held := bigLedger(t)
	stride, least := 197, 5_000
	if long() {
		stride, least = 1, 1<<20
	}
	y := &tally{}
	flips(y, whole, names, held, stride, func(m *memFS) FS { return m })
	y.passes(t, "changed bytes", least)
	y = &tally{}
	cuts(y, whole, names, &held, stride)
	y.passes(t, "cuts", least)

	y = &tally{}
	flips(y, whole, names, held, 4999, func(m *memFS) FS { return m.clone() })
	y.caught(t, "a verifier that reads what it read before")
	y = &tally{}
	cuts(y, whole, names, nil, 13)
	y.caught(t, "a verifier that holds no checkpoint")
}

// arrangements are ledgers with whole volumes out of place.
func arrangements(whole *memFS, names []string) map[string]*memFS {
	all := map[string]*memFS{}
	for i, a := range names {
		dropped := whole.clone()
		delete(dropped.files, a)
		all["without "+a] = dropped
		repeated := newMemFS()
		for j, b := range names {
			to := j
			if j > i {
				to++
			}
			repeated.put(volumeName(uint32(to+1)), whole.files[b].data)
		}
		repeated.put(volumeName(uint32(i+2)), whole.files[a].data)
		all["twice "+a] = repeated
		for _, b := range names[i+1:] {
			swapped := whole.clone()
			swapped.files[a], swapped.files[b] = swapped.files[b], swapped.files[a]
			all["swapped "+a+" "+b] = swapped
		}
		if i > 0 {
			old := whole.clone()
			for _, b := range names[i:] {
				delete(old.files, b)
			}
			all["old copy up to "+a] = old
		}
	}
	return all
}

func TestVolumesOutOfPlace(t *testing.T) {
	whole, names, held := bigLedger(t)
	if !long() { // a twentieth of the pairs
		names = slices.Concat(names[:6], names[len(names)-6:])
		small := newMemFS()
		for i := range 12 {
			n := whole.files[volumeName(uint32(i+1))]
			small.put(volumeName(uint32(i+1)), n.data)
			names[i] = volumeName(uint32(i + 1))
		}
		sum, err := Read(small, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		whole, held = small, weir.Checkpoint{Size: sum.Entries, Root: sum.Root}
	}
	y, blind := &tally{}, &tally{}
	for what, fsys := range arrangements(whole, names) {
		for _, who := range []struct {
			y    *tally
			held *weir.Checkpoint
		}{{y, &held}, {blind, nil}} {
			sum, err := Verify(fsys, who.held, false)
			problem := ""
			if err == nil && len(sum.Faults) == 0 {
				problem = what + ": nobody noticed"
			}
			who.y.add(problem)
		}
	}
	least := 80
	if long() {
		least = 2000
	}
	y.passes(t, "volumes swapped, repeated, dropped, old copies", least)
	blind.caught(t, "a verifier that holds no checkpoint")
}

// An owner that keeps the last checkpoint elsewhere does not start on an older copy or a fork, until that is decided; the
// decision is an entry.
func TestOldCopyRefusesToStart(t *testing.T) {
	y, blind := &tally{}, &tally{}
	fsys := newMemFS()
	k := newKeeper()
	l, err := Open(fsys, k.options(Options{VolumeSize: 900}))
	if err != nil {
		t.Fatal(err)
	}
	copies := []*memFS{fsys.clone()}
	for n := range 30 {
		if err := k.append(l, outcome("GET /", subject(1, n))); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, fsys.clone())
	}
	kept := l.Checkpoint()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fork := newMemFS()
	k = newKeeper()
	l, err = Open(fork, k.options(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		if err := k.append(l, outcome("GET /", subject(2, n))); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	copies = append(copies[:30], fork, newMemFS())
	for i, c := range copies {
		for _, who := range []struct {
			y    *tally
			kept *weir.Checkpoint
		}{{y, &kept}, {blind, nil}} {
			l, err := Open(c.clone(), newKeeper().options(Options{Kept: who.kept}))
			problem := ""
			if !errors.Is(err, ErrRollback) {
				problem = fmt.Sprintf("copy %d: started (%v)", i, err)
				if err == nil {
					l.Close()
				}
			}
			who.y.add(problem)
		}
	}
	y.passes(t, "old and forked copies at a start", 32)
	blind.caught(t, "an owner that keeps no checkpoint")

	old := copies[10]
	l, err = Open(old, newKeeper().options(Options{Kept: &kept, AcceptRollback: true}))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	decided := false
	if _, err := Read(old, ReadOptions{Visit: func(e Entry) error {
		d, ok := e.Body.(*Decision)
		decided = decided || ok && d.Ruling == AcceptRollback
		return nil
	}}); err != nil || !decided {
		t.Errorf("the decision is not recorded: %v", err)
	}
	if l, err = Open(fsys, newKeeper().options(Options{Kept: &kept})); err != nil {
		t.Fatalf("the newest copy does not start: %v", err)
	}
	l.Close()
}
