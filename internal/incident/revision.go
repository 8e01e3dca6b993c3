package incident

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
)

// A Revision is one change of the register, whole: it happened or it did not. Revisions are numbered from 1 without holes
// and are never changed (P8).
type Revision struct {
	Number   int64     `json:"number"`
	Recorded time.Time `json:"recorded"`
	Author   string    `json:"author"`
	Reason   string    `json:"reason"`
	Changes  []Change  `json:"changes"`
}

// A Change is one step of a revision. It is about an object of the register, or about the incident that it names; of the
// other fields exactly one is set.
type Change struct {
	Organisation *Organisation `json:"organisation,omitempty"` // make it, or replace what was known of it
	Actor        *Actor        `json:"actor,omitempty"`
	Source       *claim.Source `json:"source,omitempty"`

	Incident  string       `json:"incident,omitempty"`
	Open      *Opening     `json:"open,omitempty"`      // make the incident
	Add       *claim.Claim `json:"add,omitempty"`       // add a claim
	Retract   string       `json:"retract,omitempty"`   // take back the claim of that id
	Publish   bool         `json:"publish,omitempty"`   // make a draft visible
	Withdraw  string       `json:"withdraw,omitempty"`  // leave a tombstone, for that reason
	Reinstate bool         `json:"reinstate,omitempty"` // undo a withdrawal
}

// An Opening is how an incident begins.
type Opening struct {
	Victim string `json:"victim"`
	Draft  bool   `json:"draft,omitempty"`
}

// A State is an incident at one revision.
type State struct {
	Record
	Opened  int64 // the revision that opened it; 0 if it is not there
	Changed int64 // the latest revision that changed it

	places map[string]int64 // of each claim that was ever added, by id: one that is added again takes the place that it had
}

// Apply takes one change of the revision of that number. A change that does not fit is an error, and the state is as before:
// claims are added and taken back once.
func (s *State) Apply(number int64, c Change) error {
	at := func(id string) int {
		return slices.IndexFunc(s.Claims, func(x claim.Claim) bool { return x.ID() == id })
	}
	switch {
	case c.Open != nil:
		if s.Opened != 0 {
			return fmt.Errorf("incident %s is there already", c.Incident)
		}
		s.Record = Record{ID: c.Incident, Victim: c.Open.Victim, Draft: c.Open.Draft}
		s.Opened = number
	case s.Opened == 0 || s.ID != c.Incident:
		return fmt.Errorf("there is no incident %s", c.Incident)
	case c.Add != nil:
		added := *c.Add
		added.Incident, added.Revision = c.Incident, number
		if at(added.ID()) >= 0 {
			return fmt.Errorf("%s has this claim already: %s", c.Incident, added.Property)
		}
		s.insert(added)
	case c.Retract != "":
		i := at(c.Retract)
		if i < 0 {
			return fmt.Errorf("%s has no claim %s", c.Incident, c.Retract)
		}
		s.Claims = slices.Delete(slices.Clone(s.Claims), i, i+1)
	case c.Publish:
		s.Draft = false
	case c.Withdraw != "":
		s.Withdrawn = c.Withdraw
	case c.Reinstate:
		s.Withdrawn = ""
	default:
		return fmt.Errorf("an empty change of %s", c.Incident)
	}
	s.Changed = number
	return nil
}

func (s *State) insert(c claim.Claim) {
	if s.places == nil {
		s.places = map[string]int64{}
	}
	id := c.ID()
	if s.places[id] == 0 {
		s.places[id] = int64(len(s.places) + 1)
	}
	c.Seq = s.places[id]
	i, _ := slices.BinarySearchFunc(s.Claims, c.Seq, func(x claim.Claim, seq int64) int { return cmp.Compare(x.Seq, seq) })
	s.Claims = slices.Insert(slices.Clone(s.Claims), i, c)
}

