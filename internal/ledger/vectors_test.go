package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/sumdb/note"

	"weir"
	"weir/internal/auditor"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../docs/format/vectors"

// A vector is a whole ledger, and what a verifier must say of it.
type vector struct {
	Description string            `json:"description"`
	Key         string            `json:"verifier_key"`
	Checkpoint  string            `json:"checkpoint,omitempty"` // held by the verifier
	Volumes     map[string][]byte `json:"volumes"`              // base64
	Want        vectorWant        `json:"want"`
}

type vectorWant struct {
	Entries uint64 `json:"entries,omitempty"`
	Root    string `json:"root,omitempty"`
	Reason  string `json:"reason,omitempty"`  // why it must fail; absent: it must not
	Volume  string `json:"volume,omitempty"`  // where the first fault is, or it is at the end of the volume before, which then do not fit
	Recount bool   `json:"recount,omitempty"` // only who recounts the live state sees it
}

func (v *vector) folder() (*memFS, fstest.MapFS) {
	own, other := newMemFS(), fstest.MapFS{}
	for name, data := range v.Volumes {
		own.put(name, bytes.Clone(data))
		other[name] = &fstest.MapFile{Data: data}
	}
	return own, other
}

// damage is a way in which a ledger must not pass.
type damage struct {
	name, description string
	volume            string
	recount           bool
	do                func(t *testing.T, fsys *memFS) (checkpoint string)
}

func damages() []damage {
	flip := func(n uint32, behindOpening int, mend bool) func(*testing.T, *memFS) string {
		return func(t *testing.T, fsys *memFS) string {
			b := fsys.files[volumeName(n)].data
			b[firstFrame(t, b)+behindOpening] ^= 1
			if mend {
				mendChecksums(b)
			}
			return ""
		}
	}
	return []damage{
		{"flipped-byte", "one bit of an entry differs", volumeName(2), false, flip(2, frameHeadSize+4, false)},
		{"rewritten-entry", "an entry was changed, and all checksums and chain hashes of its volume made right again", volumeName(2), false, flip(1, frameHeadSize+8, true)},
		{"time-goes-back", "the first frame's time is later than the next one's, chain made right again", volumeName(4), false, flip(4, 24, true)},
		{"cut-tail", "the last frame of a volume in the middle is gone", volumeName(2), false, func(_ *testing.T, fsys *memFS) string {
			f := fsys.files[volumeName(1)]
			f.data = f.data[:len(f.data)-70]
			return ""
		}},
		{"dropped-volume", "a volume in the middle is missing", volumeName(3), false, func(_ *testing.T, fsys *memFS) string {
			delete(fsys.files, volumeName(2))
			return ""
		}},
		{"dropped-first-volume", "the first volume is missing and was not retired", volumeName(2), false, func(_ *testing.T, fsys *memFS) string {
			delete(fsys.files, volumeName(1))
			return ""
		}},
		{"swapped-volumes", "two volumes have each other's names", volumeName(2), false, func(_ *testing.T, fsys *memFS) string {
			a, b := fsys.files[volumeName(2)], fsys.files[volumeName(3)]
			a.data, b.data = b.data, a.data
			return ""
		}},
		{"repeated-volume", "the last volume is there twice", volumeName(5), false, func(_ *testing.T, fsys *memFS) string {
			fsys.put(volumeName(5), bytes.Clone(fsys.files[volumeName(4)].data))
			return ""
		}},
		{"changed-seal", "a byte of the sealed torn tail differs", volumeName(3), false, func(_ *testing.T, fsys *memFS) string {
			b := fsys.files[volumeName(2)].data
			b[len(b)-1] ^= 1
			return ""
		}},
		{"unsigned", "a volume's opening is signed with another key", volumeName(4), false, func(t *testing.T, fsys *memFS) string {
			resign(t, fsys, 4, otherSigner(t), func(*header, *State) {})
			return ""
		}},
		{"rollback", "the ledger lacks entries that the checkpoint has", volumeName(3), false, func(t *testing.T, fsys *memFS) string {
			cp := signedCheckpoint(t, fsys)
			delete(fsys.files, volumeName(4))
			return cp
		}},
		{"fork", "the ledger was written anew, with other people, behind the same key", volumeName(1), false, func(t *testing.T, fsys *memFS) string {
			cp := signedCheckpoint(t, fsys)
			clear(fsys.files)
			k := newKeeper()
			now, running := steadyClock()
			l, err := Open(fsys, k.options(Options{Now: now, Running: running}))
			if err != nil {
				t.Fatal(err)
			}
			for n := range 40 {
				if err := k.append(l, outcome("GET /", subject(9, n))); err != nil {
					t.Fatal(err)
				}
			}
			l.Close()
			return cp
		}},
		{"compact-flipped-byte", "one bit of a compact volume differs", volumeName(2), false, func(t *testing.T, fsys *memFS) string {
			b := makeCompact(t, fsys, 2)
			b[len(b)/2] ^= 1
			return ""
		}},
		{"compact-cut", "the last bytes of a compact volume are gone", volumeName(2), false, func(t *testing.T, fsys *memFS) string {
			b := makeCompact(t, fsys, 2)
			fsys.put(volumeName(2), mended(b[:len(b)-20]))
			return ""
		}},
		{"compact-growth", "a compact volume says that it stands for more than 2048 times its length", volumeName(2), false, func(t *testing.T, fsys *memFS) string {
			b := makeCompact(t, fsys, 2)
			binary.LittleEndian.PutUint64(b[8:], mostGrowth*uint64(len(b)))
			mended(b)
			return ""
		}},
		{"compact-other-tail", "the tail of a compact volume is another, with its checksum made right again", volumeName(3), false, func(t *testing.T, fsys *memFS) string {
			b := fsys.files[volumeName(2)].data
			b[len(b)-1] ^= 1
			makeCompact(t, fsys, 2)
			return ""
		}},
		{"compact-rewritten", "an entry was changed, all made right again, and the volume made compact", volumeName(2), false, func(t *testing.T, fsys *memFS) string {
			flip(1, frameHeadSize+8, true)(t, fsys)
			makeCompact(t, fsys, 1)
			return ""
		}},
		{"compact-forged", "a compact volume gives other frames than the next volume's opening is of", volumeName(2), false, func(t *testing.T, fsys *memFS) string {
			b := volumeOf(t, testSigner, nil, entries(0, outcome("GET /").append(nil)))
			fsys.put(volumeName(1), b)
			makeCompact(t, fsys, 1)
			return ""
		}},
		{"forgotten-person", "a snapshot, signed with the right key, lacks a person whom a principal received", volumeName(4), true, func(t *testing.T, fsys *memFS) string {
			resign(t, fsys, 4, testSigner, func(_ *header, s *State) { s.Principals[0].Members = s.Principals[0].Members[1:] })
			return ""
		}},
		{"lifted-block", "a snapshot, signed with the right key, lacks a block", volumeName(3), true, func(t *testing.T, fsys *memFS) string {
			delete(fsys.files, volumeName(4))
			resign(t, fsys, 3, testSigner, func(_ *header, s *State) { s.Principals[1].Blocked = nil })
			return ""
		}},
	}
}

