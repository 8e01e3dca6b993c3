package store

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

func asset(value string) claim.Claim {
	return claim.Claim{Property: "asset", Value: value, Kind: claim.Stated, Speaker: claim.Press, Source: "s", AsOf: "2024-01-02"}
}

// small is a register's content with one incident of these claims.
func small(claims ...claim.Claim) *incident.Set {
	return &incident.Set{
		Organisations: []incident.Organisation{{ID: "o", Name: "O"}}, Sources: []claim.Source{{ID: "s", Publisher: "P", Type: "press"}},
		Records: []incident.Record{{ID: "x", Victim: "o", Claims: claims}},
	}
}

func record(claims ...claim.Claim) incident.Record { return small(claims...).Records[0] }

// assets are the values that a page shows, in their order.
func assets(t *testing.T, s *Store, m Moment) (all string) {
	t.Helper()
	v, err := s.Incident(ctx, access.Anybody(), "x", m)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range v.Section("how").Figures {
		all += f.Value
	}
	return all
}

// Two people edit one record: the second is told, nothing is written over, and both changes can be had.
func TestSecondEditorIsTold(t *testing.T) {
	s := imported(t, small(asset("a"), asset("b")))
	base, err := s.State(ctx, "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Edit(ctx, Who{"one", "r"}, base.Changed, record(asset("a"), asset("b"), asset("c"))); err != nil {
		t.Fatal(err)
	}
	mine := record(asset("b"), asset("d"))
	var faster *ConflictError
	if _, err := s.Edit(ctx, Who{"two", "r"}, base.Changed, mine); !errors.As(err, &faster) || faster.Base != 1 || faster.Now != 2 {
		t.Fatalf("the second editor hears %v", err)
	}
	if got := assets(t, s, Moment{}); got != "abc" {
		t.Errorf("after the refused edit: %s", got)
	}
	theirs, err := s.State(ctx, "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Edit(ctx, Who{"two", "r"}, faster.Now, incident.Merge(base.Record, mine, theirs.Record)); err != nil {
		t.Fatal(err)
	}
	if got := assets(t, s, Moment{}); got != "bcd" {
		t.Errorf("after the merged edit: %s", got)
	}
}

