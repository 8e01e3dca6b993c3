package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"weir"
	"weir/internal/auditor"
)

// volumeOf is a volume with these frames and what is behind them.
func volumeOf(t testing.TB, signer note.Signer, tail []byte, frames ...frame) []byte {
	t.Helper()
	b, err := encodeOpening(&header{number: 1, keyID: testRing.ID(), created: time.UnixMilli(1)}, &State{}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		b = appendFrameHead(b, &f)
		b = append(append(b, f.payload...), make([]byte, frameTailSize)...)
	}
	mendChecksums(b)
	return append(b, tail...)
}

// held is a window on a volume in memory.
func held(volume []byte) *window {
	w := &window{}
	w.hold(volume)
	return w
}

// entries makes a frame of bodies that all have the frame's time.
func entries(first uint64, bodies ...[]byte) frame {
	f := frame{first: first, count: uint32(len(bodies)), millis: 1_700_000_000_000}
	for _, b := range bodies {
		f.payload = appendEntry(f.payload, 0, b)
	}
	return f
}

// anyBody is an outcome, often of somebody who was there before, or other bytes, of which some begin as an outcome does.
func anyBody(t *rapid.T) []byte {
	if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		if len(b) > 0 && rapid.Bool().Draw(t, "as an outcome") {
			b[0] = typeOutcome
		}
		return b
	}
	n := rapid.OneOf(rapid.Uint64Max(2), rapid.Uint64())
	o := &Outcome{who: n.Draw(t, "who"), route: n.Draw(t, "route")}
	o.Kind, o.Reason = weir.OutcomeKind(rapid.Byte().Draw(t, "kind")), weir.Reason(rapid.Byte().Draw(t, "reason"))
	o.Observed, o.Status, o.Bytes = rapid.Bool().Draw(t, "observed"), int(n.Draw(t, "status")), int64(n.Draw(t, "bytes"))
	o.Irregular, o.Withheld = uint32(n.Draw(t, "irregular")), int(n.Draw(t, "withheld"))
	o.Unattached = weir.Unattributed{People: int(n.Draw(t, "people")), Classes: weir.ClassSet(n.Draw(t, "unattributed"))}
	for range rapid.IntRange(0, 5).Draw(t, "records") {
		o.Released = append(o.Released, weir.Record{DataSubject: subject(0, rapid.IntRange(0, 9).Draw(t, "person")), Classes: weir.ClassSet(n.Draw(t, "classes"))})
	}
	return o.append(nil)
}

// P4: whatever is in a volume, its compact form gives the very bytes, wherever its chunks end.
func TestCompactGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var frames []frame
		first, millis := uint64(0), rapid.Int64Range(0, 1<<41).Draw(rt, "millis")
		for range rapid.IntRange(0, 6).Draw(rt, "frames") {
			millis += rapid.Int64Range(-10, 1000).Draw(rt, "step")
			f := frame{first: first, count: uint32(rapid.IntRange(1, 5).Draw(rt, "entries")), millis: millis}
			for range f.count {
				f.payload = appendEntry(f.payload, rapid.Uint64Max(1<<40).Draw(rt, "after"), anyBody(rt))
			}
			first += uint64(f.count)
			frames = append(frames, f)
		}
		was := volumeOf(t, nil, rapid.SliceOf(rapid.Byte()).Draw(rt, "tail"), frames...)
		small, err := compact(held(was), rapid.IntRange(1, 40).Draw(rt, "chunk"))
		if err != nil {
			rt.Fatal(err)
		}
		if is, err := expand(small); err != nil || !bytes.Equal(is, was) {
			rt.Fatalf("other bytes: %v", err)
		}
		if err := sameAs(small, held(was)); err != nil {
			rt.Fatal(err)
		}
		for _, other := range [][]byte{was[:len(was)-1], append(bytes.Clone(was), 0)} {
			if sameAs(small, held(other)) == nil {
				rt.Fatal("it was taken for the compact form of other bytes")
			}
		}
	})
}

// mended makes a compact volume's checksum right.
func mended(b []byte) []byte {
	if len(b) >= 4 {
		binary.LittleEndian.PutUint32(b[len(b)-4:], crc(b[:len(b)-4]))
	}
	return b
}

// P4: any byte of a compact volume that is changed is seen, and any cut. Behind a mended checksum it is seen by the chain hash,
// or gives the same live bytes (DEFLATE does not look at all bits), or others that the next opening or the signature contradicts.
func TestEveryByteOfACompactVolume(t *testing.T) {
	fsys := keptLedger(t)
	name := volumeName(2) // it has a torn tail
	was := fsys.files[name].data
	small, err := compact(held(was), 15)
	if err != nil {
		t.Fatal(err)
	}
	same, contradicted := 0, 0
	for at := range small {
		bad := bytes.Clone(small)
		bad[at] ^= 1 << (at % 8)
		if _, err := expand(bad); err == nil {
			t.Errorf("byte %d changed and nobody noticed", at)
		}
		if _, err := expand(bad[:at]); err == nil {
			t.Errorf("cut at %d and nobody noticed", at)
		}
		is, err := expand(mended(bad))
		if whole := auditedWhole(t, bad); at >= 8 && whole != (err == nil) {
			t.Errorf("byte %d changed, with its checksum: %v; whole for the auditor: %v", at, err, whole)
		}
		if at >= len(small)-4 || err == nil && bytes.Equal(is, was) {
			same++
			continue
		}
		if err == nil {
			contradicted++
		}
		fsys.put(name, bad)
		sum, err := (VerifyOptions{Known: testRing.Verifiers()}).Verify(fsys)
		if err != nil || len(sum.Faults) == 0 || sum.Volumes != 4 {
			t.Errorf("byte %d changed, with its checksum: %v, %+v", at, err, sum)
		}
	}
	t.Logf("%d bytes; behind a mended checksum %d gave the same live bytes, %d others", len(small), same, contradicted)
	if contradicted == 0 || same > len(small)/20 {
		t.Error("the changes were not what this test is about")
	}
}

