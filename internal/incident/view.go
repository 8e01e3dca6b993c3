package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/access"
	"weir/internal/claim"
)

// An Incident is a record with what it refers to.
type Incident struct {
	ID       string
	Victim   Organisation
	Draft    bool
	Claims   []claim.Claim
	Sources  map[string]claim.Source
	Actors   map[string]Actor
	Siblings []Sibling // the victim's published incidents, this one included if it is published
}

// A Link leads to another object of the register.
type Link struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// A Figure is a claim as a reader sees it.
type Figure struct {
	Label     string   `json:"label"`
	Of        string   `json:"of,omitempty"`
	Text      string   `json:"text"`  // for people
	Value     string   `json:"value"` // for programs
	Kind      string   `json:"kind"`
	Speaker   string   `json:"speaker"`
	Who       string   `json:"who,omitempty"`
	AsOf      string   `json:"as_of"`
	Source    *Link    `json:"source,omitempty"`
	Coder     string   `json:"coder,omitempty"`
	Reasoning string   `json:"reasoning,omitempty"`
	Note      string   `json:"note,omitempty"`
	Rule      string   `json:"rule,omitempty"`   // why this one leads
	Others    []Figure `json:"others,omitempty"` // what else is claimed
}

// A List is a property with several values. Items is nil for readers who see only how many there are.
type List struct {
	Count int      `json:"count"`
	Items []Figure `json:"items,omitempty"`
}

// A Segment is a run of prose: text, or a figure.
type Segment struct {
	Text   string  `json:"text"`
	Figure *Figure `json:"figure,omitempty"`
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
	Count int         `json:"count"`
	Items []ActorView `json:"items,omitempty"`
}

// A TakenRow is what is said about one class of data.
type TakenRow struct {
	Class    string   `json:"class"`
	Status   string   `json:"status"` // taken, partly, none, unknown, not said, or what a guard found
	Figures  []Figure `json:"figures"`
	Measured *Figure  `json:"measured,omitempty"`
}

// A View is an incident as one reader may see it, in the order of the page. What is absent is hidden, unknown or not said;
// which of these is said by the property table at /properties.
type View struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Draft bool   `json:"draft,omitempty"`
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

	Status        *Figure    `json:"status,omitempty"`
	Timeline      []Figure   `json:"timeline"`
	Taken         []TakenRow `json:"taken"`
	Figures       []Figure   `json:"figures"` // counts, with the population each is of
	Circumstances []Figure   `json:"circumstances"`
	Quotes        []Figure   `json:"quotes"`
	Notices       []Figure   `json:"notices"`
	Money         []Figure   `json:"money"`
	Measured      []Figure   `json:"measured"`
	History       *History   `json:"history,omitempty"`
	Disagreements []Figure   `json:"disagreements"`
	Contradicted  []Figure   `json:"contradicted"`
	Sources       []Link     `json:"sources"`
	Claims        int        `json:"claims"`   // how many claims the reader sees
	Revision      int64      `json:"revision"` // the latest of those
}

// builder makes a view out of the claims that the reader may see, and of nothing else.
type builder struct {
	in      *Incident
	reader  access.Reader
	visible []claim.Claim        // those whose value the reader sees
	groups  map[[2]string]*[]int // of visible, by property and qualifier
	order   [][2]string          // the groups in the order of the claims
	counts  map[string]int       // of properties with many values, for readers who see counts
	history *History
}

// ViewFor returns the incident as the reader may see it; false if not at all.
func (in *Incident) ViewFor(reader access.Reader) (*View, bool) {
	if in.Draft && !reader.MayReadDrafts() || reader.Tier < access.Public {
		return nil, false
	}
	b := &builder{in: in, reader: reader, groups: map[[2]string]*[]int{}, counts: map[string]int{}}
	for _, c := range in.Claims {
		switch c.Level(reader) {
		case access.Value:
			key := [2]string{c.Property, c.Qualifier}
			if b.groups[key] == nil {
				b.groups[key] = &[]int{}
				b.order = append(b.order, key)
			}
			*b.groups[key] = append(*b.groups[key], len(b.visible))
			b.visible = append(b.visible, c)
			b.counts[c.Property]++
		case access.Count:
			b.counts[c.Property]++
		}
	}
	b.history = in.history()
	return b.view(), true
}

