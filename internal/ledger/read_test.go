package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"weir"
)

// sampleLedger has three volumes, the first with a sealed torn tail.
func sampleLedger(t *testing.T) *memFS {
	t.Helper()
	fsys := newMemFS()
	for life := range 3 {
		l := mustOpen(t, fsys, Options{})
		for n := range 3 {
			if err := appendOne(l, outcome("GET /", subject(life, n), subject(life, n+1)), &Block{Principal: weir.Pseudonym{1}, Cause: ByQuota, Quota: 5}); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
		if life == 0 {
			first := fsys.files[volumeName(1)]
			first.data = append(first.data, frameMagic+"torn"...)
		}
	}
	return fsys
}

// P4: any one byte changed anywhere, the sealed tail included, is a fault; so is any cut.
func TestVerifySeesEveryChangedByte(t *testing.T) {
	whole := sampleLedger(t)
	sum, err := Verify(whole, nil, false)
	if err != nil || len(sum.Faults) > 0 || sum.Sealed != 8 {
		t.Fatalf("%v, %v, %d sealed", err, sum.Faults, sum.Sealed)
	}
	for name, f := range whole.files {
		for at := range f.data {
			damaged := whole.clone()
			damaged.files[name].data[at] ^= 0x10
			sum, err := Verify(damaged, nil, false)
			if err == nil && len(sum.Faults) == 0 {
				t.Errorf("%s: byte %d changed and nobody noticed", name, at)
			}
			if name != volumeName(3) {
				if refusesAppends(t, damaged) == nil {
					t.Errorf("%s: byte %d changed and the ledger took appends", name, at)
				}
			}
		}
		for _, cut := range []int{1, 8, 9, 60} {
			damaged := whole.clone()
			d := damaged.files[name]
			d.data = d.data[:len(d.data)-cut]
			if sum, err := Verify(damaged, nil, false); err == nil && len(sum.Faults) == 0 {
				t.Errorf("%s: the last %d bytes are gone and nobody noticed", name, cut)
			}
		}
	}
	for _, gone := range []uint32{1, 2} {
		damaged := whole.clone()
		delete(damaged.files, volumeName(gone))
		if sum, err := Verify(damaged, nil, false); err != nil || len(sum.Faults) == 0 {
			t.Errorf("volume %d is gone and nobody noticed: %v", gone, err)
		}
	}
}

// refusesAppends returns the error with which a damaged ledger refuses to be opened, or refuses appends once the volumes
// behind which it was opened have been read.
func refusesAppends(t *testing.T, fsys FS) error {
	t.Helper()
	l, err := Open(fsys, small(Options{}))
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.CheckClosed(); err == nil {
		return nil
	}
	return appendOne(l, &Unblock{})
}

// What the chain within the ledger cannot show, a checkpoint that somebody holds does: a rollback and a rewritten past.
func TestCheckpointSeesRollbackAndFork(t *testing.T) {
	fsys := newMemFS()
	l := mustOpen(t, fsys, Options{})
	if err := appendOne(l, outcome("GET /", subject(1, 1))); err != nil {
		t.Fatal(err)
	}
	early := l.Checkpoint()
	before := fsys.clone()
	if err := appendOne(l, outcome("GET /", subject(1, 2))); err != nil {
		t.Fatal(err)
	}
	l.Close()
	late := l.Checkpoint()

	faults := func(fsys FS, held weir.Checkpoint) int {
		sum, err := Verify(fsys, &held, false)
		if err != nil {
			t.Fatal(err)
		}
		return len(sum.Faults)
	}
	if n := faults(fsys, early) + faults(fsys, late); n != 0 {
		t.Errorf("an honest ledger has %d faults", n)
	}
	if faults(before, late) == 0 {
		t.Error("a rollback was not noticed")
	}
	forked := newMemFS()
	f := mustOpen(t, forked, Options{})
	for n := range 2 {
		if err := appendOne(f, outcome("GET /", subject(2, n))); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	if faults(forked, late) == 0 || faults(forked, early) == 0 {
		t.Error("a fork was not noticed")
	}
}

// Damage in the middle keeps the entries behind it readable.
func TestReadGoesOnBehindDamage(t *testing.T) {
	fsys := sampleLedger(t)
	all := people(t, fsys.clone())
	second := fsys.files[volumeName(2)].data
	second[firstFrame(t, second)+frameHeadSize+3] ^= 1
	seen := map[weir.Pseudonym]bool{}
	sum, err := Read(fsys, ReadOptions{Visit: func(e Entry) error {
		if o, ok := e.Body.(*Outcome); ok {
			for _, r := range o.Released {
				seen[r.DataSubject] = true
			}
		}
		return nil
	}})
	if err != nil || len(sum.Faults) == 0 || !strings.HasPrefix(sum.Faults[0].Volume, "00000002") {
		t.Fatal(err, sum.Faults)
	}
	// The damaged frame also held the volume's only route name, so the two outcomes behind it stay unread in that volume;
	// those of the volume after it do not.
	if !seen[subject(0, 0)] || !seen[subject(2, 3)] || len(seen) >= len(all) {
		t.Errorf("%d of %d people are readable", len(seen), len(all))
	}
	if err := refusesAppends(t, fsys); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged ledger opened: %v", err)
	}
}

func TestOpenRefusesNewerFormatAndOtherKey(t *testing.T) {
	fsys := sampleLedger(t)
	if _, err := Open(fsys, Options{KeyID: [16]byte{8}, Ahead: 1000}); !errors.Is(err, ErrKey) {
		t.Errorf("another key: %v", err)
	}
	if n := len(fsys.files); n != 3 {
		t.Errorf("the refused start left %d files", n)
	}
	head := fsys.files[volumeName(3)].data[:headerSize]
	binary.LittleEndian.PutUint16(head[8:], Version+1)
	binary.LittleEndian.PutUint32(head[headerSize-4:], crc(head[:headerSize-4]))
	if _, err := Open(fsys, small(Options{})); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
	if _, err := Read(fsys, ReadOptions{}); !errors.Is(err, ErrNewer) {
		t.Errorf("reading a newer format: %v", err)
	}
}

func TestReadWithoutFolder(t *testing.T) {
	if _, err := Read(Dir(filepath.Join(t.TempDir(), "none")), ReadOptions{}); err == nil {
		t.Error("a missing folder was read")
	}
}

func TestEntriesRoundTrip(t *testing.T) {
	known := &names{routes: []RouteName{{"GET /a", "account"}, {"GET /b", "line"}}, principals: []weir.Pseudonym{{7}}}
	anyPseudonym := rapid.Custom(func(t *rapid.T) weir.Pseudonym {
		return weir.Pseudonym(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "p"))
	})
	count := rapid.IntRange(0, 1<<40)
	anyBody := rapid.Custom(func(t *rapid.T) Body {
		switch rapid.IntRange(0, 4).Draw(t, "type") {
		case 0:
			return &Unblock{Principal: anyPseudonym.Draw(t, "who")}
		case 1:
			return &Mode{Route: rapid.String().Draw(t, "route"), Observe: rapid.Bool().Draw(t, "observe")}
		case 2:
			return &RouteName{Pattern: rapid.String().Draw(t, "route"), Unit: rapid.StringMatching("[a-z]{0,32}").Draw(t, "unit")}
		case 3:
			return &Block{Principal: anyPseudonym.Draw(t, "who"), Cause: ByHand, People: count.Draw(t, "people"), Quota: count.Draw(t, "quota"), Window: time.Duration(rapid.IntRange(0, 1<<30).Draw(t, "ms")) * time.Millisecond}
		}
		o := &Outcome{Outcome: weir.Outcome{
			Kind: weir.Disclosed, Reason: weir.Reason(rapid.Byte().Draw(t, "reason")), Observed: rapid.Bool().Draw(t, "observed"),
			Principal: weir.Pseudonym{7}, Route: "GET /b", Unit: "line", Status: count.Draw(t, "status"), Bytes: int64(count.Draw(t, "bytes")),
			Irregular: rapid.Uint32().Draw(t, "irregular"), Withheld: count.Draw(t, "withheld"),
			Unattached: weir.Unattributed{People: count.Draw(t, "unattributed"), Classes: weir.ClassSet(rapid.Uint64().Draw(t, "classes"))},
		}, route: 1}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			o.Released = append(o.Released, weir.Record{DataSubject: anyPseudonym.Draw(t, "person"), Classes: weir.ClassSet(rapid.Uint64().Draw(t, "classes"))})
		}
		return o
	})
	rapid.Check(t, func(t *rapid.T) {
		want := anyBody.Draw(t, "body")
		raw := want.append(nil)
		got, err := decodeBody(raw, known)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(Outcome{})); diff != "" {
			t.Fatal(diff)
		}
		if short, err := decodeBody(raw[:len(raw)-1], known); err == nil && bytes.Equal(short.append(nil), raw) {
			t.Fatal("an entry without its last byte reads the same")
		}
	})
}

