package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/claim"
)

// FromStatement turns a guard's statement, whose signature the caller has checked, into a draft incident of measured claims,
// the source that they come from, and the guard's owner as victim. The same statement always gives the same ids, so that
// importing it twice adds nothing.
func FromStatement(s weir.Statement, raw []byte) *Set {
	sum := sha256.Sum256(raw)
	short := hex.EncodeToString(sum[:6])
	made := s.Made.UTC().Format("2006-01-02")
	victim := Organisation{ID: "guard-" + idOf(s.Guard), Name: "the organisation behind " + s.Guard}
	src := claim.Source{
		ID: "statement-" + short, Publisher: s.Guard, Title: "signed exposure statement", Type: "statement", Published: made,
		Retrieved: made, SHA256: hex.EncodeToString(sum[:]), Note: "A statement commits its owner; it does not by itself prove the count.",
	}
	rec := Record{ID: "guard-" + made + "-" + short, Victim: victim.ID, Draft: true}
	add := func(property, qualifier, value, note string) {
		rec.Claims = append(rec.Claims, claim.Claim{
			Incident: rec.ID, Property: property, Qualifier: qualifier, Value: value, Kind: claim.Measured, Speaker: claim.Guard,
			Who: s.Guard, Source: src.ID, AsOf: made, Note: note,
		})
	}
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if s.First != nil {
		add("date", "", s.First.UTC().Format("2006-01-02"), "the day of the first disclosure in the statement")
		add("first_disclosure", "", stamp(*s.First), "")
		add("last_disclosure", "", stamp(*s.Last), "")
		add("event", "first_disclosure", stamp(*s.First), "")
		add("event", "last_disclosure", stamp(*s.Last), "")
	}
	add("released_people", "", strconv.Itoa(s.People), "distinct data subjects, each "+article(s.Unit))
	if s.Unattached > 0 {
		add("released_unattributed", "", strconv.Itoa(s.Unattached), "")
	}
	coverage := strconv.FormatFloat(s.Coverage, 'g', 6, 64)
	add("coverage", "", coverage, gaps(s.Gaps))
	for _, c := range weir.Classes() {
		if n := s.ByClass[c.String()]; n > 0 {
			add("released_class", c.String(), strconv.Itoa(n), "")
		}
	}
	for _, name := range s.NoneFound {
		add("none_found", name, coverage, "")
	}
	for _, f := range s.Findings {
		what := fmt.Sprintf("principal %s was blocked by hand after %d data subjects", f.Principal, f.People)
		if f.Kind == "quota_block" {
			what = fmt.Sprintf("principal %s met its quota of %d data subjects in %s and was blocked", f.Principal, f.Quota, f.Window)
		}
		add("finding", "", what, stamp(f.Time))
		add("event", "blocked", stamp(f.Time), "")
	}
	add("checkpoint", "", strings.TrimSpace(s.Checkpoint), "")
	add("summary", "", "A guard released {released_people} data subjects' records between {event:first_disclosure} and {event:last_disclosure}, as its owner's signed statement says.", "")
	if s.First == nil {
		rec.Claims[len(rec.Claims)-1].Value = "A guard released {released_people} data subjects' records, as its owner's signed statement says."
	}
	return &Set{Organisations: []Organisation{victim}, Sources: []claim.Source{src}, Records: []Record{rec}}
}

func article(unit string) string {
	if strings.ContainsAny(unit[:1], "aeiou") {
		return "an " + unit
	}
	return "a " + unit
}

func gaps(list []weir.StatementGap) string {
	var parts []string
	for _, g := range list {
		parts = append(parts, fmt.Sprintf("%d bytes unread (%s)", g.Bytes, g.Reason))
	}
	return strings.Join(parts, ", ")
}

// idOf makes an id out of a name.
func idOf(name string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(id[:min(len(id), 60)], "-")
}
