package incident

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"weir/internal/access"
	"weir/internal/claim"
)

// A Problem is something wrong with records, and what to do about it.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"` // 0 where it is of the whole file
	Property string `json:"property,omitempty"`
	What     string `json:"what"`
	Hint     string `json:"hint,omitempty"`
}

// Error prints a problem as compilers do.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Property != "" {
		fmt.Fprintf(&b, ": %s", p.Property)
	}
	fmt.Fprintf(&b, ": %s", p.What)
	if p.Hint != "" {
		fmt.Fprintf(&b, " (%s)", p.Hint)
	}
	return b.String()
}

// Join returns the problems as one error, or nil.
func Join(problems []Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// linter collects the problems of a set.
type linter struct {
	set           *Set
	problems      []Problem
	organisations map[string]bool
	actors        map[string]bool
	sources       map[string]bool
	records       map[string]*Record
}

// Lint reports everything that is wrong with the set, in the order of its files. With ids it looks at those records only;
// the others are there to be referred to.
func (s *Set) Lint(ids ...string) []Problem {
	l := &linter{set: s, records: map[string]*Record{}}
	l.organisations = l.ids(organisationsFile, len(s.Organisations), func(i int) string { return s.Organisations[i].ID })
	l.actors = l.ids(actorsFile, len(s.Actors), func(i int) string { return s.Actors[i].ID })
	l.sources = l.ids(sourcesFile, len(s.Sources), func(i int) string { return s.Sources[i].ID })
	l.ids("", len(s.Records), func(i int) string { return s.Records[i].ID })
	for i := range s.Records {
		l.records[s.Records[i].ID] = &s.Records[i]
	}
	l.objects()
	for i := range s.Records {
		if len(ids) == 0 || slices.Contains(ids, s.Records[i].ID) {
			l.record(&s.Records[i])
		}
	}
	return l.problems
}

func (l *linter) ids(file string, n int, id func(int) string) map[string]bool {
	seen := map[string]bool{}
	for i := range n {
		name := file
		if name == "" {
			name = id(i) + ".yaml"
		}
		if !claim.ValidID(id(i)) {
			l.problems = append(l.problems, Problem{File: name, Property: "id", What: fmt.Sprintf("%q is no id", id(i)), Hint: "small letters, digits and hyphens"})
		}
		if id(i) == "new" {
			l.problems = append(l.problems, Problem{File: name, Property: "id", What: `cannot be "new"`, Hint: "the editor's form for a new one has this address"})
		}
		if seen[id(i)] {
			l.problems = append(l.problems, Problem{File: name, Property: "id", What: fmt.Sprintf("%q is given twice", id(i)), Hint: "each id names one object"})
		}
		seen[id(i)] = true
	}
	return seen
}

// objects checks what is known of sources and organisations against the property table.
func (l *linter) objects() {
	check := func(file, id string, object claim.Object, values map[string]string) {
		for _, p := range claim.Properties() {
			v := values[p.Name]
			if p.Object != object || v == "" {
				continue
			}
			if err := p.CheckValue(v); err != nil {
				l.problems = append(l.problems, Problem{File: file, Property: id + "." + p.Name, What: err.Error()})
			}
		}
	}
	text := func(file, id string, texts ...string) {
		for _, t := range texts {
			if err := claim.CheckText(t); err != nil {
				l.problems = append(l.problems, Problem{File: file, Property: id, What: err.Error()})
			}
		}
	}
	for _, a := range l.set.Actors {
		text(actorsFile, a.ID, append([]string{a.Name}, a.Aliases...)...)
		if a.Name == "" {
			l.problems = append(l.problems, Problem{File: actorsFile, Property: a.ID, What: "name is missing"})
		}
	}
	for _, s := range l.set.Sources {
		text(sourcesFile, s.ID, s.Publisher, s.Title, s.URL, s.Archived, s.Note)
		check(sourcesFile, s.ID, claim.OfSource, map[string]string{
			"type": s.Type, "published": s.Published, "retrieved": s.Retrieved, "url": s.URL, "sha256": s.SHA256, "archived": s.Archived,
		})
		if s.Publisher == "" || s.Type == "" {
			l.problems = append(l.problems, Problem{File: sourcesFile, Property: s.ID, What: "publisher or type is missing", Hint: "a source has both; what else is not known is left out"})
		}
	}
	for _, o := range l.set.Organisations {
		text(organisationsFile, o.ID, append([]string{o.Name, o.Country, o.Sector}, o.Aliases...)...)
		if o.Name == "" {
			l.problems = append(l.problems, Problem{File: organisationsFile, Property: o.ID, What: "name is missing"})
		}
	}
}

func (l *linter) record(r *Record) {
	file := cmp.Or(r.file, r.ID+".yaml")
	add := func(line int, property, what, hint string) {
		l.problems = append(l.problems, Problem{file, line, property, what, hint})
	}
	if !l.organisations[r.Victim] {
		add(0, "victim", fmt.Sprintf("no organisation %q", r.Victim), "add it to "+organisationsFile)
	}
	if err := claim.CheckText(r.Withdrawn); err != nil {
		add(0, "withdrawn", err.Error(), "")
	}
	for _, name := range l.set.ActorsIn(r.Withdrawn) {
		add(0, "withdrawn", fmt.Sprintf("names %s, whom only members see", name), "everybody reads the reason: write the attacker")
	}
	keys := map[string]bool{}
	for n := range r.Claims {
		c := &r.Claims[n]
		if c.Key != "" && keys[c.Key] {
			add(c.Line, c.Property, fmt.Sprintf("id %q is given twice", c.Key), "a claim's id is its own within the file")
		}
		keys[c.Key] = true
	}
	seen := map[string]int{}
	for n := range r.Claims {
		c := &r.Claims[n]
		report := func(what, hint string) { add(c.Line, cmp.Or(c.Property, "claim"), what, hint) }
		if err := c.Check(); err != nil {
			for _, e := range unjoin(err) {
				report(e.Error(), "")
			}
			continue
		}
		if first, twice := seen[c.ID()]; twice {
			report("the same claim stands at line "+fmt.Sprint(first), "leave one of them out")
		}
		seen[c.ID()] = c.Line
		l.references(c, keys, report)
		l.tells(c, report)
		switch p, _ := claim.Find(c.Property); p.Type {
		case claim.Sum:
			for _, problem := range lintSum(r, c.Value) {
				report(problem.what, problem.hint)
			}
		case claim.Prose:
			for _, problem := range lintProse(r, c.Value, l.records) {
				report(problem.what, problem.hint)
			}
		}
	}
}

// references checks that what a claim refers to is there.
func (l *linter) references(c *claim.Claim, keys map[string]bool, report func(what, hint string)) {
	p, _ := claim.Find(c.Property)
	switch {
	case c.Source != "" && !l.sources[c.Source]:
		report(fmt.Sprintf("no source %q", c.Source), "add it to "+sourcesFile)
	case c.Supersedes != "" && (!keys[c.Supersedes] || c.Supersedes == c.Key):
		report(fmt.Sprintf("supersedes %q, which is no other claim's id in this file", c.Supersedes), "give that claim the id")
	case p.Type == claim.Actor && !l.actors[c.Value], p.Of == "actor" && !l.actors[c.Qualifier]:
		report("no such actor", "add it to "+actorsFile)
	case p.Type == claim.Incident && l.records[c.Value] == nil:
		report(fmt.Sprintf("no incident %q", c.Value), "name a record of this folder")
	case p.Type == claim.Incident && l.records[c.Value].Draft && l.records[c.Incident] != nil && !l.records[c.Incident].Draft && c.Visible == "":
		report(fmt.Sprintf("%s is a draft, which only responders see", c.Value), "publish it first, or give the claim visible: responder")
	}
}

// tells reports what a claim that everybody reads would tell of what only some readers see: the name of a threat actor. The
// titles of sources are printed as they were published.
func (l *linter) tells(c *claim.Claim, report func(what, hint string)) {
	p, _ := claim.Find(c.Property)
	if actor, _ := claim.Find("actor"); p.Access.Level(access.Anybody()) != access.Value || actor.Access.Level(access.Anybody()) == access.Value || c.Visible != "" && c.Visible != access.Public.String() {
		return
	}
	for _, name := range l.set.ActorsIn(strings.Join([]string{c.Qualifier, c.Value, c.Who, c.Quote, c.Place, c.Note, c.Reasoning}, "\n")) {
		report(fmt.Sprintf("names %s, whom only members see", name), "write the attacker, or give the claim visible: member")
	}
}

// ActorsIn returns the names of the set's threat actors that stand in a text, in whatever case.
func (s *Set) ActorsIn(text string) (names []string) {
	text = strings.ToLower(text)
	for _, a := range s.Actors {
		for _, name := range append([]string{a.Name}, a.Aliases...) {
			if containsWord(text, strings.ToLower(name)) {
				names = append(names, name)
			}
		}
	}
	return names
}

// containsWord reports whether a name stands in a text with no letter or digit on either side.
func containsWord(text, name string) bool {
	inside := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for at := 0; name != ""; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(text[:at+i])
		after, _ := utf8.DecodeRuneInString(text[at+i+len(name):])
		if !inside(before) && !inside(after) {
			return true
		}
		at += i + len(name)
	}
	return false
}

// unjoin takes apart what errors.Join made.
func unjoin(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.Clone(several.Unwrap())
	}
	return []error{err}
}