// Whatever is in the files, reading ends without a panic and never runs past them.
func FuzzRead(f *testing.F) {
	fsys := newMemFS()
	l, err := Open(fsys, small(Options{}))
	if err != nil {
		f.Fatal(err)
	}
	for n := range 3 {
		if err := appendOne(l, outcome("GET /", subject(1, n))); err != nil {
			f.Fatal(err)
		}
	}
	l.Close()
	seed := fsys.files[volumeName(1)].data
	f.Add(seed, uint16(3), byte(1), true)
	f.Add([]byte(volumeMagic), uint16(0), byte(0), false)
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte, mend bool) {
		data = bytes.Clone(data)
		if int(at) < len(data) {
			data[at] ^= flip
		}
		if mend { // let damage get past the checksums, to the decoders
			mendChecksums(data)
		}
		m := newMemFS()
		m.put(volumeName(1), data)
		entries := uint64(0)
		sum, err := Read(m, ReadOptions{Visit: func(Entry) error { entries++; return nil }})
		if err == nil && len(sum.Faults) == 0 && entries != sum.Entries {
			t.Errorf("visited %d entries of %d", entries, sum.Entries)
		}
	})
}

// mendChecksums makes every checksum and chain hash of a volume right again.
func mendChecksums(b []byte) {
	le := binary.LittleEndian
	if len(b) < headerSize {
		return
	}
	le.PutUint32(b[headerSize-4:], crc(b[:headerSize-4]))
	h, err := decodeHeader(b)
	at := h.openingSize()
	if err != nil || at > len(b) {
		return
	}
	le.PutUint32(b[at-4:], crc(b[headerSize:at-4]))
	chain := openingHash(b)
	var sums hashing
	for len(b)-at >= frameHeadSize+frameTailSize {
		size := frameSize(b[at:])
		if size > len(b)-at {
			return
		}
		sums.begin(0, &chain, b[at:], size)
		base := int64(le.Uint64(b[at+20:]))
		payload := b[at+frameHeadSize : at+size-frameTailSize]
		for seq := le.Uint64(b[at+8:]); ; seq++ {
			body, millis, rest, ok := nextEntry(payload, base)
			if !ok {
				break
			}
			sums.entry(seq, millis, body)
			payload = rest
		}
		sums.finish()
		chain = sums.frames[0].chain
		sums.reset()
		copy(b[at+size-frameTailSize:], chain[:])
		le.PutUint32(b[at+size-4:], crc(b[at:at+size-4]))
		at += size
	}
}