// A compact volume can be read as a live one from any place, and has no more in memory than what it was asked for and a chunk.
func TestCompactSource(t *testing.T) {
	was := randomLedger(t, 1).files[volumeName(1)].data
	small, err := compact(held(was), 50)
	if err != nil {
		t.Fatal(err)
	}
	fsys := newMemFS()
	fsys.put(volumeName(1), small)
	open := func() *compactSource {
		file, err := fsys.Open(volumeName(1))
		if err != nil {
			t.Fatal(err)
		}
		src, err := live(file)
		if err != nil {
			t.Fatal(err)
		}
		return src.(*compactSource)
	}
	rapid.Check(t, func(t *rapid.T) {
		src := open()
		for range 5 {
			at := rapid.IntRange(0, len(was)+10).Draw(t, "at")
			want := was[min(at, len(was)):]
			p := make([]byte, rapid.IntRange(1, 5000).Draw(t, "bytes"))
			n, err := src.ReadAt(p, int64(at))
			if want = want[:min(len(p), len(want))]; !bytes.Equal(p[:n], want) || (err == nil) != (n == len(p)) || err != nil && err != io.EOF {
				t.Fatalf("%d bytes at %d of %d: %d, %v", len(p), at, len(was), n, err)
			}
		}
	})
	src, p, most := open(), make([]byte, 100), 0
	for at := range len(was) / len(p) {
		if _, err := src.ReadAt(p, int64(at*len(p))); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(src.buf))
	}
	if most > len(was)/3 {
		t.Errorf("%d of %d bytes were in memory", most, len(was))
	}
}

// What is not as this program writes it, and what would be too small to be read back in bounds, stays live.
func TestCompactLeavesTheVolume(t *testing.T) {
	long := frame{count: 1, payload: []byte{0x81, 0, 0, 7}} // a length in two bytes that needs one
	more := entries(0, []byte{9})
	more.payload = append(more.payload, 0)
	alike := outcome("GET /", make([]weir.Pseudonym, 200_000)...)
	for what, b := range map[string][]byte{
		"number in a longer form": volumeOf(t, nil, nil, long),
		"bytes behind an entry":   volumeOf(t, nil, nil, more),
		"no whole opening":        volumeOf(t, nil, nil)[:headerSize-1],
		"very much of the same":   volumeOf(t, nil, nil, entries(0, alike.append(nil))),
	} {
		if _, err := compact(held(b), chunkSize); !errors.Is(err, errAsItIs) {
			t.Errorf("%s: %v", what, err)
		}
	}
	fsys := newMemFS()
	other := volumeOf(t, nil, nil, entries(5, []byte{9}), entries(0, bytes.Repeat([]byte{9}, 5000))) // numbered wrongly
	fsys.put(volumeName(1), bytes.Clone(other))
	if done, err := compactVolume(fsys, volumeName(1)); done || err != nil || !bytes.Equal(fsys.files[volumeName(1)].data, other) {
		t.Errorf("a volume of other numbers was replaced: %v, %v", done, err)
	}
}

// lie is a compact volume, right but for what is in its chunk.
func lie(t testing.TB, live uint64, frames uint64, bodies []byte, change func(columns *[columns][]uint64)) []byte {
	t.Helper()
	opening := volumeOf(t, nil, nil)
	p := newPacker(append(make([]byte, compactHead), opening...))
	p.uvarint(frames)
	cols := [columns][]uint64{}
	for i := range cols {
		cols[i] = []uint64{0}
	}
	cols[colEntries], cols[colRecords], cols[colPlace] = []uint64{1}, []uint64{1}, nil
	change(&cols)
	for _, c := range cols {
		p.column(c)
	}
	p.out = append(p.out, bodies...)
	h := compactHeader{live: live, opening: uint32(len(opening)), chain: openingHash(opening)}
	copy(p.out, h.encode())
	return mended(append(p.out, 0, 0, 0, 0))
}

