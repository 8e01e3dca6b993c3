package incident

import (
	"cmp"
	"slices"
	"strings"

	"weir"
	"weir/internal/access"
	"weir/internal/claim"
)

// selection returns the claims of a group in their order of preference.
func (b *builder) selection(key [2]string) (claim.Selection, bool) {
	places := b.groups[key]
	if places == nil {
		return claim.Selection{}, false
	}
	claims := make([]claim.Claim, 0, len(*places))
	for _, i := range *places {
		claims = append(claims, b.visible[i])
	}
	return claim.Select(claims), true
}

// leads returns the claim that leads for a property, if the reader sees one.
func (b *builder) leads(property, qualifier string) (claim.Claim, bool) {
	s, ok := b.selection([2]string{property, qualifier})
	return s.Chosen, ok
}

// one returns the leading figure of a property, with what else is claimed beside it.
func (b *builder) one(property string, qualifier ...string) *Figure {
	s, ok := b.selection([2]string{property, strings.Join(qualifier, "")})
	if !ok {
		return nil
	}
	f := b.figure(&s.Chosen)
	f.Rule, f.Disputed = s.Rule, s.Disagree()
	for i := range s.Others {
		other := b.figure(&s.Others[i])
		other.Superseded = s.Superseded(i)
		f.Others = append(f.Others, other)
	}
	return &f
}

func (b *builder) figure(c *claim.Claim) Figure {
	p, _ := claim.Find(c.Property)
	f := Figure{
		Claim: c.ID(), Property: c.Property, Label: p.Label, Of: spaced(c.Qualifier), Text: display(p, c), Value: c.Value, Kind: string(c.Kind),
		Speaker: c.Speaker.Label(), Who: c.Who, AsOf: cmp.Or(c.AsOf, claim.NotRecorded), Quote: c.Quote, Place: c.Place,
		Confidence: cmp.Or(string(c.Confidence), claim.NotRecorded), Coder: c.Coder, Reasoning: c.Reasoning, Note: c.Note,
	}
	switch p.Type {
	case claim.Incident:
		f.Text = cmp.Or(b.in.Names[c.Value], c.Value)
	case claim.Prose:
		f.Text = strings.Join(paragraphs(c.Value), " ")
	}
	if src, ok := b.in.Sources[c.Source]; ok {
		f.Source = &Link{src.ID, sourceName(src)}
	}
	return f
}

func spaced(s string) string { return strings.ReplaceAll(s, "_", " ") }

func sourceName(s claim.Source) string {
	if s.Title == "" {
		return s.Publisher
	}
	return s.Publisher + ": " + s.Title
}

// all returns the figures of a property, one for each qualifier, or one for each value where many stand side by side.
func (b *builder) all(property string) []Figure {
	figures := []Figure{}
	p, _ := claim.Find(property)
	for _, key := range b.order {
		if key[0] != property {
			continue
		}
		if p.Values == claim.One {
			figures = append(figures, *b.one(key[0], key[1]))
			continue
		}
		for _, i := range *b.groups[key] {
			figures = append(figures, b.figure(&b.visible[i]))
		}
	}
	return figures
}

func (b *builder) list(property string) List {
	p, _ := claim.Find(property)
	l := List{Property: property, Label: p.Label, Count: b.counts[property]}
	if p.Access.Level(b.ask.Reader) == access.Value {
		l.Items = b.all(property)
	}
	return l
}

func (b *builder) actors() Actors {
	a := Actors{Count: b.counts["actor"]}
	for _, f := range b.all("actor") {
		actor := ActorView{Link: Link{f.Value, cmp.Or(b.in.Actors[f.Value].Name, f.Value)}, Type: claim.NotRecorded, Location: claim.NotRecorded}
		f.Text = actor.Name
		a.Figures = append(a.Figures, f)
		if t := b.one("actor_type", f.Value); t != nil {
			actor.Type = t.Text
			a.Figures = append(a.Figures, *t)
		}
		if l := b.one("actor_location", f.Value); l != nil {
			actor.Location = l.Text
			a.Figures = append(a.Figures, *l)
		}
		a.Items = append(a.Items, actor)
	}
	return a
}

