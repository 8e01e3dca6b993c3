package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/access"
	"weir/internal/incident"
	"weir/records"
)

var (
	ctx = context.Background()
	me  = Who{"editor", "because of the test"}
)

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "register.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func set(t *testing.T) *incident.Set {
	t.Helper()
	set, problems := incident.ReadRecords(records.Files)
	if len(problems) > 0 {
		t.Fatal(incident.Join(problems))
	}
	return set
}

func imported(t *testing.T, set *incident.Set) *Store {
	t.Helper()
	s := newStore(t)
	if _, err := s.Import(ctx, set, me, false); err != nil {
		t.Fatal(err)
	}
	return s
}

func reader(tier access.Tier) access.Reader { return access.Reader{Tier: tier} }

func TestImportTwiceAddsNothing(t *testing.T) {
	s := imported(t, set(t))
	if n, err := s.Import(ctx, set(t), me, false); n != 0 || err != nil {
		t.Errorf("the second import added %d claims, %v", n, err)
	}
}

// A bad record anywhere in a set leaves nothing of the set behind.
func TestImportIsAllOrNothing(t *testing.T) {
	s, bad := newStore(t), set(t)
	bad.Records[len(bad.Records)-1].Claims[0].Source = "no-such-source"
	if _, err := s.Import(ctx, bad, me, false); err == nil {
		t.Fatal("a record without its source was taken")
	}
	if views, _, err := s.List(ctx, reader(access.Editor), Query{}); err != nil || len(views) != 0 {
		t.Errorf("%d incidents are left, %v", len(views), err)
	}
}