// Changes returns what makes the state's record into the other: claims taken back, claims added, and what became of the
// incident itself. A published record does not become a draft again; that difference is left out.
func (s *State) Changes(to Record) (changes []Change) {
	to.own()
	if s.Opened == 0 {
		changes = append(changes, Change{Incident: to.ID, Open: &Opening{to.Victim, to.Draft}})
	}
	have, want := map[string]bool{}, map[string]bool{}
	for i := range s.Claims {
		have[s.Claims[i].ID()] = true
	}
	for i := range to.Claims {
		want[to.Claims[i].ID()] = true
	}
	for i := range s.Claims {
		if id := s.Claims[i].ID(); !want[id] {
			changes = append(changes, Change{Incident: to.ID, Retract: id})
		}
	}
	changes = append(changes, additions(to, have)...)
	switch {
	case s.Opened != 0 && s.Draft && !to.Draft:
		changes = append(changes, Change{Incident: to.ID, Publish: true})
	}
	switch {
	case to.Withdrawn != "" && to.Withdrawn != s.Withdrawn:
		changes = append(changes, Change{Incident: to.ID, Withdraw: to.Withdrawn})
	case to.Withdrawn == "" && s.Withdrawn != "":
		changes = append(changes, Change{Incident: to.ID, Reinstate: true})
	}
	return changes
}

// Merge puts what mine changed in base into theirs: claims that mine left out are gone, claims that mine has new are added,
// and all else is theirs. Where both changed one claim, both stand for an editor to choose.
func Merge(base, mine, theirs Record) Record {
	base.own()
	mine.own()
	ids := func(r Record) map[string]bool {
		all := map[string]bool{}
		for i := range r.Claims {
			all[r.Claims[i].ID()] = true
		}
		return all
	}
	inBase, inMine, inTheirs := ids(base), ids(mine), ids(theirs)
	merged := theirs
	merged.Claims = nil
	if mine.Victim != base.Victim {
		merged.Victim = mine.Victim
	}
	if mine.Draft != base.Draft {
		merged.Draft = mine.Draft
	}
	if mine.Withdrawn != base.Withdrawn {
		merged.Withdrawn = mine.Withdrawn
	}
	for _, c := range theirs.Claims {
		if id := c.ID(); !inBase[id] || inMine[id] {
			merged.Claims = append(merged.Claims, c)
		}
	}
	for _, c := range mine.Claims {
		if id := c.ID(); !inBase[id] && !inTheirs[id] {
			merged.Claims = append(merged.Claims, c)
		}
	}
	return merged
}

// Missing returns what adds to the state's record all that the other holds and it never did; nothing is taken back. ever are the
// claims that the incident ever held: what was taken back on purpose does not return by itself.
func (s *State) Missing(from Record, ever []claim.Claim) (changes []Change) {
	from.own()
	if s.Opened == 0 {
		return s.Changes(from)
	}
	have := map[string]bool{}
	for i := range ever {
		have[ever[i].ID()] = true
	}
	return additions(from, have)
}

func additions(to Record, have map[string]bool) (changes []Change) {
	for i := range to.Claims {
		c := to.Claims[i]
		if id := c.ID(); !have[id] {
			have[id] = true
			changes = append(changes, Change{Incident: to.ID, Add: &c})
		}
	}
	return changes
}

// A Difference is a claim that a revision added, took back, or put in place of another.
type Difference struct {
	Was *claim.Claim
	Is  *claim.Claim
}

// Differences pairs what a revision took back with what it added: the claims about one property and qualifier in one voice
// are one claim that changed.
func Differences(taken, added []claim.Claim) (all []Difference) {
	same := func(a, b *claim.Claim) bool {
		return a.Property == b.Property && a.Qualifier == b.Qualifier && a.Speaker == b.Speaker && a.Who == b.Who
	}
	used := make([]bool, len(added))
	for i := range taken {
		d := Difference{Was: &taken[i]}
		for j := range added {
			if !used[j] && same(&taken[i], &added[j]) {
				used[j], d.Is = true, &added[j]
				break
			}
		}
		all = append(all, d)
	}
	for j := range added {
		if !used[j] {
			all = append(all, Difference{Is: &added[j]})
		}
	}
	return all
}

// Fields returns what differs between the two claims of a difference, field by field in the order of the file.
func (d *Difference) Fields() (fields []FieldChange) {
	was, is := fieldsOf(d.Was), fieldsOf(d.Is)
	for i, name := range claimFields {
		if was[i] != is[i] {
			fields = append(fields, FieldChange{name, was[i], is[i]})
		}
	}
	return fields
}