// taken has a row for each class that somebody speaks of, and for each class a guard knows that nobody does.
func (b *builder) taken() []TakenRow {
	spoken := map[string]bool{}
	for _, key := range b.order {
		if p, _ := claim.Find(key[0]); p.Section == "taken" {
			spoken[key[1]] = true
		}
	}
	guarded := map[string]bool{}
	for _, c := range weir.Classes() {
		guarded[c.String()] = c != weir.Other
	}
	rows := []TakenRow{}
	for _, name := range claim.DataClasses {
		if !spoken[name] && !guarded[name] {
			continue
		}
		row := TakenRow{Class: spaced(name), Status: "not said", Figures: []Figure{}, People: b.one("taken_people", name)}
		if f := b.one("taken", name); f != nil {
			row.Status = f.Text
			row.Figures = append([]Figure{*f}, f.Others...)
			row.Figures[0].Others = nil
		}
		row.Measured = cmp.Or(b.one("released_class", name), b.one("none_found", name))
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
		if s, _ := b.selection(key); p.Values == claim.One && p.Type != claim.Prose && s.Disagree() {
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

// prose prints a text with its references; those to what the reader may not see say so. In a view of a past day it leaves out
// the sentences that refer to what had not been said by then: their words would tell of it even without the figure.
func (b *builder) prose(property string) []Paragraph {
	all := []Paragraph{}
	c, ok := b.leads(property, "")
	if !ok {
		return all
	}
	for _, text := range paragraphs(c.Value) {
		if !b.ask.AsOf.IsZero() {
			said := slices.DeleteFunc(sentences(text), func(s string) bool {
				return slices.ContainsFunc(reference.FindAllStringSubmatch(s, -1), func(m []string) bool { return b.saidLater(readRef(m)) })
			})
			if text = strings.Join(said, " "); text == "" {
				continue
			}
		}
		var p Paragraph
		at := 0
		for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
			if m[0] > at {
				p = append(p, Segment{Text: text[at:m[0]]})
			}
			p = append(p, b.reference(readRef(reference.FindStringSubmatch(text[m[0]:m[1]]))))
			at = m[1]
		}
		if at < len(text) {
			p = append(p, Segment{Text: text[at:]})
		}
		all = append(all, p)
	}
	return all
}

// of returns the builder of the incident that a reference leads to; nil if the reader may not see it.
func (b *builder) of(r ref) *builder {
	if r.incident == "" || r.incident == b.in.ID {
		return b
	}
	at := slices.IndexFunc(b.in.Siblings, func(s *Incident) bool { return s.ID == r.incident })
	if at < 0 {
		return nil
	}
	return newBuilder(b.in.Siblings[at], b.ask)
}

// saidLater reports whether the reader may see what the reference leads to, but nobody had said it by the day of the view.
func (b *builder) saidLater(r ref) bool {
	of := b.of(r)
	return of != nil && of.one(r.property, r.qualifier) == nil &&
		slices.ContainsFunc(of.later, func(c claim.Claim) bool { return c.Property == r.property && c.Qualifier == r.qualifier })
}

func (b *builder) reference(r ref) Segment {
	of := b.of(r)
	if of == nil {
		return Segment{Text: "(not available)"}
	}
	if r.property == historyReference {
		return of.historyWords()
	}
	if f := of.one(r.property, r.qualifier); f != nil {
		return Segment{Text: f.Text, Figure: f, Incident: r.incident}
	}
	if p, ok := claim.Find(r.property); ok && p.Access.Level(b.ask.Reader) == access.Value {
		return Segment{Text: "(not said)"}
	}
	return Segment{Text: "(available to members)"}
}
