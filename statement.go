package weir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// statementVersion is the first line of a statement's text; a reader refuses any other.
const statementVersion = "weir exposure statement v1"

// A Statement is what a guard says about the disclosures in its ledger: figures, what they cover and what they do not.
// Signed, it commits the guard's owner; it does not by itself prove the count. It holds no person's data and no
// pseudonym of a data subject.
type Statement struct {
	Guard       string         `json:"guard"`                 // the name of the guard's ledger, as in its checkpoints
	Made        time.Time      `json:"made"`                  // when the statement was made
	From        *time.Time     `json:"from,omitempty"`        // start of the time asked about, inclusive; absent: the ledger's start
	To          *time.Time     `json:"to,omitempty"`          // end of the time asked about, exclusive; absent: the ledger's end
	Principal   string         `json:"principal,omitempty"`   // the one principal asked about, as a pseudonym; absent: all
	Unit        string         `json:"unit"`                  // what one data subject is: account, person, line
	People      int            `json:"people"`                // distinct data subjects disclosed
	Unattached  int            `json:"unattributed"`          // worst-case count of people who could not be named, apart from People
	Disclosures int            `json:"disclosures"`           // records released
	ByClass     map[string]int `json:"by_class"`              // distinct data subjects for each class seen
	NoneFound   []string       `json:"none_found"`            // classes looked for and not seen in what was read
	First       *time.Time     `json:"first,omitempty"`       // time of the first disclosure
	Last        *time.Time     `json:"last,omitempty"`        // time of the last disclosure
	Principals  int            `json:"principals"`            // distinct principals who received something
	ReceivedBy  []string       `json:"received_by,omitempty"` // their pseudonyms, sorted; absent: not told
	Coverage    float64        `json:"coverage"`              // share of the upstream body bytes released that was read, 0 to 1
	Gaps        []StatementGap `json:"gaps"`                  // what was released without having been read, by reason
	Findings    []Finding      `json:"findings"`              // what the guard did about it
	Checkpoint  string         `json:"checkpoint"`            // the ledger's signed checkpoint that the figures were computed at
	KeyID       string         `json:"key_id,omitempty"`      // the id of the key that made the ledger's pseudonyms, in hex; absent: not told
}

// A StatementGap counts responses that were released without having been read.
type StatementGap struct {
	Reason    string `json:"reason"`
	Responses int    `json:"responses"`
	Bytes     int64  `json:"bytes"`
}

// A Finding is something the guard noticed about a principal.
type Finding struct {
	Kind      string    `json:"kind"`             // "quota_block": stopped at its quota; "manual_block": stopped by hand
	Time      time.Time `json:"time"`             // when
	Principal string    `json:"principal"`        // pseudonym
	People    int       `json:"people"`           // distinct data subjects it had received in the window by then
	Quota     int       `json:"quota,omitempty"`  // the limit that it met
	Window    string    `json:"window,omitempty"` // the limit's window, as a Go duration
	Ended     bool      `json:"ended,omitempty"`  // the block has been lifted since
}

// Sign returns the statement as a signed note: a version line, then the statement as indented JSON.
func (s Statement) Sign(signer note.Signer) ([]byte, error) {
	body, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: statementVersion + "\n" + string(body) + "\n"}, signer)
}

// OpenStatement reads a signed statement. At least one of the known verifiers must have signed it; who none of them is
// gets a *note.UnverifiedNoteError, and a text of another version is refused.
func OpenStatement(msg []byte, known note.Verifiers) (Statement, error) {
	n, err := note.Open(msg, known)
	if err != nil {
		return Statement{}, err
	}
	version, body, ok := strings.Cut(n.Text, "\n")
	if !ok || version != statementVersion {
		return Statement{}, fmt.Errorf("text begins with %.40q: this program reads %q", version, statementVersion)
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(body)))
	dec.DisallowUnknownFields()
	var s Statement
	if err := dec.Decode(&s); err != nil {
		return Statement{}, fmt.Errorf("statement: %w", err)
	}
	if dec.More() {
		return Statement{}, errors.New("statement: more than one JSON value")
	}
	return s, s.check()
}

// check refuses figures that contradict each other.
func (s Statement) check() error {
	if s.Guard == "" || s.Made.IsZero() || s.Unit == "" {
		return errors.New("statement: guard, made and unit must be given")
	}
	if s.People < 0 || s.Unattached < 0 || s.Disclosures < s.People || s.Coverage < 0 || s.Coverage > 1 {
		return errors.New("statement: a figure is out of range")
	}
	if (s.People > 0) != (s.First != nil) || (s.First == nil) != (s.Last == nil) {
		return errors.New("statement: first and last disclosure do not fit the number of people")
	}
	if s.ReceivedBy != nil && len(s.ReceivedBy) != s.Principals {
		return fmt.Errorf("statement: %d principals are named out of %d", len(s.ReceivedBy), s.Principals)
	}
	for i, p := range s.ReceivedBy {
		if _, err := ParsePseudonym(p); err != nil || i > 0 && s.ReceivedBy[i-1] >= p {
			return errors.New("statement: the principals are not sorted pseudonyms")
		}
	}
	if s.KeyID != "" {
		if _, err := ParsePseudonym(s.KeyID); err != nil { // of the same form
			return errors.New("statement: the key id is not 32 hexadecimal digits")
		}
	}
	for name, people := range s.ByClass {
		if people < 0 || people > s.People {
			return fmt.Errorf("statement: %d people for class %q out of %d in all", people, name, s.People)
		}
	}
	return nil
}
