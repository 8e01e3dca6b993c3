package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

// wrong returns what a refused change was refused for.
func wrong(t *testing.T, err error) string {
	t.Helper()
	var lint *LintError
	if !errors.As(err, &lint) {
		t.Fatalf("not refused: %v", err)
	}
	return incident.Join(lint.Problems).Error()
}

// A second import brings nothing back that was taken back, and changes no object that is there; -replace does both.
func TestImportKeepsDecisions(t *testing.T) {
	s := imported(t, small(asset("a"), asset("b")))
	if _, err := s.Edit(ctx, me, 1, record(asset("b"))); err != nil {
		t.Fatal(err)
	}
	again := small(asset("a"), asset("b"))
	again.Organisations[0].Name = "Renamed"
	if n, err := s.Import(ctx, again, me, false); n != 0 || err != nil {
		t.Errorf("imported again: %d new claims, %v", n, err)
	}
	if got := assets(t, s, Moment{}); got != "b" {
		t.Errorf("after it: %q", got)
	}
	name := func() string {
		o, err := s.Organisation(ctx, "o")
		if err != nil {
			t.Fatal(err)
		}
		return o.Name
	}
	if name() != "O" {
		t.Errorf("an import without replace renamed the organisation to %s", name())
	}
	if _, err := s.Import(ctx, again, me, true); err != nil {
		t.Fatal(err)
	}
	if got := assets(t, s, Moment{}); len(got) != 2 || name() != "Renamed" {
		t.Errorf("replaced: %q of %s", got, name())
	}
	if got := found(t, s, access.Public, "renamed"); len(got) != 1 {
		t.Errorf("search does not know the new name: %v", got)
	}
	if err := s.Withdraw(ctx, me, "x"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Import(ctx, again, me, true)
	if got := wrong(t, err); !strings.Contains(got, "would bring it back") {
		t.Errorf("a withdrawn incident comes back: %s", got)
	}
}

// What an edit cannot change it does not seem to change.
func TestEditKeepsTheHeader(t *testing.T) {
	set := small(asset("a"))
	set.Organisations = append(set.Organisations, incident.Organisation{ID: "p", Name: "P"})
	s := imported(t, set)
	other, draft := record(asset("a")), record(asset("a"))
	other.Victim, draft.Draft = "p", true
	for want, rec := range map[string]incident.Record{"keeps its victim": other, "does not become a draft": draft} {
		_, err := s.Edit(ctx, me, 1, rec)
		if got := wrong(t, err); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if _, err := s.Restore(ctx, me, "x", 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("restored from a revision that is not there: %v", err)
	}
}

// Everybody reads the reason of a revision, so it names nobody whom only members see, and it is text.
func TestReason(t *testing.T) {
	set := small(asset("a"))
	set.Actors = []incident.Actor{{ID: "lapwing", Name: "Lapwing Group", Aliases: []string{"UNC-0155"}}}
	s := imported(t, set)
	for reason, want := range map[string]string{
		"it was lapwing group": "names Lapwing Group", "see unc-0155.": "names UNC-0155", "a\x00b": "control", "\xff": "UTF-8", "left \u202e right": "U+202E",
	} {
		_, err := s.Edit(ctx, Who{"editor", reason}, 1, record(asset("a"), asset("b")))
		if got := wrong(t, err); !strings.Contains(got, want) {
			t.Errorf("reason %q: no %q in %s", reason, want, got)
		}
	}
	bad := asset("b")
	bad.Note = "\x1b[31mred"
	if _, err := s.Edit(ctx, me, 1, record(asset("a"), bad)); !strings.Contains(wrong(t, err), "control") {
		t.Errorf("a claim with a control character: %v", err)
	}
}

// Two people who edit one object are told of each other; a new one does not take another's place.
func TestPutObject(t *testing.T) {
	s := imported(t, small(asset("a")))
	named := func(name string) *incident.Set {
		return &incident.Set{Organisations: []incident.Organisation{{ID: "o", Name: name}}}
	}
	base, err := s.ObjectRevision(ctx, "organisation", "o")
	if err != nil || base != 1 {
		t.Fatalf("base %d, %v", base, err)
	}
	if err := s.PutObject(ctx, me, base, "organisation", "o", named("one")); err != nil {
		t.Fatal(err)
	}
	var faster *ConflictError
	if err := s.PutObject(ctx, me, base, "organisation", "o", named("two")); !errors.As(err, &faster) || faster.Now != 2 {
		t.Errorf("the second hears %v", err)
	}
	if err := s.PutObject(ctx, me, 0, "organisation", "o", named("two")); !errors.Is(err, ErrTaken) {
		t.Errorf("a new one with an id that is taken: %v", err)
	}
	if o, err := s.Organisation(ctx, "o"); err != nil || o.Name != "one" {
		t.Errorf("%+v, %v", o, err)
	}
}

// A claim that names a draft is not there for who cannot see the draft, and shows once it is published.
func TestRelatedDraft(t *testing.T) {
	set := small(asset("a"))
	set.Records[0].Draft = true
	set.Records[0].Claims = append(set.Records[0].Claims, claim.Claim{Property: "related", Value: "y", Kind: claim.Stated, Speaker: claim.Press, Source: "s", AsOf: "2024"})
	set.Records = append(set.Records, incident.Record{ID: "y", Victim: "o", Draft: true})
	s := imported(t, set)
	if err := s.Publish(ctx, me, "x"); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		v, err := s.Incident(ctx, access.Anybody(), "x", Moment{})
		if err != nil {
			t.Fatal(err)
		}
		return v.Claims
	}
	if n := count(); n != 1 {
		t.Errorf("%d claims while the other is a draft", n)
	}
	if err := s.Publish(ctx, me, "y"); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 2 {
		t.Errorf("%d claims once it is published", n)
	}
}

// Other users of the machine do not read the register, whose drafts and restricted claims are in the file.
func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "register.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
