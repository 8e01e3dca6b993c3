package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"weir"
	"weir/internal/guard"
)

// A statement is checked by somebody who has a copy of the ledger and the guard's public key, and nothing else.
func TestStatementVerify(t *testing.T) {
	w, s := served(t)
	file, vkey := filepath.Join(w.dir, "statement"), regexp.MustCompile(`guard\.example\.com\+\S+`).FindString(must(t, "ledger", "stat", "-config", w.config))
	must(t, "statement", "-config", w.config, "-o", file)
	get(t, s.guard+"/v1/customers?limit=50", testKey) // what comes later is not in it
	s.stop()
	copied := filepath.Join(w.dir, "copy")
	if err := os.MkdirAll(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	volumes, err := filepath.Glob(filepath.Join(w.dir, "data", "guard", "*.weir"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes {
		b, err := os.ReadFile(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, filepath.Base(v)), b, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(file string, args ...string) (int, string, string) {
		return weirRun(t, "", append([]string{"statement", "verify", "-key", vkey, file}, args...)...)
	}
	if status, out, errs := verify(file); status != 0 || !strings.Contains(errs, "owner's word") || !strings.Contains(out, "not recounted") {
		t.Errorf("signature only: status %d, %s%s", status, out, errs)
	}
	status, out, errs := verify(file, "-data", copied, "-format", "csv")
	if status != 0 || !strings.Contains(errs, "every figure") || !strings.Contains(out, "people,30,30,equal\n") || !strings.Contains(out, "key id,") {
		t.Errorf("recounted: status %d, %s%s", status, out, errs)
	}
	if status, _, errs := weirRun(t, "", "statement", "verify", "-config", w.config, file, "-data", filepath.Join(w.dir, "data")); status != 0 {
		t.Errorf("with the guard's config and data folder: status %d, %s", status, errs)
	}

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("forged", strings.Replace(string(text), `"people": 30`, `"people": 29`, 1))
	if status, _, errs := verify(filepath.Join(w.dir, "forged")); status != 1 || !strings.Contains(errs, "believed") {
		t.Errorf("a changed figure: status %d, %s", status, errs)
	}

	// Signed by the owner and still not what the ledger says: each figure that was changed is told.
	keyring, err := guard.LoadKey(filepath.Join(w.dir, "data.key"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keyring.Signer("guard.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*weir.Statement){
		"people":       func(s *weir.Statement) { s.People = 31 },
		"disclosures":  func(s *weir.Statement) { s.Disclosures++ },
		"class name":   func(s *weir.Statement) { s.ByClass["name"]-- },
		"class ssn":    func(s *weir.Statement) { s.ByClass["ssn"] = 1 },
		"none found":   func(s *weir.Statement) { s.NoneFound = s.NoneFound[1:] },
		"unattributed": func(s *weir.Statement) { s.Unattached = 1 },
		"coverage":     func(s *weir.Statement) { s.Coverage = 0.99 },
		"first":        func(s *weir.Statement) { *s.First = s.First.Add(1e6) },
		"last":         func(s *weir.Statement) { *s.Last = s.Last.Add(1e6) },
		"gap not_json": func(s *weir.Statement) { s.Gaps = append(s.Gaps, weir.StatementGap{Reason: "not_json", Responses: 1}) },
		"received by":  func(s *weir.Statement) { s.ReceivedBy = []string{weir.Pseudonym{}.String()} },
		"key id":       func(s *weir.Statement) { s.KeyID = weir.Pseudonym{1}.String() },
		"unit":         func(s *weir.Statement) { s.Unit = "line" },
		"finding 1":    func(s *weir.Statement) { s.Findings = append(s.Findings, weir.Finding{Kind: "quota_block"}) },
	} {
		lie, err := weir.OpenStatement(text, note.VerifierList(verifier))
		if err != nil {
			t.Fatal(err)
		}
		change(&lie)
		msg, err := lie.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		w.write("lie", string(msg))
		status, out, errs := verify(filepath.Join(w.dir, "lie"), "-data", copied, "-format", "json")
		told := false
		for line := range strings.Lines(out) {
			var f figure
			if err := json.Unmarshal([]byte(line), &f); err != nil {
				t.Fatal(err)
			}
			told = told || f.Figure == name && f.Verdict == "differs"
		}
		if status != 1 || !told || !strings.Contains(errs, "not what the ledger says") {
			t.Errorf("%s: status %d, %s%s", name, status, out, errs)
		}
	}

	// Another ledger, a shorter copy, a damaged one.
	other := newWorkplace(t)
	o := other.serve()
	for range 8 {
		get(t, o.guard+"/v1/customers?limit=50", testKey)
	}
	o.stop()
	for name, damage := range map[string]func() string{
		"another root": func() string { return filepath.Join(other.dir, "data") },
		"no ledger in": func() string { return t.TempDir() },
		"is damaged": func() string {
			dir := t.TempDir()
			b, err := os.ReadFile(volumes[0])
			if err != nil {
				t.Fatal(err)
			}
			b[400] ^= 1
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(volumes[0])), b, 0o600); err != nil {
				t.Fatal(err)
			}
			return dir
		},
	} {
		if status, _, errs := verify(file, "-data", damage()); status == 0 || !strings.Contains(errs, name) {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
	}
}
