package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weir/internal/claim"
)

// A reference in prose is {property}, {property:qualifier}, or {incident-id/property:qualifier} for another incident's claim;
// {history} is the computed ordinal.
var reference = regexp.MustCompile(`\{(?:([a-z0-9-]+)/)?([a-z_]+)(?::([^{}]+))?\}`)

// historyReference is how prose refers to the computed history.
const historyReference = "history"

// ref is a reference that was read.
type ref struct {
	text                          string
	incident, property, qualifier string // incident is empty for the text's own
}

func readRef(m []string) ref { return ref{m[0], m[1], m[2], m[3]} }

// paragraphs splits prose at empty lines and folds the white space within.
func paragraphs(prose string) (all []string) {
	for text := range strings.SplitSeq(prose, "\n\n") {
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// sentenceEnd is a full stop, exclamation or question mark before a space and a capital letter or a reference.
var sentenceEnd = regexp.MustCompile(`[.!?]["”)]* +(["“(]*[A-Z{])`)

func sentences(text string) (all []string) {
	at := 0
	for _, m := range sentenceEnd.FindAllStringSubmatchIndex(text, -1) {
		all = append(all, strings.TrimSpace(text[at:m[2]]))
		at = m[2]
	}
	return append(all, strings.TrimSpace(text[at:]))
}

// A textProblem is something wrong with a sentence of a text.
type textProblem struct{ what, hint string }

// lintProse checks a text of the record in (P6): no bare figures, references that lead to claims, and in one sentence only
// references to the incident that the sentence names. others are the records that the text may speak of, by id.
func lintProse(in *Record, text string, others map[string]*Record) (problems []textProblem) {
	for _, paragraph := range paragraphs(text) {
		for _, s := range sentences(paragraph) {
			problems = append(problems, lintReferences(in, s, others)...)
			plain := reference.ReplaceAllStringFunc(s, func(r string) string { return strings.Repeat("~", len(r)) })
			for _, t := range tokens(plain) {
				problems = append(problems, textProblem{fmt.Sprintf("%q stands bare in %q", t.text, shorten(s)), hint(candidates(&t, in, others))})
			}
		}
	}
	return problems
}

func lintReferences(in *Record, s string, others map[string]*Record) (problems []textProblem) {
	named := map[string]bool{}
	for _, m := range reference.FindAllStringSubmatch(s, -1) {
		r := readRef(m)
		named[r.incident] = true
		of := in
		if r.incident != "" {
			of = others[r.incident]
		}
		switch {
		case of == nil:
			problems = append(problems, textProblem{r.text + " leads to no incident", "write the id of a record, or leave it out for this one"})
		case r.property == historyReference && r.qualifier == "":
		case !slices.ContainsFunc(of.Claims, func(c claim.Claim) bool { return c.Property == r.property && c.Qualifier == r.qualifier }):
			problems = append(problems, textProblem{r.text + " leads to no claim", "add the claim, with its source, or take one of " + strings.Join(qualifiers(of, r.property), ", ")})
		}
	}
	if len(named) > 1 {
		problems = append(problems, textProblem{fmt.Sprintf("%q refers to claims of more than one incident", shorten(s)), "one sentence names one incident: write another sentence for the other"})
	}
	return problems
}

// lintSum checks that what a sum adds up is there and of one kind.
func lintSum(in *Record, value string) (problems []textProblem) {
	problems = lintReferences(in, value, nil)
	if len(problems) > 0 {
		return problems
	}
	seen := map[string]bool{}
	unit := ""
	for i, m := range reference.FindAllStringSubmatch(value, -1) {
		r := readRef(m)
		if seen[r.text] {
			problems = append(problems, textProblem{r.text + " is added twice", "name each figure once"})
		}
		seen[r.text] = true
		for _, c := range in.Claims {
			if c.Property != r.property || c.Qualifier != r.qualifier {
				continue
			}
			currency, _, err := quantityOf(&c)
			if i == 0 && unit == "" {
				unit = r.property + " " + currency
			}
			if err != nil || unit != r.property+" "+currency {
				problems = append(problems, textProblem{r.text + " does not add up with the others", "add counts of one property, or money of one property and currency"})
				break
			}
		}
	}
	return problems
}

// qualifiers lists the references that a record offers for a property.
func qualifiers(r *Record, property string) (all []string) {
	for _, c := range r.Claims {
		if text := refTo("", &c); c.Property == property && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if all == nil {
		return []string{"another property"}
	}
	return all
}

func refTo(incident string, c *claim.Claim) string {
	s := c.Property
	if incident != "" {
		s = incident + "/" + s
	}
	if c.Qualifier != "" {
		s += ":" + c.Qualifier
	}
	return "{" + s + "}"
}

// Mentions returns the ids of the other incidents that the record's claims and texts refer to, whether they are there or not.
func (r *Record) Mentions() (ids []string) {
	for _, c := range r.Claims {
		p, ok := claim.Find(c.Property)
		switch {
		case ok && p.Type == claim.Incident:
			ids = append(ids, c.Value)
		case ok && p.Type == claim.Prose:
			for _, m := range reference.FindAllStringSubmatch(c.Value, -1) {
				if id := readRef(m).incident; id != "" {
					ids = append(ids, id)
				}
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A candidate is a claim that a bare figure may be of.
type candidate struct {
	record *Record
	claim  *claim.Claim
	own    bool
}

// candidates returns the claims that the figure may be of: the record's own first, then those of the victim's other incidents.
func candidates(t *token, in *Record, others map[string]*Record) (all []candidate) {
	add := func(r *Record, own bool) {
		for i := range r.Claims {
			if t.matches(&r.Claims[i]) {
				all = append(all, candidate{r, &r.Claims[i], own})
			}
		}
	}
	add(in, true)
	for _, id := range sortedIDs(others) {
		if r := others[id]; r.ID != in.ID && r.Victim == in.Victim {
			add(r, false)
		}
	}
	return all
}

func sortedIDs(m map[string]*Record) (ids []string) {
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func hint(all []candidate) string {
	if len(all) == 0 {
		return "no claim has this figure: add one with its source, then write a reference such as {people:accounts}"
	}
	var refs []string
	for _, c := range all {
		id := c.record.ID
		if c.own {
			id = ""
		}
		if text := refTo(id, c.claim); !slices.Contains(refs, text) {
			refs = append(refs, text)
		}
	}
	return "write a reference: " + strings.Join(refs[:min(len(refs), 4)], " or ")
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 70 {
		return string(r[:69]) + "…"
	}
	return s
}

// A Finding is what CheckText has to say of a figure in a text from elsewhere.
type Finding struct {
	Sentence string
	Figure   string
	What     string
}

// CheckText holds a text from elsewhere, such as another register's page, against the claims of one victim's incidents. It
// reports figures that are claimed of another incident than the one that the words around them name by its year, figures
// that nobody claims, and ordinals, which mean nothing without a rule.
func CheckText(text string, incidents []*Record) (findings []Finding) {
	for _, paragraph := range paragraphs(text) {
		for _, s := range sentences(paragraph) {
			for clause := range strings.SplitSeq(s, ", ") {
				all := tokens(clause)
				for i := range all {
					if what := checkFigure(&all[i], all, incidents); what != "" {
						findings = append(findings, Finding{s, all[i].text, what})
					}
				}
			}
		}
	}
	return findings
}

func checkFigure(t *token, clause []token, incidents []*Record) string {
	if t.kind == date {
		return ""
	}
	var claimed []candidate
	for _, r := range incidents {
		claimed = append(claimed, candidates(t, &Record{ID: r.ID, Victim: r.Victim, Claims: r.Claims}, nil)...)
	}
	if t.kind == ordinal {
		return checkOrdinal(t, claimed)
	}
	if len(claimed) == 0 {
		return "no claim of this organisation's incidents has this figure"
	}
	named := namedIncidents(clause, incidents)
	if len(named) == 0 || slices.ContainsFunc(claimed, func(c candidate) bool { return slices.Contains(named, c.record.ID) }) {
		return ""
	}
	var of []string
	for _, c := range claimed {
		if text := fmt.Sprintf("%s (%s)", c.record.ID, recordDate(c.record)); !slices.Contains(of, text) {
			of = append(of, text)
		}
	}
	return fmt.Sprintf("claimed of %s; the words around it name %s", strings.Join(of, ", "), strings.Join(named, ", "))
}

func checkOrdinal(t *token, claimed []candidate) string {
	what := "an ordinal needs a rule that says what is counted"
	var rules []string
	for _, c := range claimed {
		if text := fmt.Sprintf("%s by the rule %q", c.claim.Value, c.claim.Qualifier); !slices.Contains(rules, text) {
			rules = append(rules, text)
		}
	}
	for _, c := range claimed {
		for _, other := range c.record.Claims {
			if text := fmt.Sprintf("%s by the rule %q", other.Value, other.Qualifier); other.Property == "ordinal" && !slices.Contains(rules, text) {
				rules = append(rules, text)
			}
		}
	}
	if rules == nil {
		return what + "; nobody claims this one"
	}
	return what + ": it is " + strings.Join(rules, "; ")
}

// namedIncidents are those that began in a year or month which the clause names.
func namedIncidents(clause []token, incidents []*Record) (ids []string) {
	for i := range clause {
		for _, r := range incidents {
			if t := &clause[i]; t.kind == date && !slices.Contains(ids, r.ID) &&
				slices.ContainsFunc(r.Claims, func(c claim.Claim) bool { return c.Property == "date" && t.matches(&c) }) {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

func recordDate(r *Record) string {
	for _, c := range r.Claims {
		if c.Property == "date" {
			return displayDate(c.Value)
		}
	}
	return claim.NotRecorded
}
