package weir

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// statementVector is one file of testdata/statement: what a reader must make of a message. docs/format/statement.md says how
// they are used by programs other than this one.
type statementVector struct {
	About     string     `json:"about"`
	Key       string     `json:"verifier_key"`
	Message   string     `json:"message"`
	Error     string     `json:"error,omitempty"`     // part of the refusal; absent: the message must be read
	Statement *Statement `json:"statement,omitempty"` // what must be read
}

func TestStatementVectors(t *testing.T) {
	if *update {
		writeStatementVectors(t)
	}
	names, err := filepath.Glob("testdata/statement/*.json")
	if err != nil || len(names) < 12 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v statementVector
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		verifier, err := note.NewVerifier(v.Key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := OpenStatement([]byte(v.Message), note.VerifierList(verifier))
		switch {
		case v.Error != "" && (err == nil || !strings.Contains(err.Error(), v.Error)):
			t.Errorf("%s (%s): %v, want an error with %q", name, v.About, err, v.Error)
		case v.Error == "" && err != nil:
			t.Errorf("%s (%s): %v", name, v.About, err)
		case v.Error == "":
			if diff := cmp.Diff(*v.Statement, s); diff != "" {
				t.Errorf("%s (%s): %s", name, v.About, diff)
			}
		}
	}
}

func writeStatementVectors(t *testing.T) {
	k := testKeyring(t, 1)
	key, err := k.VerifierKey("guard.example.com")
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, v statementVector) {
		v.Key = key
		raw, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata/statement", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata/statement", name+".json"), append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	good := func(name, about string, change func(*Statement)) {
		s := sampleStatement()
		change(&s)
		msg, _ := signedWith(t, k, s.Guard, s.Sign)
		put("good-"+name, statementVector{About: about, Message: string(msg), Statement: &s})
	}
	good("full", "every field", func(*Statement) {})
	good("range", "one principal, a range of time, a gap", func(s *Statement) {
		s.From, s.To, s.Principal, s.Coverage = s.First, s.Last, Pseudonym{9}.String(), 0.75
		s.Gaps = []StatementGap{{"too_large", 2, 1 << 21}}
	})
	good("optional", "without the fields that may be absent", func(s *Statement) { s.ReceivedBy, s.KeyID = nil, "" })
	good("empty", "nothing was disclosed", func(s *Statement) {
		s.People, s.Disclosures, s.Principals, s.ByClass, s.First, s.Last, s.ReceivedBy = 0, 0, 0, map[string]int{}, nil, nil, nil
	})
	bad := func(name, about, want string, change func(*Statement), edit func(string) string) {
		s := sampleStatement()
		change(&s)
		msg, _ := signedWith(t, k, s.Guard, s.Sign)
		put("bad-"+name, statementVector{About: about, Message: edit(string(msg)), Error: want})
	}
	none, same := func(*Statement) {}, func(s string) string { return s }
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, with, 1) }
	}
	bad("figure", "a figure was changed after it was signed", "invalid signature", none, replace(`"people": 500`, `"people": 400`))
	bad("unsigned", "no signature", "note", none, func(s string) string { return s[:strings.Index(s, "\n\n")+2] })
	bad("name", "signed under another name", "note", none, replace("\n\u2014 guard.example.com", "\n\u2014 guard.example.org"))
	bad("coverage", "a coverage above one", "out of range", func(s *Statement) { s.Coverage = 1.5 }, same)
	bad("class", "more people of a class than in all", "501 people", func(s *Statement) { s.ByClass["email"] = 501 }, same)
	bad("times", "people, and no time of the first disclosure", "do not fit", func(s *Statement) { s.First, s.Last = nil, nil }, same)
	bad("disclosures", "fewer disclosures than people", "out of range", func(s *Statement) { s.Disclosures = 1 }, same)
	bad("principals", "fewer principals named than counted", "1 principals", func(s *Statement) { s.Principals = 2 }, same)
	text := func(name, about, want, text string) {
		msg, _ := signedWith(t, k, "guard.example.com", func(s note.Signer) ([]byte, error) { return note.Sign(&note.Note{Text: text}, s) })
		put("bad-"+name, statementVector{About: about, Message: string(msg), Error: want})
	}
	text("version", "a version that this one does not read", "v9", "weir exposure statement v9\n{}\n")
	text("unknown", "a field that the format does not have", "unknown field", statementVersion+"\n{\"guard\":\"g\",\"surprise\":1}\n")
	text("two", "two JSON values", "more than one", statementVersion+"\n{}{}\n")
	text("checkpoint", "a signed checkpoint, which is no statement", "guard.example.com", Checkpoint{Origin: "guard.example.com", Size: 1}.Text())
}
