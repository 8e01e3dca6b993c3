package incident

import (
	"cmp"
	"slices"

	"weir/internal/claim"
)

// historyReference is how prose refers to the computed history.
const historyReference = "history"

// historySince is the day from which incidents are counted.
const historySince = "2018-01-01"

// historyRule says in words what history computes. A reader who counts by another rule comes to another number.
const historyRule = "incidents of this organisation that the company or the press disclosed since 1 January 2018, in the order of their dates, this one included"

// A Sibling is a published incident of the same victim.
type Sibling struct {
	ID     string
	Date   string // when it began
	Public string // when it became public; empty if nobody says
}

// History is a computed claim: which of the victim's incidents this one is, by a rule that the reader can check.
type History struct {
	Ordinal int      `json:"ordinal"`
	Words   string   `json:"words"`
	Since   string   `json:"since"`
	Rule    string   `json:"rule"`
	Kind    string   `json:"kind"`
	Members []Member `json:"members"`
	Stated  []Figure `json:"stated"` // what others count, by their rules
}

// A Member is one of the incidents counted.
type Member struct {
	Link
	This bool `json:"this,omitempty"`
}

var ordinals = []string{"", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"}

// history applies the rule. It is nil for an incident that the rule does not count, such as a draft.
func (in *Incident) history() *History {
	var counted []Sibling
	for _, s := range in.Siblings {
		if s.Public >= historySince && s.Date != "" {
			counted = append(counted, s)
		}
	}
	slices.SortFunc(counted, func(a, b Sibling) int { return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.ID, b.ID)) })
	at := slices.IndexFunc(counted, func(s Sibling) bool { return s.ID == in.ID })
	if at < 0 {
		return nil
	}
	h := &History{Ordinal: at + 1, Since: historySince[:4], Rule: historyRule, Kind: string(claim.Computed), Stated: []Figure{}}
	h.Words = group(int64(h.Ordinal)) + "th"
	if h.Ordinal < len(ordinals) {
		h.Words = ordinals[h.Ordinal]
	}
	for _, s := range counted[:at+1] {
		h.Members = append(h.Members, Member{Link{s.ID, displayDate(s.Date)}, s.ID == in.ID})
	}
	b := &builder{in: in}
	for i := range in.Claims {
		if in.Claims[i].Property == "ordinal" {
			h.Stated = append(h.Stated, b.figure(&in.Claims[i]))
		}
	}
	return h
}

// Sibling returns what the history of other incidents needs of this one.
func (in *Incident) Sibling() Sibling {
	s := Sibling{ID: in.ID}
	groups := map[string][]claim.Claim{}
	for _, c := range in.Claims {
		if c.Property == "date" || c.Property == "event" && c.Qualifier == "became_public" {
			groups[c.Property] = append(groups[c.Property], c)
		}
	}
	if dates := groups["date"]; dates != nil {
		s.Date = claim.Select(dates).Chosen.Value
	}
	if public := groups["event"]; public != nil {
		s.Public = claim.Select(public).Chosen.Value
	}
	return s
}
