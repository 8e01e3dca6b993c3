package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
)

// An Incident is a record with what it refers to, as it stood at one revision of the register.
type Incident struct {
	ID        string
	Victim    Organisation
	Draft     bool
	Withdrawn string
	Claims    []claim.Claim
	Sources   map[string]claim.Source
	Actors    map[string]Actor
	Names     map[string]string // titles of the incidents that this one may refer to, by id
	Siblings  []*Incident       // the victim's published incidents, this one included if it is published
}

// An Ask says who asks for a view, when, and of what day.
type Ask struct {
	Reader access.Reader
	Now    time.Time
	AsOf   time.Time // only what had been said by the end of that day; zero for all
}

// A Link leads to another object of the register.
type Link struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// A Figure is a claim as a reader sees it.
type Figure struct {
	Claim      string   `json:"claim"` // the claim's id
	Property   string   `json:"property"`
	Label      string   `json:"label"`
	Of         string   `json:"of,omitempty"`
	Text       string   `json:"text"`  // for people
	Value      string   `json:"value"` // for programs
	Kind       string   `json:"kind"`
	Speaker    string   `json:"speaker"`
	Who        string   `json:"who,omitempty"`
	AsOf       string   `json:"as_of"`
	Source     *Link    `json:"source,omitempty"`
	Quote      string   `json:"quote,omitempty"`
	Place      string   `json:"place,omitempty"`
	Confidence string   `json:"confidence"`
	Coder      string   `json:"coder,omitempty"`
	Reasoning  string   `json:"reasoning,omitempty"`
	Note       string   `json:"note,omitempty"`
	Rule       string   `json:"rule,omitempty"`       // why this one leads
	Superseded bool     `json:"superseded,omitempty"` // a later claim stands in for it
	Others     []Figure `json:"others,omitempty"`     // what else is claimed, in the order of preference
	Disputed   bool     `json:"disputed,omitempty"`   // some of Others have another value
}

// A List is a property with several values. Items is nil for readers who see only how many there are.
type List struct {
	Property string   `json:"property"`
	Label    string   `json:"label"`
	Count    int      `json:"count"`
	Items    []Figure `json:"items,omitempty"`
}

// A Segment is a run of prose: text, or a figure.
type Segment struct {
	Text     string  `json:"text"`
	Figure   *Figure `json:"figure,omitempty"`
	Incident string  `json:"incident,omitempty"` // of a figure of another incident
}

// A Paragraph is prose whose figures are claims.
type Paragraph []Segment

// Posture is what the incident did to confidentiality, integrity and availability.
type Posture struct {
	Confidentiality *Figure `json:"confidentiality,omitempty"`
	Integrity       *Figure `json:"integrity,omitempty"`
	Availability    *Figure `json:"availability,omitempty"`
}

// An ActorView is a threat actor in an incident.
type ActorView struct {
	Link
	Type     string `json:"type,omitempty"`
	Location string `json:"location,omitempty"`
}

// Actors are the threat actors; Items is nil for readers who see only how many there are.
type Actors struct {
	Count   int         `json:"count"`
	Items   []ActorView `json:"items,omitempty"`
	Figures []Figure    `json:"figures,omitempty"` // the claims that name them and say of what type and where they are
}

// A TakenRow is what is said about one class of data.
type TakenRow struct {
	Class    string   `json:"class"`
	Status   string   `json:"status"` // taken, partly, none, unknown, not said, or what a guard found
	Figures  []Figure `json:"figures"`
	People   *Figure  `json:"people,omitempty"`
	Measured *Figure  `json:"measured,omitempty"`
}

// A SectionView is a section of the page with what the reader sees of it; a section in which the reader sees nothing is left out.
type SectionView struct {
	Name    string       `json:"name"`
	Title   string       `json:"title"`
	Hint    string       `json:"hint,omitempty"`
	Layout  claim.Layout `json:"layout"`
	Figures []Figure     `json:"figures,omitempty"`
	Lists   []List       `json:"counted,omitempty"` // of which the reader sees how many there are
	Classes []TakenRow   `json:"classes,omitempty"`
}

// A View is an incident as one reader may see it, in the order of the page. What is absent is hidden, unknown or not said;
// which of these is said by the property table at /properties.
type View struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Draft     bool   `json:"draft,omitempty"`
	Withdrawn string `json:"withdrawn,omitempty"` // the reason; then nothing else is shown
	// Members reports that the reader sees what members see.
	Members bool `json:"members"`

	Victim      Link        `json:"victim"`
	Date        *Figure     `json:"date,omitempty"`
	Location    *Figure     `json:"location,omitempty"`
	Summary     []Paragraph `json:"summary"`
	Posture     *Posture    `json:"posture,omitempty"`
	Motives     List        `json:"motives"`
	Techniques  List        `json:"techniques"`
	Actors      Actors      `json:"actors"`
	Description []Paragraph `json:"description"`

	Sections      []SectionView `json:"sections"`
	History       *History      `json:"history,omitempty"`
	Computed      []Computed    `json:"computed"` // durations and totals
	Disagreements []Figure      `json:"disagreements"`
	Contradicted  []Figure      `json:"contradicted"`
	Sources       []Link        `json:"sources"`

	AsOf     string   `json:"as_of,omitempty"`   // the day that the view is of
	Later    []Figure `json:"later,omitempty"`   // with AsOf: what was said only after that day
	Undated  int      `json:"undated,omitempty"` // with AsOf: claims left out because nobody recorded when they were made
	Claims   int      `json:"claims"`            // how many claims the reader sees
	Revision int64    `json:"revision"`          // the latest that recorded one of those
}