// makeCompact gives a volume its compact form, in several chunks.
func makeCompact(t *testing.T, fsys *memFS, n uint32) []byte {
	t.Helper()
	b, err := compact(held(fsys.files[volumeName(n)].data), 15)
	if err != nil {
		t.Fatal(err)
	}
	fsys.put(volumeName(n), b)
	return b
}

func otherSigner(t *testing.T) note.Signer {
	ring, err := weir.NewKeyring(bytes.Repeat([]byte{2}, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ring.Signer("guard.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// resign gives a volume another opening and makes the rest of it fit.
func resign(t *testing.T, fsys *memFS, n uint32, signer note.Signer, change func(*header, *State)) {
	t.Helper()
	f := fsys.files[volumeName(n)]
	o, err := decodeOpening(f.data)
	if err != nil {
		t.Fatal(err)
	}
	h := o.header
	change(&h, o.state)
	raw, err := encodeOpening(&h, o.state, signer)
	if err != nil {
		t.Fatal(err)
	}
	f.data = append(raw, f.data[len(o.raw):]...)
	mendChecksums(f.data)
}

func signedCheckpoint(t *testing.T, fsys *memFS) string {
	t.Helper()
	sum, err := Read(fsys, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := weir.Checkpoint{Origin: "guard.example.com", Size: sum.Entries, Root: sum.Root}.Sign(testSigner)
	if err != nil {
		t.Fatal(err)
	}
	return string(msg)
}

func (v *vector) take(fsys *memFS) {
	v.Key, v.Volumes = testKey, map[string][]byte{}
	for name, f := range fsys.files {
		v.Volumes[name] = f.data
	}
}

// makeVectors are all vectors by name.
func makeVectors(t *testing.T) map[string]*vector {
	whole := keptLedger(t)
	sum, err := Read(whole, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	good := &vector{Description: "four volumes with every type of entry; the torn tail of the second is sealed", Checkpoint: signedCheckpoint(t, whole)}
	good.Want = vectorWant{Entries: sum.Entries, Root: fmt.Sprintf("%x", sum.Root)}
	good.take(whole)
	all := map[string]*vector{"good-four-volumes": good}
	closed := whole.clone()
	for n := uint32(1); n < 4; n++ {
		makeCompact(t, closed, n)
	}
	small := &vector{Description: "the same four volumes, all but the last compact", Checkpoint: good.Checkpoint, Want: good.Want}
	small.take(closed)
	all["good-compact"] = small
	for _, d := range damages() {
		fsys := whole.clone()
		v := &vector{Description: d.description, Want: vectorWant{Reason: d.description, Volume: d.volume, Recount: d.recount}}
		v.Checkpoint = d.do(t, fsys)
		v.take(fsys)
		all["bad-"+d.name] = v
	}
	return all
}

// The published vectors: what this package says of each, and what the auditor says, who shares no code with it.
func TestVectors(t *testing.T) {
	made := makeVectors(t)
	if *update {
		if err := os.MkdirAll(vectorDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, v := range made {
			b, err := json.MarshalIndent(v, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(vectorDir, name+".json"), append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(vectorDir, "*-*.json"))
	if err != nil || len(files) != len(made) {
		t.Fatalf("%d vectors are published, %d are made: %v", len(files), len(made), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v vector
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			for volume, data := range made[name].Volumes {
				if !bytes.Equal(plain(data), plain(v.Volumes[volume])) {
					t.Fatalf("the published %s is not what this version writes", volume)
				}
			}
			v.check(t)
		})
	}
}

// plain is the live form of a volume, nothing of one that cannot be had again: DEFLATE may be written in many ways.
func plain(b []byte) []byte {
	if !isCompact(b) {
		return b
	}
	live, err := expand(b)
	if err != nil {
		return nil
	}
	return live
}

func (v *vector) check(t *testing.T) {
	own, other := v.folder()
	opts := VerifyOptions{Known: testRing.Verifiers()}
	if v.Checkpoint != "" {
		cp, err := weir.OpenCheckpoint([]byte(v.Checkpoint), opts.Known)
		if err != nil {
			t.Fatal(err)
		}
		opts.Held = &cp
	}
	sum, err := opts.Verify(own)
	if err != nil {
		t.Fatal(err)
	}
	report, err := auditor.Run(other, auditor.Options{Key: v.Key, Checkpoint: v.Checkpoint})
	if err != nil {
		t.Fatal(err)
	}
	if v.Want.Reason == "" {
		if len(sum.Faults) > 0 || len(report.Faults) > 0 {
			t.Errorf("a good ledger has faults: %v, %v", sum.Faults, report.Faults)
		}
		if sum.Entries != v.Want.Entries || report.Entries != v.Want.Entries || fmt.Sprintf("%x", sum.Root) != v.Want.Root || report.Root != sum.Root {
			t.Errorf("entries or root: %+v, %+v, want %+v", sum, report, v.Want)
		}
		return
	}
	if !v.Want.Recount && (len(sum.Faults) == 0 || !v.Want.at(sum.Faults[0].Volume)) {
		t.Errorf("verify: %v, want a fault in %s", sum.Faults, v.Want.Volume)
	}
	if len(report.Faults) == 0 || !v.Want.at(report.Faults[0].File) {
		t.Errorf("audit: %v, want a fault in %s", report.Faults, v.Want.Volume)
	}
}

func (w *vectorWant) at(volume string) bool {
	wanted, _ := volumeNumber(w.Volume)
	got, _ := volumeNumber(volume)
	return got == wanted || got+1 == wanted
}

// The auditor sees any one bit changed anywhere, in every volume.
func TestAuditorSeesEveryChangedByte(t *testing.T) {
	whole := keptLedger(t)
	for name, f := range whole.files {
		for at := range f.data {
			damaged := fstest.MapFS{}
			for other, g := range whole.files {
				data := g.data
				if other == name {
					data = bytes.Clone(data)
					data[at] ^= 1 << (at % 8)
				}
				damaged[other] = &fstest.MapFile{Data: data}
			}
			if report, err := auditor.Run(damaged, auditor.Options{Key: testKey}); err == nil && len(report.Faults) == 0 {
				t.Errorf("%s: byte %d changed and the auditor did not notice", name, at)
			}
		}
	}
}
