package auditor

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

type vector struct {
	Key        string            `json:"verifier_key"`
	Checkpoint string            `json:"checkpoint"`
	Volumes    map[string][]byte `json:"volumes"`
	Want       struct {
		Entries uint64 `json:"entries"`
		Root    string `json:"root"`
		Reason  string `json:"reason"`
	} `json:"want"`
}

func (v *vector) folder() fstest.MapFS {
	folder := fstest.MapFS{}
	for name, data := range v.Volumes {
		folder[name] = &fstest.MapFile{Data: data}
	}
	return folder
}

func vectors(t testing.TB) map[string]*vector {
	t.Helper()
	files, err := filepath.Glob("../../docs/format/vectors/*-*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d vectors: %v", len(files), err)
	}
	all := map[string]*vector{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := &vector{}
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = v
	}
	return all
}

func TestPublishedVectors(t *testing.T) {
	for name, v := range vectors(t) {
		r, err := Run(v.folder(), Options{Key: v.Key, Checkpoint: v.Checkpoint})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if good := v.Want.Reason == ""; good != (len(r.Faults) == 0) {
			t.Errorf("%s (%s): %v", name, v.Want.Reason, r.Faults)
		} else if good && (r.Entries != v.Want.Entries || hex.EncodeToString(r.Root[:]) != v.Want.Root || r.Signed != r.Volumes) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A verifier key or a checkpoint that cannot be read is no fault of the ledger.
func TestRunRefusesWhatItCannotUse(t *testing.T) {
	v := vectors(t)["good-four-volumes"]
	for what, opts := range map[string]Options{
		"key":                          {Key: "guard+1234"},
		"key with another hash":        {Key: strings.Replace(v.Key, "+", "+0", 1)},
		"checkpoint":                   {Checkpoint: "one line"},
		"checkpoint without signature": {Key: v.Key, Checkpoint: "guard.example.com\n1\nAAAA\n"},
		"checkpoint of another":        {Key: v.Key, Checkpoint: strings.Replace(v.Checkpoint, "guard", "other", 2)},
	} {
		if _, err := Run(v.folder(), opts); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if _, err := Run(fstest.MapFS{}, Options{}); err == nil {
		t.Error("an empty folder passed")
	}
}

// Whatever is in a volume, an audit ends without a panic; what it calls whole is what was written.
func FuzzRun(f *testing.F) {
	v := vectors(f)["good-four-volumes"]
	first, small := v.Volumes["00000001.weir"], vectors(f)["good-compact"].Volumes["00000001.weir"]
	f.Add(first, uint16(300), byte(1), false)
	f.Add(small, uint16(300), byte(1), false)
	f.Add(small, uint16(len(small)-60), byte(1), true)
	f.Add(small, uint16(9), byte(1), true)
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte, mend bool) {
		data = bytes.Clone(data)
		if int(at) < len(data) {
			data[at] ^= flip
		}
		if end := len(data) - 4; end >= 0 && mend { // a compact volume's damage gets past its checksum
			binary.LittleEndian.PutUint32(data[end:], checksum(data[:end]))
		}
		r, err := Run(fstest.MapFS{"00000001.weir": {Data: data}}, Options{Key: v.Key})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) == 0 && r.Signed == 1 && r.Entries > 0 && !signedOpening(data, first) {
			t.Error("another volume than the signed one passed")
		}
	})
}

// signedOpening reports whether a volume, compact or not, has the opening of another one.
func signedOpening(data, first []byte) bool {
	o, err := readOpening(first)
	if err != nil {
		panic(fmt.Sprint("the published vector: ", err))
	}
	live, err := unpack(data)
	return err == nil && bytes.HasPrefix(live, first[:o.size])
}