// Section returns the section of that name, or an empty one.
func (v *View) Section(name string) SectionView {
	for _, s := range v.Sections {
		if s.Name == name {
			return s
		}
	}
	return SectionView{Name: name}
}

// builder makes a view out of the claims that the reader may see, and of nothing else.
type builder struct {
	in      *Incident
	ask     Ask
	visible []claim.Claim        // those whose value the reader sees
	groups  map[[2]string]*[]int // of visible, by property and qualifier
	order   [][2]string          // the groups in the order of files
	counts  map[string]int       // of all claims of a property that the reader sees or sees counted
	later   []claim.Claim
	undated int
	history *History
}

// newBuilder sorts out what the reader may see of an incident (P7); it is the only way to a claim's value in this package.
func newBuilder(in *Incident, ask Ask) *builder {
	b := &builder{in: in, ask: ask, groups: map[[2]string]*[]int{}, counts: map[string]int{}}
	for _, c := range sortClaims(in.Claims) {
		level := c.Level(ask.Reader, ask.Now)
		if level == access.Hidden || b.secret(&c) || !b.said(&c, level) {
			continue
		}
		b.counts[c.Property]++
		if level != access.Value {
			continue
		}
		key := [2]string{c.Property, c.Qualifier}
		if b.groups[key] == nil {
			b.groups[key] = &[]int{}
			b.order = append(b.order, key)
		}
		*b.groups[key] = append(*b.groups[key], len(b.visible))
		b.visible = append(b.visible, c)
	}
	return b
}

// secret reports whether the claim names an incident that the reader may not see, such as a draft.
func (b *builder) secret(c *claim.Claim) bool {
	p, ok := claim.Find(c.Property)
	return ok && p.Type == claim.Incident && b.in.Names[c.Value] == ""
}

// said reports whether the claim belongs into a view of the day that was asked for.
func (b *builder) said(c *claim.Claim, level access.Level) bool {
	if b.ask.AsOf.IsZero() {
		return true
	}
	said, dated := c.SaidBy(b.ask.AsOf, b.in.Sources[c.Source])
	switch {
	case said || level != access.Value:
	case dated:
		b.later = append(b.later, *c)
	default:
		b.undated++
	}
	return said
}

// View returns the incident as the reader may see it; false if not at all.
func (in *Incident) View(ask Ask) (*View, bool) {
	if in.Draft && !ask.Reader.MayReadDrafts() || ask.Reader.Tier < access.Public {
		return nil, false
	}
	b := newBuilder(in, ask)
	v := &View{
		ID: in.ID, Draft: in.Draft, Withdrawn: in.Withdrawn, Title: "Cyber Incident Victim: " + in.Victim.Name, Victim: Link{in.Victim.ID, in.Victim.Name},
		Members: ask.Reader.Tier >= access.Member, Motives: List{Property: "motive"}, Techniques: List{Property: "technique"},
	}
	if !ask.AsOf.IsZero() {
		v.AsOf = ask.AsOf.Format("2006-01-02")
	}
	if in.Withdrawn == "" {
		b.fill(v)
	}
	return v, true
}

func (b *builder) fill(v *View) {
	b.history = b.computeHistory()
	v.Date, v.Location, v.Motives, v.Techniques, v.Actors = b.one("date"), b.one("location"), b.list("motive"), b.list("technique"), b.actors()
	v.Summary, v.Description = b.prose("summary"), b.prose("description")
	if p, _ := claim.Find("confidentiality"); p.Access.Level(b.ask.Reader) == access.Value {
		v.Posture = &Posture{b.one("confidentiality"), b.one("integrity"), b.one("availability")}
	}
	v.Sections = b.sections()
	v.History, v.Computed, v.Disagreements, v.Contradicted, v.Sources = b.history, b.computed(), b.disagreements(), b.all("assertion"), b.sources()
	for i := range b.later {
		v.Later = append(v.Later, b.figure(&b.later[i]))
	}
	slices.SortStableFunc(v.Later, func(x, y Figure) int { return strings.Compare(x.AsOf, y.AsOf) })
	v.Undated, v.Claims = b.undated, len(b.visible)
	for _, c := range b.visible {
		v.Revision = max(v.Revision, c.Revision)
	}
}