func (b *builder) view() *View {
	v := &View{
		ID: b.in.ID, Draft: b.in.Draft, Title: "Cyber Incident Victim: " + b.in.Victim.Name, Victim: Link{b.in.Victim.ID, b.in.Victim.Name},
		Members: b.reader.Tier >= access.Member, Date: b.one("date"), Location: b.one("location"), Status: b.one("status"),
		Motives: b.list("motive"), Techniques: b.list("technique"), Actors: b.actors(), History: b.history, Claims: len(b.visible),
		Timeline: b.timeline(), Taken: b.taken(), Figures: b.all("people", "share"), Circumstances: b.all("vector", "cause", "partial_records"),
		Quotes: b.all("about_systems", "characterisation"), Notices: b.all("notice"), Money: b.all("payment", "penalty"),
		Measured:     b.all("first_disclosure", "last_disclosure", "released_people", "released_unattributed", "coverage", "finding", "checkpoint"),
		Contradicted: b.all("assertion"), Disagreements: b.disagreements(), Sources: b.sources(),
	}
	v.Summary, v.Description = b.prose("summary"), b.prose("description")
	if p, _ := claim.Find("confidentiality"); p.Access.Level(b.reader) == access.Value {
		v.Posture = &Posture{b.one("confidentiality"), b.one("integrity"), b.one("availability")}
	}
	for _, c := range b.visible {
		v.Revision = max(v.Revision, c.Revision)
	}
	return v
}

// selection returns the claims of a group in their order of preference.
func (b *builder) selection(key [2]string) (claim.Selection, bool) {
	places := b.groups[key]
	if places == nil {
		return claim.Selection{}, false
	}
	var claims []claim.Claim
	for _, i := range *places {
		claims = append(claims, b.visible[i])
	}
	return claim.Select(claims), true
}

// one returns the leading figure of a property, with what else is claimed beside it.
func (b *builder) one(property string, qualifier ...string) *Figure {
	key := [2]string{property, strings.Join(qualifier, "")}
	s, ok := b.selection(key)
	if !ok {
		return nil
	}
	f := b.figure(&s.Chosen)
	f.Rule = s.Rule
	for i := range s.Others {
		f.Others = append(f.Others, b.figure(&s.Others[i]))
	}
	return &f
}

func (b *builder) figure(c *claim.Claim) Figure {
	p, _ := claim.Find(c.Property)
	f := Figure{
		Label: p.Label, Of: strings.ReplaceAll(c.Qualifier, "_", " "), Text: display(p, c), Value: c.Value, Kind: string(c.Kind),
		Speaker: c.Speaker.Label(), Who: c.Who, AsOf: cmp.Or(c.AsOf, claim.NotRecorded), Coder: c.Coder, Reasoning: c.Reasoning, Note: c.Note,
	}
	if src, ok := b.in.Sources[c.Source]; ok {
		f.Source = &Link{src.ID, sourceName(src)}
	}
	return f
}

func sourceName(s claim.Source) string {
	if s.Title == "" {
		return s.Publisher
	}
	return s.Publisher + ": " + s.Title
}

// all returns the figures of the properties, one for each qualifier, or one for each value where many stand side by side.
func (b *builder) all(properties ...string) []Figure {
	figures := []Figure{}
	for _, name := range properties {
		p, _ := claim.Find(name)
		for _, key := range b.order {
			if key[0] != name {
				continue
			}
			if !p.Many {
				figures = append(figures, *b.one(key[0], key[1]))
				continue
			}
			for _, i := range *b.groups[key] {
				figures = append(figures, b.figure(&b.visible[i]))
			}
		}
	}
	return figures
}

func (b *builder) list(property string) List {
	l := List{Count: b.counts[property]}
	if p, _ := claim.Find(property); p.Access.Level(b.reader) == access.Value {
		l.Items = b.all(property)
	}
	return l
}

func (b *builder) actors() Actors {
	a := Actors{Count: b.counts["actor"]}
	for _, f := range b.all("actor") {
		actor := ActorView{Link: Link{f.Value, cmp.Or(b.in.Actors[f.Value].Name, f.Value)}, Type: claim.NotRecorded, Location: claim.NotRecorded}
		if t := b.one("actor_type", f.Value); t != nil {
			actor.Type = t.Text
		}
		if l := b.one("actor_location", f.Value); l != nil {
			actor.Location = l.Text
		}
		a.Items = append(a.Items, actor)
	}
	return a
}

func (b *builder) timeline() []Figure {
	events := b.all("event")
	slices.SortStableFunc(events, func(x, y Figure) int {
		tx, _ := claim.ParseDate(x.Value)
		ty, _ := claim.ParseDate(y.Value)
		return tx.Compare(ty)
	})
	return events
}

// taken has a row for each class that somebody speaks of, and for each class of the vocabulary that nobody does.
func (b *builder) taken() []TakenRow {
	var names []string
	for _, c := range weir.Classes() {
		if c != weir.Other {
			names = append(names, c.String())
		}
	}
	for _, key := range b.order {
		if (key[0] == "taken" || key[0] == "released_class" || key[0] == "none_found") && !slices.Contains(names, key[1]) {
			names = append(names, key[1])
		}
	}
	rows := make([]TakenRow, 0, len(names))
	for _, name := range names {
		row := TakenRow{Class: strings.ReplaceAll(name, "_", " "), Status: "not said", Figures: []Figure{}}
		if f := b.one("taken", name); f != nil {
			row.Status = f.Text
			row.Figures = append([]Figure{*f}, f.Others...)
			row.Figures[0].Others = nil
		}
		if f := b.one("none_found", name); f != nil {
			row.Measured = f
		}
		if f := b.one("released_class", name); f != nil {
			row.Measured = f
		}
		if row.Measured != nil && len(row.Figures) == 0 {
			row.Status = row.Measured.Text
		}
		rows = append(rows, row)
	}
	return rows
}