// A FieldChange is one field of a claim that a revision changed; an empty side is a field that was not there.
type FieldChange struct {
	Name string `json:"field"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}

var claimFields = []string{
	"key", "property", "of", "value", "approx", "kind", "speaker", "who", "source", "quote", "place", "as_of", "confidence", "coder",
	"reasoning", "note", "supersedes", "visible", "embargo",
}

// fieldsOf returns a claim's fields in the order of claimFields; of no claim, all are empty.
func fieldsOf(c *claim.Claim) []string {
	values := make([]string, len(claimFields))
	if c == nil {
		return values
	}
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a bool always marshal
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		panic(err)
	}
	for i, name := range claimFields {
		if v, ok := m[name]; ok {
			values[i] = fmt.Sprint(v)
		}
	}
	return values
}

// A RevisionView is a revision of an incident as one reader may see it.
type RevisionView struct {
	Number   int64            `json:"number"`
	Recorded string           `json:"recorded"`
	Author   string           `json:"author,omitempty"` // for those who work on incidents
	Reason   string           `json:"reason"`
	Events   []string         `json:"events,omitempty"` // what became of the incident itself
	Changes  []DifferenceView `json:"changes"`
	Counted  int              `json:"counted,omitempty"` // changes of which the reader sees only that there are such claims
}

// A DifferenceView is one claim that a revision changed.
type DifferenceView struct {
	Was    *Figure       `json:"was,omitempty"`
	Is     *Figure       `json:"is,omitempty"`
	Fields []FieldChange `json:"fields"`
}

// Restrict ties claims of the past to the restriction that their statement was last recorded with, so that nobody reads in
// the past what has been restricted since (P7). ever holds all claims that were ever recorded, in that order: a restricted
// claim that was taken back, as when its value is corrected, still bars what it said.
func Restrict(past, ever []claim.Claim) {
	type statement struct{ incident, property, qualifier, value string }
	of := func(c *claim.Claim) statement { return statement{c.Incident, c.Property, c.Qualifier, c.Value} }
	now := map[statement]*claim.Claim{}
	for i := range ever {
		c := &ever[i]
		if c.Visible != "" || c.Embargo != "" {
			now[of(c)] = c
		} else {
			delete(now, of(c))
		}
	}
	for i := range past {
		past[i].Now = now[of(&past[i])]
	}
}

// A Past is what a view of an incident's revisions needs beside the revision.
type Past struct {
	Incident  string
	Withdrawn bool
	Ever      []claim.Claim     // all claims of the incident that were ever recorded, in that order
	Names     map[string]string // of related incidents that the reader may see
}

// View returns what the reader may see of the revision in an incident; false if nothing of it. taken are the claims that it
// took back.
func (r *Revision) View(ask Ask, past *Past, taken []claim.Claim) (RevisionView, bool) {
	incident := past.Incident
	v := RevisionView{Number: r.Number, Recorded: r.Recorded.UTC().Format(time.RFC3339), Reason: r.Reason, Changes: []DifferenceView{}}
	if ask.Reader.MayReadDrafts() {
		v.Author = r.Author
	}
	b := newBuilder(&Incident{ID: incident, Names: past.Names}, ask)
	visible := func(all []claim.Claim) (kept []claim.Claim) {
		if past.Withdrawn && !ask.Reader.MayReadDrafts() {
			return nil
		}
		Restrict(all, past.Ever)
		for _, c := range all {
			if b.secret(&c) {
				continue
			}
			switch c.Level(ask.Reader, ask.Now) {
			case access.Value:
				kept = append(kept, c)
			case access.Count:
				v.Counted++
			}
		}
		return kept
	}
	var added []claim.Claim
	for _, c := range r.Changes {
		if c.Incident != incident {
			continue
		}
		switch {
		case c.Open != nil:
			v.Events = append(v.Events, "opened")
		case c.Add != nil:
			x := *c.Add
			x.Incident = incident
			added = append(added, x)
		case c.Publish:
			v.Events = append(v.Events, "published")
		case c.Withdraw != "":
			v.Events = append(v.Events, "withdrawn: "+c.Withdraw)
		case c.Reinstate:
			v.Events = append(v.Events, "reinstated")
		}
	}
	for _, d := range Differences(visible(taken), visible(added)) {
		dv := DifferenceView{Fields: d.Fields()}
		if d.Was != nil {
			f := b.figure(d.Was)
			dv.Was = &f
		}
		if d.Is != nil {
			f := b.figure(d.Is)
			dv.Is = &f
		}
		v.Changes = append(v.Changes, dv)
	}
	return v, len(v.Changes) > 0 || len(v.Events) > 0 || v.Counted > 0
}