// Many at once: each edit either wins or is told, so no change is lost.
func TestEditsAtOnce(t *testing.T) {
	s := imported(t, small())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for {
				st, err := s.State(ctx, "x", 0)
				if err != nil {
					t.Error(err)
					return
				}
				rec := st.Record
				rec.Claims = append(slices.Clone(rec.Claims), asset(fmt.Sprint(i)))
				var faster *ConflictError
				if _, err = s.Edit(ctx, me, st.Changed, rec); err == nil {
					return
				} else if !errors.As(err, &faster) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := assets(t, s, Moment{}); len(got) != 8 {
		t.Errorf("8 edits left %q", got)
	}
}

// Record time: each revision can be read as it was, a restore is a new revision, and a withdrawal leaves its reason.
func TestRevisions(t *testing.T) {
	s := imported(t, small(asset("a")))
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(s.Edit(ctx, me, 1, record(asset("a"), asset("b"))))
	do(s.Edit(ctx, me, 2, record(asset("b"))))
	do(s.Restore(ctx, me, "x", 2))
	for revision, want := range map[int64]string{1: "a", 2: "ab", 3: "b", 4: "ab", 0: "ab"} {
		if got := assets(t, s, Moment{Revision: revision}); got != want {
			t.Errorf("revision %d shows %q, want %q", revision, got, want)
		}
	}
	if n, err := s.Edit(ctx, me, 4, record(asset("a"), asset("b"))); n != 0 || err != nil {
		t.Errorf("an edit that changes nothing: revision %d, %v", n, err)
	}
	if _, err := s.Incident(ctx, access.Anybody(), "x", Moment{Revision: 5}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a revision that is not there: %v", err)
	}
	all, err := s.Revisions(ctx, access.Anybody(), "x")
	if err != nil || len(all) != 4 || all[1].Changes[0].Was.Value != "a" || all[0].Changes[0].Is.Value != "a" || all[0].Author != "" {
		t.Errorf("revisions: %+v, %v", all, err)
	}
	do(nil, s.Withdraw(ctx, Who{"editor", "it was another company"}, "x"))
	for _, revision := range []int64{0, 2} { // the past of what is withdrawn is withdrawn too
		v, err := s.Incident(ctx, access.Anybody(), "x", Moment{Revision: revision})
		if err != nil || v.Withdrawn != "it was another company" || v.Claims != 0 {
			t.Errorf("withdrawn, at %d: %+v, %v", revision, v, err)
		}
	}
	if views, _, err := s.List(ctx, access.Anybody(), Query{}); err != nil || len(views) != 0 {
		t.Errorf("a withdrawn incident is on the list: %v", err)
	}
	do(s.Restore(ctx, me, "x", 4))
	if got := assets(t, s, Moment{}); got != "ab" {
		t.Errorf("restored: %q", got)
	}
}

// P8: whoever changes the past is found, wherever they change it: in the log, in what is shown from it, or in both.
func TestVerifyFindsEveryChange(t *testing.T) {
	for _, tamper := range []string{
		"UPDATE revision SET reason = 'another' WHERE number = 2", "UPDATE revision SET changes = replace(changes, '\"b\"', '\"z\"') WHERE number = 2",
		"UPDATE revision SET recorded = '2020-01-01T00:00:00Z' WHERE number = 1", "DELETE FROM revision WHERE number = 2", "UPDATE revision SET author = 'else' WHERE number = 3",
		"UPDATE claim SET body = replace(body, '\"a\"', '\"z\"') WHERE added = 1", "UPDATE claim SET retracted = NULL", "DELETE FROM claim WHERE added = 2",
		"UPDATE incident SET withdrawn = 'gone'", "DELETE FROM incident_state WHERE revision = 2", "UPDATE object SET body = replace(body, '\"P\"', '\"Q\"')", "UPDATE claim SET place = 9 WHERE added = 2",
	} {
		s := imported(t, small(asset("a")))
		for base, rec := range map[int64]incident.Record{1: record(asset("a"), asset("b"))} {
			if _, err := s.Edit(ctx, me, base, rec); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Edit(ctx, me, 2, record(asset("b"))); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Verify(ctx, 0); err != nil || v.Fault != "" || v.Revisions != 3 {
			t.Fatalf("before: %+v, %v", v, err)
		}
		for _, q := range []string{
			"DROP TRIGGER revision_stays", "DROP TRIGGER revision_remains", "DROP TRIGGER claim_stays", "DROP TRIGGER claim_stays_retracted", "DROP TRIGGER claim_remains",
			"PRAGMA foreign_keys = OFF", tamper,
		} {
			if _, err := s.db.Exec(q); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
		if v, err := s.Verify(ctx, 0); err != nil || v.Fault == "" {
			t.Errorf("%s is not found: %+v, %v", tamper, v, err)
		}
	}
}

// The head that somebody noted tells even a register that was written anew as a whole.
func TestNotedHash(t *testing.T) {
	one, other := imported(t, small(asset("a"))), imported(t, small(asset("b")))
	a, err := one.Verify(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := other.Verify(ctx, 1); err != nil || a.HeadAt == b.HeadAt || a.HeadAt != a.Head {
		t.Errorf("two registers have one hash: %v", err)
	}
}

// page is what a reader gets, but for the revision's number, which says how it came about.
func page(t *rapid.T, s *Store) string {
	var b strings.Builder
	for _, tier := range access.Tiers() {
		v, err := s.Incident(ctx, reader(tier), "x", Moment{})
		if err != nil {
			fmt.Fprintln(&b, tier, err)
			continue
		}
		v.Revision = 0
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, tier, string(out))
	}
	return b.String()
}

// Any sequence of claims, revisions and restores gives the same page, applied one by one, applied at once, and after export
// and import.
func TestAnySequenceGivesOnePage(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		now := func() time.Time { return time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC) }
		fresh := func(what string) *Store {
			s, err := OpenWithClock(filepath.Join(dir, fmt.Sprintf("%s-%d.db", what, n)), now)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		step := fresh("steps")
		defer step.Close()
		if _, err := step.Import(ctx, small(), me, false); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			change(t, step)
		}
		want := page(t, step)
		if v, err := step.Verify(ctx, 0); err != nil || v.Fault != "" {
			t.Fatalf("%+v, %v", v, err)
		}

		once := fresh("once")
		defer once.Close()
		if _, err := once.Import(ctx, small(), me, false); err != nil {
			t.Fatal(err)
		}
		if _, _, err := once.revise(ctx, me, func(*sql.Tx) ([]incident.Change, error) { return changesOf(step) }); err != nil {
			t.Fatal(err)
		}
		if got := page(t, once); got != want {
			t.Fatalf("one by one:\n%s\nat once:\n%s", want, got)
		}

		set, err := step.Set(ctx)
		if err != nil {
			t.Fatal(err)
		}
		files, err := set.Files()
		if err != nil {
			t.Fatal(err)
		}
		folder := fstest.MapFS{}
		for name, data := range files {
			folder[name] = &fstest.MapFile{Data: data}
		}
		read, problems := incident.ReadRecords(folder)
		if len(problems) > 0 {
			t.Fatal(incident.Join(problems))
		}
		again := fresh("again")
		defer again.Close()
		if _, err := again.Import(ctx, read, me, false); err != nil {
			t.Fatal(err)
		}
		if got := page(t, again); got != want {
			t.Fatalf("before:\n%s\nafter export and import:\n%s", want, got)
		}
	})
}