// P8: nothing that was claimed is changed or deleted.
func TestClaimsAreAppendOnly(t *testing.T) {
	s := imported(t, set(t))
	for _, q := range []string{
		"UPDATE claim SET body = '{}'", "DELETE FROM claim", "UPDATE revision SET reason = ''", "DELETE FROM revision WHERE number = 1", "UPDATE claim SET added = 7",
	} {
		if _, err := s.db.Exec(q); err == nil {
			t.Errorf("%s went through", q)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "register.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(path); !errors.Is(err, ErrNewer) {
		t.Errorf("opened: %v", err)
	}
}

// P7: two registers that differ only in values above a tier answer that tier alike, byte for byte: incidents and search.
func TestValuesAboveATierChangeNothingForIt(t *testing.T) {
	one, other := set(t), set(t)
	other.Actors[0].Name = "Another Name"
	for r := range other.Records {
		for i := range other.Records[r].Claims {
			c := &other.Records[r].Claims[i]
			switch c.Property {
			case "motive":
				c.Value, c.Reasoning = "fear", "quagga"
			case "technique":
				c.Value, c.Reasoning = fmt.Sprintf("T%04d Zebra", i), "quagga"
			case "actor_type":
				c.Value, c.Reasoning = "spy", "quagga"
			case "confidentiality", "integrity", "availability":
				c.Value, c.Reasoning = "unknown", "okapi"
			}
		}
	}
	answers := func(s *Store, tier access.Tier) string {
		views, _, err := s.List(ctx, reader(tier), Query{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(views)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"zebra", "quagga", "okapi", "financial", "Lapsus", "Exploit", "Another", "VERIS", "unknown", "api", "extortion"} {
			out = append(out, "\n"+word+": "+strings.Join(found(t, s, tier, word), " ")...)
		}
		return string(out)
	}
	a, b := imported(t, one), imported(t, other)
	if x, y := answers(a, access.Public), answers(b, access.Public); x != y {
		t.Errorf("the public sees a difference:\n%s\n%s", x, y)
	}
	if x, y := answers(a, access.Member), answers(b, access.Member); x == y {
		t.Error("members see no difference: the test tests nothing")
	}
}

func found(t *testing.T, s *Store, tier access.Tier, words string) (ids []string) {
	t.Helper()
	views, _, err := s.List(ctx, reader(tier), Query{Search: words})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		ids = append(ids, v.ID)
	}
	return ids
}

func TestSearch(t *testing.T) {
	s := imported(t, set(t))
	for _, tt := range []struct {
		query string
		tier  access.Tier
		want  string
	}{
		{"misconfiguration", access.Public, "t-mobile-us-2022-11"},
		{"PREPAID accounts", access.Public, "t-mobile-us-2019-11"},
		{"lapsus", access.Member, "t-mobile-us-2022-04"},
		{"lapsus", access.Public, ""},
		{`"`, access.Public, ""},
		{"NOT zebra (*", access.Public, ""},
	} {
		ids := found(t, s, tt.tier, tt.query)
		if tt.want != "" && !slices.Contains(ids, tt.want) || tt.want == "" && len(ids) > 0 {
			t.Errorf("%s as %s: %v", tt.query, tt.tier, ids)
		}
	}
}

// The seam: a statement opens a draft of measured claims that responders see, the public after an editor publishes it.
func TestStatementOpensDraft(t *testing.T) {
	first := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	last := first.Add(time.Minute)
	st := weir.Statement{
		Guard: "guard.example.com", Made: last, Unit: "account", People: 500, Disclosures: 500, ByClass: map[string]int{"name": 500, "email": 431},
		NoneFound: []string{"ssn"}, First: &first, Last: &last, Principals: 1, Coverage: 0.98,
		Findings: []weir.Finding{{Kind: "quota_block", Time: last, Principal: "abc", Quota: 500, Window: "24h0m0s"}}, Checkpoint: "x\n1\ny\n",
	}
	s := imported(t, set(t))
	draft := incident.FromStatement(st, []byte("raw"))
	if n, err := s.Import(ctx, draft, me, false); n == 0 || err != nil {
		t.Fatalf("%d claims, %v", n, err)
	}
	if n, err := s.Import(ctx, incident.FromStatement(st, []byte("raw")), me, false); n != 0 || err != nil {
		t.Errorf("the second import added %d claims, %v", n, err)
	}
	id := draft.Records[0].ID
	if _, err := s.Incident(ctx, reader(access.Member), id, Moment{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a member sees the draft: %v", err)
	}
	v, err := s.Incident(ctx, reader(access.Responder), id, Moment{})
	if err != nil || !v.Draft {
		t.Fatalf("%+v, %v", v, err)
	}
	status := map[string]string{}
	for _, row := range v.Section("taken").Classes {
		status[row.Class] = row.Status
	}
	if status["ssn"] != "none found, at coverage 0.98" || status["email"] != "431 released through this guard" || status["password"] != "not said" {
		t.Errorf("classes: %v", status)
	}
	if ids := found(t, s, access.Public, "guard.example.com"); len(ids) != 0 {
		t.Error("the public finds the draft")
	}
	if err := s.Publish(ctx, me, id); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Incident(ctx, access.Anybody(), id, Moment{}); err != nil || v.Draft || v.History != nil {
		t.Errorf("published: %+v, %v", v, err)
	}
	if err := s.Publish(ctx, me, "no-such-incident"); !errors.Is(err, ErrNotFound) {
		t.Errorf("publishing nothing: %v", err)
	}
}

func TestSessions(t *testing.T) {
	s := newStore(t)
	a, err := access.NewAccount("kim", "long enough password", access.Responder)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddAccount(ctx, a); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAccount(ctx, a); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	if got, err := s.Account(ctx, "kim"); err != nil || *got != a {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Account(ctx, "lee"); err != nil || got != nil {
		t.Errorf("%+v, %v", got, err)
	}
	now := time.Now()
	_, hash := access.NewToken()
	if err := s.StartSession(ctx, hash, "kim", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		at   time.Time
		want access.Tier
	}{"live": {now, access.Responder}, "ended": {now.Add(2 * time.Hour), access.Public}} {
		if r, err := s.Session(ctx, hash, tt.at); err != nil || r.Tier != tt.want {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	if err := s.EndSession(ctx, hash); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Session(ctx, hash, now); err != nil || r != access.Anybody() {
		t.Errorf("after sign-out: %+v, %v", r, err)
	}
}

// Who gets another password or tier, or is removed, is signed out everywhere; nobody else is.
func TestChangedAccountsSignOut(t *testing.T) {
	s := newStore(t)
	now := time.Now()
	tokens := map[string][sha256.Size]byte{}
	for _, name := range []string{"kim", "lee"} {
		a, err := access.NewAccount(name, "long enough password", access.Editor)
		if err == nil {
			err = s.AddAccount(ctx, a)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := func(name string) {
		_, tokens[name] = access.NewToken()
		if err := s.StartSession(ctx, tokens[name], name, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	begin("lee")
	for what, change := range map[string]func() error{
		"changed": func() error {
			return s.ChangeAccount(ctx, access.Account{Name: "kim", Tier: access.Member, PasswordHash: "x"})
		},
		"removed": func() error { return s.RemoveAccount(ctx, "kim") },
	} {
		a, err := access.NewAccount("kim", "long enough password", access.Editor)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddAccount(ctx, a); err != nil && !errors.Is(err, ErrExists) {
			t.Fatal(err)
		}
		begin("kim")
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Session(ctx, tokens["kim"], now); err != nil || r != access.Anybody() {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
		if r, err := s.Session(ctx, tokens["lee"], now); err != nil || r.Account != "lee" {
			t.Errorf("%s, and somebody else is signed out: %+v, %v", what, r, err)
		}
	}
	for _, err := range []error{s.ChangeAccount(ctx, access.Account{Name: "nobody"}), s.RemoveAccount(ctx, "nobody")} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
	}
}

// The computed history follows its members: without one of them it is another number.
func TestHistoryIsComputed(t *testing.T) {
	ordinal := func(set *incident.Set) int {
		v, err := imported(t, set).Incident(ctx, access.Anybody(), "t-mobile-us-2022-11", Moment{})
		if err != nil || v.History == nil {
			t.Fatal(err)
		}
		first := v.History.Counts[0]
		if len(first.Members) != first.Ordinal || len(v.History.Stated) == 0 {
			t.Errorf("%+v", v.History)
		}
		return first.Ordinal
	}
	if n := ordinal(set(t)); n != 8 {
		t.Errorf("the incident is the %dth, the press counts 8", n)
	}
	fewer := set(t)
	fewer.Records = slices.DeleteFunc(fewer.Records, func(r incident.Record) bool { return r.ID == "t-mobile-us-2019-11" })
	if n := ordinal(fewer); n != 7 {
		t.Errorf("with one member fewer it is the %dth", n)
	}
	unpublic := set(t)
	for r := range unpublic.Records {
		if unpublic.Records[r].ID == "t-mobile-us-2020-03" {
			for i := range unpublic.Records[r].Claims {
				if c := &unpublic.Records[r].Claims[i]; c.Property == "counts_as" {
					c.Value = "notice_only"
				}
			}
		}
	}
	if n := ordinal(unpublic); n != 7 {
		t.Errorf("an incident that nobody disclosed counts: %d", n)
	}
}

func TestOlderSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "register.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(path); !errors.Is(err, ErrOlder) {
		t.Errorf("opened: %v", err)
	}
}