// A compact volume may say what it likes: it is refused, and the memory that this takes is bounded by the bytes that are there.
func TestCompactVolumesThatLie(t *testing.T) {
	somebody := make([]byte, 16)
	most := uint64(mostGrowth) * 300 // as much as they may say
	for what, b := range map[string][]byte{
		"live bytes that are not there": lie(t, most, 1, somebody, func(*[columns][]uint64) {}),
		"more than any volume":          lie(t, mostLive+1, 1, somebody, func(*[columns][]uint64) {}),
		"growth":                        lie(t, mostLive, 1, somebody, func(*[columns][]uint64) {}),
		"no frames":                     lie(t, most, 0, nil, func(c *[columns][]uint64) { clear(c[:]) }),
		"endless frames":                lie(t, most, math.MaxUint64, somebody, func(c *[columns][]uint64) { c[colEntries] = []uint64{0} }),
		"a frame without entries":       lie(t, most, 1, nil, func(c *[columns][]uint64) { clear(c[:]); c[colEntries], c[colStep] = []uint64{0}, []uint64{0} }),
		"endless entries":               lie(t, most, 1, nil, func(c *[columns][]uint64) { c[colEntries], c[colRecords] = []uint64{most / 2}, []uint64{0} }),
		"more entries than bytes":       lie(t, most, 1, nil, func(c *[columns][]uint64) { c[colEntries] = []uint64{most + 1} }),
		"endless records":               lie(t, most, 1, nil, func(c *[columns][]uint64) { c[colRecords] = []uint64{most / 2} }),
		"the same person, for ever": lie(t, most, 1, somebody, func(c *[columns][]uint64) {
			c[colRecords], c[colKnown] = []uint64{30_000}, append([]uint64{0}, ones(29_999)...)
		}),
		"an endless body":          lie(t, most, 1, nil, func(c *[columns][]uint64) { c[colOther] = []uint64{math.MaxUint64} }),
		"a body that is not there": lie(t, most, 1, nil, func(c *[columns][]uint64) { c[colOther] = []uint64{most / 2} }),
		"a kind above 255":         lie(t, most, 1, somebody, func(c *[columns][]uint64) { c[colOutcome] = []uint64{256} }),
		"nobody":                   lie(t, most, 1, nil, func(*[columns][]uint64) {}),
		"somebody who comes later": lie(t, most, 1, somebody, func(c *[columns][]uint64) {
			c[colRecords], c[colKnown], c[colPlace] = []uint64{2}, []uint64{1, 0}, []uint64{0}
		}),
		"known twice": lie(t, most, 1, nil, func(c *[columns][]uint64) {
			c[colRecords], c[colKnown], c[colPlace] = []uint64{2}, []uint64{0, 2}, []uint64{0, 0}
		}),
		"time beyond all": lie(t, most, 1, somebody, func(c *[columns][]uint64) { c[colAfter] = []uint64{1<<40 + 1} }),
	} {
		var err error
		took := allocated(func() { _, err = expand(b) })
		if !errors.Is(err, errCompact) || took > memoryFor(b) {
			t.Errorf("%s: %v; %d bytes allocated for %d", what, err, took, len(b))
		}
		if audited := auditedWhole(t, b); audited {
			t.Errorf("%s: the auditor put it together", what)
		}
	}
}

func ones(n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = 1
	}
	return all
}

// memoryFor is what putting a compact volume together may take: its live form, grown by doubling, a hash of 32 bytes for each
// entry of two, and room for DEFLATE.
func memoryFor(b []byte) uint64 { return 1<<20 + 24*mostGrowth*uint64(len(b)) }

// auditedWhole reports whether the auditor can put a compact volume together.
func auditedWhole(t testing.TB, b []byte) bool {
	t.Helper()
	report, err := auditor.Run(fstest.MapFS{volumeName(1): {Data: b}}, auditor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Faults {
		if strings.Contains(f.What, "cannot be put together") {
			return false
		}
	}
	return true
}

// Whatever is in a compact volume, putting it together ends in bounds, the auditor says the same of it, and what comes of it can
// be made compact again.
func FuzzExpand(f *testing.F) {
	small, err := compact(held(randomLedger(f, 1).files[volumeName(1)].data), 200)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small, uint32(100), byte(1))
	f.Add(small, uint32(len(small)-200), byte(1))
	f.Add(lie(f, 300_000, 1, make([]byte, 16), func(c *[columns][]uint64) { c[colEntries] = []uint64{200} }), uint32(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint32, flip byte) {
		data = bytes.Clone(data)
		if int(at) < len(data) {
			data[at] ^= flip
		}
		mended(data) // let damage get past the checksum
		var live []byte
		var err error
		if took := allocated(func() { live, err = expand(data) }); took > memoryFor(data) {
			t.Errorf("%d bytes allocated for %d", took, len(data))
		}
		if audited := auditedWhole(t, data); isCompact(data) && audited != (err == nil) {
			t.Errorf("%v, but for the auditor it is whole: %v", err, audited)
		}
		if err != nil {
			return
		}
		again, err := compact(held(live), chunkSize)
		if errors.Is(err, errAsItIs) && len(live) > mostGrowth*compactHead || nextFrame(live, int(binary.LittleEndian.Uint64(data[8:]))) >= 0 {
			return // it would be too small, or has a frame of other numbers where none should be
		}
		if err != nil || sameAs(again, held(live)) != nil {
			t.Errorf("what was put together cannot be made compact: %v", err)
		}
	})
}