// disagreements are the figures beside which another value is claimed.
func (b *builder) disagreements() []Figure {
	figures := []Figure{}
	for _, key := range b.order {
		p, _ := claim.Find(key[0])
		if s, _ := b.selection(key); !p.Many && p.Type != claim.Prose && s.Disagree() {
			figures = append(figures, *b.one(key[0], key[1]))
		}
	}
	return figures
}

func (b *builder) sources() []Link {
	links := []Link{}
	for _, c := range b.visible {
		src, ok := b.in.Sources[c.Source]
		if link := (Link{src.ID, sourceName(src)}); ok && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return links
}

// prose prints a text with its references; those to what the reader may not see say so.
func (b *builder) prose(property string) []Paragraph {
	paragraphs := []Paragraph{}
	s, ok := b.selection([2]string{property, ""})
	if !ok {
		return paragraphs
	}
	for text := range strings.SplitSeq(s.Chosen.Value, "\n\n") {
		text = strings.Join(strings.Fields(text), " ")
		var p Paragraph
		at := 0
		for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
			p = append(p, Segment{Text: text[at:m[0]]})
			qualifier := ""
			if m[4] >= 0 {
				qualifier = text[m[4]:m[5]]
			}
			p = append(p, b.reference(text[m[2]:m[3]], qualifier))
			at = m[1]
		}
		paragraphs = append(paragraphs, append(p, Segment{Text: text[at:]}))
	}
	return paragraphs
}

func (b *builder) reference(property, qualifier string) Segment {
	if property == historyReference {
		if b.history == nil {
			return Segment{Text: "not computed"}
		}
		return Segment{Text: b.history.Words}
	}
	f := b.one(property, qualifier)
	if f == nil {
		return Segment{Text: "(available to members)"}
	}
	return Segment{Text: f.Text, Figure: f}
}

// display is a value as people read it.
func display(p claim.Property, c *claim.Claim) string {
	text := c.Value
	switch p.Type {
	case claim.Date:
		text = displayDate(c.Value)
		if c.Approx {
			text = "on or about " + text
		}
		return text
	case claim.Number, claim.Money:
		if n, err := strconv.ParseInt(c.Value, 10, 64); err == nil {
			text = group(n)
		}
		if p.Type == claim.Money {
			text = "USD " + text
		}
	case claim.Share:
		if f, err := strconv.ParseFloat(c.Value, 64); err == nil && p.Name == "share" {
			text = strconv.FormatFloat(f*100, 'f', -1, 64) + " %"
		} else if p.Name == "none_found" {
			text = "none found, at coverage " + c.Value
		}
	case claim.Impact:
		text = strings.ReplaceAll(text, "_", " ")
	}
	if p.Name == "released_class" {
		text += " released through this guard"
	}
	if c.Approx {
		text = "about " + text
	}
	return text
}

func displayDate(v string) string {
	for layout, shown := range map[string]string{"2006-01-02": "2 January 2006", "2006-01": "January 2006", "2006": "2006"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.Format(shown)
		}
	}
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		return t.UTC().Format("2 January 2006, 15:04:05 UTC")
	}
	return v
}

// group writes a number for people: whole tenths of a million in words, the rest with commas between its thousands.
// Either way the number that was claimed can be read back.
func group(n int64) string {
	const tenth = 100_000
	if n >= 10*tenth && n%tenth == 0 {
		return strconv.FormatFloat(float64(n/tenth)/10, 'f', -1, 64) + " million"
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Texts returns everything that a view says, for search.
func (v *View) Texts() string {
	var b strings.Builder
	add := func(parts ...string) { fmt.Fprintln(&b, strings.Join(parts, " ")) }
	add(v.Title)
	for _, p := range slices.Concat(v.Summary, v.Description) {
		for _, s := range p {
			b.WriteString(s.Text)
		}
		b.WriteByte('\n')
	}
	figures := slices.Concat(v.Motives.Items, v.Techniques.Items, v.Timeline, v.Figures, v.Circumstances, v.Quotes, v.Notices, v.Money, v.Contradicted)
	for _, f := range figures {
		add(f.Of, f.Text, f.Note, f.Reasoning)
	}
	for _, a := range v.Actors.Items {
		add(a.Name, a.Type, a.Location)
	}
	for _, row := range v.Taken {
		if len(row.Figures) > 0 || row.Measured != nil {
			add(row.Class, row.Status)
		}
	}
	return b.String()
}