// change makes one step on a register: an edit, a restore, a withdrawal.
func change(t *rapid.T, s *Store) {
	st, err := s.State(ctx, "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	switch rapid.SampledFrom([]string{"edit", "edit", "edit", "restore", "withdraw"}).Draw(t, "step") {
	case "edit":
		rec := st.Record
		rec.Claims = nil
		for _, c := range st.Claims {
			if rapid.IntRange(0, 3).Draw(t, "keep") > 0 {
				rec.Claims = append(rec.Claims, c)
			}
		}
		for range rapid.IntRange(0, 3).Draw(t, "new") {
			if c := someClaim(t); !slices.ContainsFunc(rec.Claims, func(x claim.Claim) bool { c.Incident = "x"; return x.ID() == c.ID() }) {
				rec.Claims = append(rec.Claims, c)
			}
		}
		_, err = s.Edit(ctx, me, st.Changed, rec)
	case "restore":
		_, err = s.Restore(ctx, me, "x", rapid.Int64Range(1, st.Changed).Draw(t, "to"))
	case "withdraw":
		err = s.Withdraw(ctx, Who{"editor", rapid.SampledFrom([]string{"a mistake", "asked to"}).Draw(t, "why")}, "x")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func someClaim(t *rapid.T) claim.Claim {
	c := claim.Claim{
		Kind: claim.Stated, Speaker: rapid.SampledFrom(claim.Speakers()[:7]).Draw(t, "speaker"), Source: "s", Who: rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "who"),
		AsOf: rapid.SampledFrom([]string{"", "2023", "2023-01-19", "2024-05"}).Draw(t, "as of"), Visible: rapid.SampledFrom([]string{"", "", "member", "editor"}).Draw(t, "visible"),
		Note: rapid.SampledFrom([]string{"", "a: note", "two\nlines", "- \"quoted\" #"}).Draw(t, "note"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "property") {
	case 0:
		c.Property, c.Qualifier, c.Value = "people", rapid.SampledFrom([]string{"accounts", "customers"}).Draw(t, "of"), rapid.SampledFrom([]string{"37000000", ">79000000", "10..20", "0"}).Draw(t, "value")
	case 1:
		c.Property, c.Qualifier, c.Value = "event", rapid.SampledFrom([]string{"detected", "disclosed", "first_disclosure"}).Draw(t, "of"), rapid.SampledFrom([]string{"2022-11-25", "2023-01", "2022/2023"}).Draw(t, "value")
	case 2:
		c.Property, c.Qualifier, c.Value = "taken", "email", rapid.SampledFrom([]string{"taken", "partly", "none"}).Draw(t, "value")
	default:
		c.Property, c.Value = "asset", rapid.StringMatching(`[a-z "'#:\-{}]{1,12}`).Filter(func(s string) bool { return strings.TrimSpace(s) == s && s != "" }).Draw(t, "value")
	}
	return c
}

// changesOf are all changes of x after its opening, in their order.
func changesOf(s *Store) (all []incident.Change, err error) {
	err = each(s.db, 5, "SELECT number, recorded, author, reason, changes FROM revision WHERE number > 1 ORDER BY number", nil, func(row []string) error {
		r, err := readRevision(row)
		all = append(all, r.Changes...)
		return err
	})
	return all, err
}

// A crash leaves whole revisions: whatever was written when the process was killed, the register opens, every revision is
// whole, and what was reported as written is there.
func TestKilledWhileWriting(t *testing.T) {
	path := os.Getenv("WEIR_TEST_WRITE")
	if path != "" {
		writeUntilKilled(path)
		return
	}
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		path := filepath.Join(t.TempDir(), "register.db")
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileWriting$")
		cmd.Env = append(os.Environ(), "WEIR_TEST_WRITE="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() && said <= round {
			if strings.HasPrefix(lines.Text(), "written") {
				said++
			}
		}
		time.Sleep(time.Duration(round%5) * 700 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "written") {
				said++
			}
		}
		cmd.Wait() // it was killed
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Verify(ctx, 0)
		if err != nil || v.Fault != "" || v.Revisions < int64(said) {
			t.Errorf("%d revisions were reported: %+v, %v", said, v, err)
		}
		if v.Revisions > 1 {
			if got := assets(t, s, Moment{}); len(got)%40 != 0 {
				t.Errorf("half a revision: %d claims", len(got))
			}
		}
		s.Close()
	}
}

// writeUntilKilled imports, then edits for ever: each revision adds or takes back 40 claims.
func writeUntilKilled(path string) {
	s, err := Open(path)
	if err != nil {
		panic(err)
	}
	if _, err := s.Import(ctx, small(), me, false); err != nil {
		panic(err)
	}
	fmt.Println("written")
	for i := 0; ; i++ {
		st, err := s.State(ctx, "x", 0)
		if err != nil {
			panic(err)
		}
		rec := st.Record
		rec.Claims = nil
		for n := range 40 * ((i + 1) % 2) {
			c := asset("y")
			c.Note = fmt.Sprint(i, "-", n)
			rec.Claims = append(rec.Claims, c)
		}
		if _, err := s.Edit(ctx, me, st.Changed, rec); err != nil {
			panic(err)
		}
		fmt.Println("written")
	}
}