// firstFrame is where a volume's first frame begins.
func firstFrame(t *testing.T, volume []byte) int {
	t.Helper()
	h, err := decodeHeader(volume)
	if err != nil {
		t.Fatal(err)
	}
	return h.openingSize()
}

// The same on the real file system, with the lock.
func TestOnDisk(t *testing.T) {
	path := t.TempDir()
	lock, err := AcquireLock(path, "weir serve, process 42, listening on 127.0.0.1:8081")
	if err != nil {
		t.Fatal(err)
	}
	var owned *OwnedError
	if _, err := AcquireLock(path, "second"); !errors.As(err, &owned) || !strings.Contains(err.Error(), "process 42") {
		t.Errorf("second owner: %v", err)
	}
	if held, err := Owned(path); err != nil || held == nil || held.Owner != owned.Owner {
		t.Errorf("owned: %v, %v", held, err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	want := 0
	for range 3 {
		l := mustOpen(t, Dir(path), Options{})
		for range 1 + rng.IntN(5) {
			if err := appendOne(l, outcome("GET /", subject(2, want))); err != nil {
				t.Fatal(err)
			}
			want++
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(people(t, Dir(path))); got != want {
		t.Errorf("%d people, want %d", got, want)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if held, err := Owned(path); err != nil || held != nil {
		t.Errorf("after release, owned: %v, %v", held, err)
	}
}