// sections fills the sections of the page from the property table.
func (b *builder) sections() []SectionView {
	all := []SectionView{}
	for _, s := range claim.Sections() {
		v := SectionView{Name: s.Name, Title: s.Title, Hint: s.Hint, Layout: s.Layout}
		if s.Layout == claim.Classes {
			v.Classes = b.taken()
			all = append(all, v)
			continue
		}
		for _, p := range claim.Properties() {
			if p.Object != claim.OfIncident || p.Section != s.Name {
				continue
			}
			if p.Access.Level(b.ask.Reader) == access.Count {
				if b.counts[p.Name] > 0 {
					v.Lists = append(v.Lists, List{Property: p.Name, Label: p.Label, Count: b.counts[p.Name]})
				}
				continue
			}
			v.Figures = append(v.Figures, b.all(p.Name)...)
		}
		if s.Layout == claim.Timeline {
			slices.SortStableFunc(v.Figures, func(x, y Figure) int { return firstOf(x.Value).Compare(firstOf(y.Value)) })
		}
		if len(v.Figures) > 0 || len(v.Lists) > 0 {
			all = append(all, v)
		}
	}
	return all
}

func firstOf(date string) time.Time {
	p, err := claim.ParsePeriod(date)
	if err != nil {
		return time.Time{}
	}
	return p.First
}

// A TakenGroup are the classes of data of which the same is said.
type TakenGroup struct {
	Status  string // taken, partly, none, or measured
	Words   string
	Classes []string
}

// TakenInShort says in a line for each status what was taken and what was not, as the leading claims have it.
func (v *View) TakenInShort() (groups []TakenGroup) {
	for _, g := range []TakenGroup{{Status: "taken", Words: "Taken"}, {Status: "partly", Words: "Taken in part"}, {Status: "none", Words: "Not taken"}, {Status: "measured", Words: "Released"}} {
		for _, row := range v.Section("taken").Classes {
			status := row.Status
			if len(row.Figures) == 0 && row.Measured != nil && row.Measured.Property == "released_class" {
				status = "measured"
			}
			if status == g.Status {
				g.Classes = append(g.Classes, row.Class)
			}
		}
		if g.Classes != nil {
			groups = append(groups, g)
		}
	}
	return groups
}

// Figures returns every claim that the view shows, each once, those that lead before those beside them.
func (v *View) Figures() (all []Figure) {
	seen := map[string]bool{}
	var add func(...Figure)
	add = func(figures ...Figure) {
		for _, f := range figures {
			if !seen[f.Claim] {
				seen[f.Claim] = true
				all = append(all, f)
			}
			add(f.Others...)
		}
	}
	one := func(figures ...*Figure) {
		for _, f := range figures {
			if f != nil {
				add(*f)
			}
		}
	}
	one(v.Date, v.Location)
	if v.Posture != nil {
		one(v.Posture.Confidentiality, v.Posture.Integrity, v.Posture.Availability)
	}
	add(slices.Concat(v.Motives.Items, v.Techniques.Items, v.Actors.Figures)...)
	for _, s := range v.Sections {
		add(s.Figures...)
		for _, row := range s.Classes {
			add(row.Figures...)
			one(row.People, row.Measured)
		}
	}
	add(v.Contradicted...)
	return all
}

// Texts returns everything that a view says, for search.
func (v *View) Texts() string {
	var b strings.Builder
	add := func(parts ...string) { fmt.Fprintln(&b, strings.Join(parts, " ")) }
	add(v.Title, v.ID)
	for _, p := range slices.Concat(v.Summary, v.Description) {
		for _, s := range p {
			b.WriteString(s.Text)
		}
		b.WriteByte('\n')
	}
	for _, f := range v.Figures() {
		add(f.Of, f.Text, f.Who, f.Quote, f.Note, f.Reasoning)
	}
	for _, a := range v.Actors.Items {
		add(a.Name, a.Type, a.Location)
	}
	return b.String()
}

// People is the largest figure that leads for a number of people; nil if nobody gives one. What an attacker says stands in
// only where nobody else gives a number, and what a guard measured only where nobody says anything of the whole incident.
func (v *View) People() *Figure {
	largest := func(section, property string, accept func(Figure) bool) (best *Figure) {
		size := -1.0
		figures := v.Section(section).Figures
		for i := range figures {
			if q, err := claim.ParseQuantity(figures[i].Value); err == nil && figures[i].Property == property && accept(figures[i]) && q.High > size {
				size, best = q.High, &figures[i]
			}
		}
		return best
	}
	attacker := func(f Figure) bool { return f.Speaker == claim.Attacker.Label() }
	return cmp.Or(
		largest("counts", "people", func(f Figure) bool { return !attacker(f) }),
		largest("counts", "people", attacker),
		largest("measured", "released_people", func(Figure) bool { return true }),
	)
}

// Size is the figure of People, by which lists are sorted; 0 if there is none.
func (v *View) Size() int64 {
	if f := v.People(); f != nil {
		if q, err := claim.ParseQuantity(f.Value); err == nil {
			return int64(q.High)
		}
	}
	return 0
}

// Names reports whether the view shows a claim from the source, or the actor; an empty id is not asked for.
func (v *View) Names(source, actor string) bool {
	return (source == "" || slices.ContainsFunc(v.Sources, func(l Link) bool { return l.ID == source })) &&
		(actor == "" || slices.ContainsFunc(v.Actors.Items, func(a ActorView) bool { return a.ID == actor }))
}
