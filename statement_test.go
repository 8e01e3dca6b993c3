package weir

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

func sampleStatement() Statement {
	first := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	last := first.Add(time.Hour)
	return Statement{
		Guard: "guard.example.com", Made: last.Add(time.Minute), Unit: "account",
		People: 500, Disclosures: 612, ByClass: map[string]int{"name": 500, "email": 431}, NoneFound: []string{"ssn", "payment_card"},
		First: &first, Last: &last, Principals: 1, ReceivedBy: []string{Pseudonym{9}.String()}, Coverage: 1, Gaps: []StatementGap{},
		Findings:   []Finding{{Kind: "quota_block", Time: last, Principal: Pseudonym{9}.String(), People: 500, Quota: 500, Window: "24h0m0s"}},
		Checkpoint: Checkpoint{Origin: "guard.example.com", Size: 700}.Text(), KeyID: Pseudonym{7}.String(),
	}
}

func signedWith(t *testing.T, k *Keyring, name string, sign func(note.Signer) ([]byte, error)) ([]byte, note.Verifiers) {
	t.Helper()
	s, err := k.Signer(name)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := sign(s)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := k.VerifierKey(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return msg, note.VerifierList(v)
}

func TestStatementRoundTrip(t *testing.T) {
	want := sampleStatement()
	msg, known := signedWith(t, testKeyring(t, 1), want.Guard, want.Sign)
	got, err := OpenStatement(msg, known)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// One changed digit, and the signature no longer holds.
	if _, err := OpenStatement(bytes.Replace(msg, []byte(`"people": 500`), []byte(`"people": 400`), 1), known); err == nil {
		t.Error("a changed figure was accepted")
	}
	// Another guard's key does not count.
	_, others := signedWith(t, testKeyring(t, 2), want.Guard, want.Sign)
	var unverified *note.UnverifiedNoteError
	if _, err := OpenStatement(msg, others); !errors.As(err, &unverified) {
		t.Errorf("a stranger's statement gave %v", err)
	}
}

func TestStatementRefusesOtherTexts(t *testing.T) {
	k := testKeyring(t, 1)
	for name, text := range map[string]string{
		"newer version":  "weir exposure statement v2\n{}\n",
		"checkpoint":     Checkpoint{Origin: "guard.example.com"}.Text(),
		"unknown figure": statementVersion + "\n{\"guard\":\"g\",\"surprise\":1}\n",
		"two values":     statementVersion + "\n{}{}\n",
	} {
		msg, known := signedWith(t, k, "guard.example.com", func(s note.Signer) ([]byte, error) { return note.Sign(&note.Note{Text: text}, s) })
		if _, err := OpenStatement(msg, known); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for name, change := range map[string]func(*Statement){
		"no guard":                func(s *Statement) { s.Guard = "" },
		"coverage above one":      func(s *Statement) { s.Coverage = 1.1 },
		"more in a class than in": func(s *Statement) { s.ByClass["email"] = 501 },
		"people without a time":   func(s *Statement) { s.First, s.Last = nil, nil },
		"fewer disclosures":       func(s *Statement) { s.Disclosures = 499 },
		"principals not all told": func(s *Statement) { s.Principals = 2 },
		"principals not sorted": func(s *Statement) {
			s.Principals, s.ReceivedBy = 2, []string{Pseudonym{9}.String(), Pseudonym{8}.String()}
		},
		"a principal's name": func(s *Statement) { s.ReceivedBy = []string{"partner"} },
		"no key id":          func(s *Statement) { s.KeyID = "7" },
	} {
		s := sampleStatement()
		change(&s)
		msg, known := signedWith(t, k, "guard.example.com", s.Sign)
		if _, err := OpenStatement(msg, known); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCheckpointRoundTrip(t *testing.T) {
	want := Checkpoint{Origin: "guard.example.com", Size: 42, Root: [32]byte{1, 2, 3}}
	msg, known := signedWith(t, testKeyring(t, 1), want.Origin, want.Sign)
	if got, err := OpenCheckpoint(msg, known); err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "a\n1\n", "a\n01\n" + strings.Repeat("A", 43) + "=\n", "a\n-1\nAAAA\n", "\n1\n" + strings.Repeat("A", 43) + "=\n"} {
		if cp, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("%q was read as %v", bad, cp)
		}
	}
}
