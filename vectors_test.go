package weir

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

var update = flag.Bool("update", false, "write the vectors anew")

const pseudonymVectors = "docs/format/vectors/pseudonyms.json"

// pseudonymVector is a published file: what a seed gives.
type pseudonymVector struct {
	Seed        string `json:"seed"`
	KeyID       string `json:"key_id"`
	VerifierKey string `json:"verifier_key"` // of a guard named guard.example.com
	Pseudonyms  []struct {
		Unit      string `json:"unit,omitempty"`      // of a data subject
		Key       string `json:"key,omitempty"`       // its canonical key
		Principal string `json:"principal,omitempty"` // or a principal's name
		Pseudonym string `json:"pseudonym"`
	} `json:"pseudonyms"`
}

// P3: a ledger must name the same person the same for as long as it is kept.
func TestPseudonymVectors(t *testing.T) {
	raw, err := os.ReadFile(pseudonymVectors)
	if err != nil {
		t.Fatal(err)
	}
	var v pseudonymVector
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	seed, err := hex.DecodeString(v.Seed)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeyring(seed)
	if err != nil {
		t.Fatal(err)
	}
	id := k.ID()
	vkey, err := k.VerifierKey("guard.example.com")
	if err != nil {
		t.Fatal(err)
	}
	got := v
	got.KeyID, got.VerifierKey = hex.EncodeToString(id[:]), vkey
	got.Pseudonyms = slices.Clone(v.Pseudonyms)
	for i, p := range v.Pseudonyms {
		if p.Principal != "" {
			got.Pseudonyms[i].Pseudonym = k.Principal(p.Principal).String()
		} else {
			got.Pseudonyms[i].Pseudonym = k.DataSubject(p.Unit, p.Key).String()
		}
	}
	want, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if want = append(want, '\n'); *update {
		if err := os.WriteFile(pseudonymVectors, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(raw, want) {
		t.Errorf("this version gives\n%s", want)
	}
}

// FuzzCheckpoint: what is read as a checkpoint is printed as it was read, and a note that opens says what was signed.
func FuzzCheckpoint(f *testing.F) {
	k := testKeyring(f, 1)
	signer, err := k.Signer("guard.example.com")
	if err != nil {
		f.Fatal(err)
	}
	signed, err := Checkpoint{Origin: "guard.example.com", Size: 7}.Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(signed))
	f.Add("guard\n0\nAAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		if cp, err := ParseCheckpoint(text); err == nil && (len(text) < len(cp.Text()) || text[:len(cp.Text())] != cp.Text()) {
			t.Errorf("%q is read as %+v", text, cp)
		}
		if cp, err := OpenCheckpoint([]byte(text), k.Verifiers()); err == nil {
			n, err := note.Open(signed, k.Verifiers())
			if err != nil || n.Text != cp.Text() {
				t.Errorf("%q opens as a signed checkpoint", text)
			}
		}
	})
}
