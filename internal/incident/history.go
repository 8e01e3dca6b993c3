package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"weir/internal/claim"
)

// historySince is the day from which incidents are counted.
var historySince = time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)

// A countingRule says which of a victim's incidents count. A reader who counts by another rule comes to another number, so
// a page shows the number under each rule.
type countingRule struct {
	name  string
	words string
	kinds []string // of counts_as
}

// The first rule is the one that {history} in a text means.
var countingRules = []countingRule{
	{"disclosed", "incidents that the organisation or the press disclosed since 1 January 2018, this one included", []string{"disclosed"}},
	{"with_exposures", "also exposures that researchers found", []string{"disclosed", "exposure_found"}},
	{"with_notices", "also incidents known by notices only", []string{"disclosed", "exposure_found", "notice_only"}},
	{"with_regulators", "also incidents that only a regulator names", []string{"disclosed", "exposure_found", "notice_only", "named_by_regulator"}},
}

// History is a computed claim: which of the victim's incidents this one is, by rules that the reader can check.
type History struct {
	Since  string   `json:"since"`
	Kind   string   `json:"kind"`
	Counts []Count  `json:"counts"`           // one for each rule that counts this incident; the first is what texts mean
	Stated []Figure `json:"stated,omitempty"` // what others count, by their rules
}

// A Count is the incident's place by one rule. The members are the incidents up to this one, in the order of their dates, or
// of the days on which they became public where nobody dates the beginning.
type Count struct {
	Name    string   `json:"name"`
	Ordinal int      `json:"ordinal"`
	Words   string   `json:"words"`
	Rule    string   `json:"rule"`
	Members []Member `json:"members"`
	Undated []Link   `json:"undated,omitempty"` // counted by the rule, of no recorded date: they may come before or after
}

// A Member is one of the incidents counted.
type Member struct {
	Link
	Claim string `json:"claim"` // the id of the claim that gives its date
	This  bool   `json:"this,omitempty"`
}

// relative is what the history needs of an incident.
type relative struct {
	in    *Incident
	date  claim.Claim
	begin time.Time // zero where no date is recorded
	kind  string
}

// computeHistory applies every rule. It is nil for an incident that no rule counts, such as a draft.
func (b *builder) computeHistory() *History {
	var family []relative
	for _, s := range b.in.Siblings {
		sb := b
		if s.ID != b.in.ID {
			sb = newBuilder(s, b.ask)
		}
		if r, ok := sb.relative(); ok {
			family = append(family, r)
		}
	}
	slices.SortStableFunc(family, func(x, y relative) int { return cmp.Or(x.begin.Compare(y.begin), cmp.Compare(x.in.ID, y.in.ID)) })
	h := &History{Since: historySince.Format("2006"), Kind: string(claim.Computed), Stated: b.all("ordinal")}
	for _, rule := range countingRules {
		if c, ok := b.count(rule, family); ok && (len(h.Counts) == 0 || len(c.Members) != len(h.Counts[len(h.Counts)-1].Members) || len(c.Undated) > 0) {
			h.Counts = append(h.Counts, c)
		}
	}
	if len(h.Counts) == 0 {
		return nil
	}
	return h
}

func (b *builder) count(rule countingRule, family []relative) (Count, bool) {
	c := Count{Name: rule.name, Rule: rule.words}
	found := false
	for _, r := range family {
		if !slices.Contains(rule.kinds, r.kind) || found && !r.begin.IsZero() {
			continue
		}
		if r.begin.IsZero() {
			c.Undated = append(c.Undated, Link{r.in.ID, r.in.Victim.Name})
			continue
		}
		found = r.in.ID == b.in.ID
		c.Members = append(c.Members, Member{Link{r.in.ID, displayDate(r.date.Value)}, r.date.ID(), found})
	}
	c.Ordinal, c.Words = len(c.Members), ordinalWord(len(c.Members))
	return c, found
}

// relative returns what the history of other incidents needs of this one; false where it cannot be counted. An incident that
// says when it became public and nothing of how it counts is taken as disclosed.
func (b *builder) relative() (relative, bool) {
	r := relative{in: b.in}
	public, isPublic := b.leads("event", "disclosed")
	if kind, ok := b.leads("counts_as", ""); ok {
		r.kind = kind.Value
	} else if isPublic {
		r.kind = "disclosed"
	}
	since := time.Time{}
	if date, ok := b.leads("date", ""); ok {
		r.date = date
		r.begin = firstOf(date.Value)
		since = r.begin
	}
	if isPublic {
		since = firstOf(public.Value)
		if r.begin.IsZero() { // nobody has dated its beginning yet, so it stands at the day on which it became public
			r.date, r.begin = public, since
		}
	}
	return r, r.kind != "" && (since.IsZero() || !since.Before(historySince))
}

// historyWords is what {history} prints.
func (b *builder) historyWords() Segment {
	h := b.history
	if h == nil {
		h = b.computeHistory()
	}
	if h == nil {
		return Segment{Text: "(not computed)"}
	}
	c := h.Counts[0]
	return Segment{Text: c.Words, Figure: &Figure{
		Property: historyReference, Label: "History", Text: c.Words, Value: fmt.Sprint(c.Ordinal), Kind: string(claim.Computed), Speaker: "this register",
		AsOf: b.day(), Rule: c.Rule, Confidence: claim.NotRecorded,
	}}
}

// day is the day of the view, or the present one.
func (b *builder) day() string {
	if b.ask.AsOf.IsZero() {
		return b.ask.Now.UTC().Format("2006-01-02")
	}
	return b.ask.AsOf.Format("2006-01-02")
}

// dayOf is the day that a period begins on.
func dayOf(p claim.Period) time.Time { return p.First.Truncate(24 * time.Hour) }
