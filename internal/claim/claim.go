// Package claim holds single statements about incidents with the evidence for each.
//
// A claim is a property, a value, who says so, how they know, and as of when. Claims are never changed: a later one stands
// beside the earlier, disagreement is kept, and which one a page shows first is decided by a stated rule (P6, P8).
package claim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/access"
)

// A Kind is how somebody knows what they claim.
type Kind string

// The kinds.
const (
	Stated   Kind = "stated"   // somebody said so
	Measured Kind = "measured" // a guard's signed statement
	Computed Kind = "computed" // a shown rule over other claims
	Assessed Kind = "assessed" // an editor's judgement, with coder and reasoning
)

// A Speaker is the sort of voice that a claim is in.
type Speaker string

// The speakers, in the order in which a page prefers them where they disagree.
const (
	VictimFiling    Speaker = "victim_filing"    // to a regulator or an exchange
	Regulator       Speaker = "regulator"        // an order or a report
	Court           Speaker = "court"            // a pleading or a judgement
	VictimStatement Speaker = "victim_statement" // to customers or the press
	Research        Speaker = "research"         // a database or a study
	Press           Speaker = "press"            // a news report
	Attacker        Speaker = "attacker"         // whoever did it
	Guard           Speaker = "guard"            // a guard's statement
	Editors         Speaker = "editors"          // this register's
)

var speakers = []Speaker{VictimFiling, Regulator, Court, VictimStatement, Research, Press, Attacker, Guard, Editors}

var speakerLabels = map[Speaker]string{
	VictimFiling: "victim's filing", Regulator: "regulator", Court: "court", VictimStatement: "victim's statement", Research: "research",
	Press: "press", Attacker: "attacker", Guard: "guard", Editors: "editors",
}

// Label returns the speaker as pages print it.
func (s Speaker) Label() string { return speakerLabels[s] }

// NotRecorded is printed for what is not known about a source or a claim. It is never guessed.
const NotRecorded = "not recorded"

// A Claim is one statement about one incident.
type Claim struct {
	ID        int64       `yaml:"-"` // given by the store
	Incident  string      `yaml:"-"`
	Property  string      `yaml:"property"`
	Qualifier string      `yaml:"of,omitempty"` // what the value is of: a class, a population, an event
	Value     string      `yaml:"value"`
	Approx    bool        `yaml:"approx,omitempty"` // the speaker said about, around, more than
	Kind      Kind        `yaml:"kind,omitempty"`   // stated if empty
	Speaker   Speaker     `yaml:"speaker"`
	Who       string      `yaml:"who,omitempty"` // the speaker's name
	Source    string      `yaml:"source,omitempty"`
	AsOf      string      `yaml:"as_of,omitempty"` // when it was said: source time; empty reads "not recorded"
	Coder     string      `yaml:"coder,omitempty"` // of an assessed claim
	Reasoning string      `yaml:"reasoning,omitempty"`
	Note      string      `yaml:"note,omitempty"`
	Visible   access.Tier `yaml:"-"` // nobody below sees it, whatever its property's rule says
	Recorded  time.Time   `yaml:"-"` // record time
	Revision  int64       `yaml:"-"`
}

// A Source is where a claim was read.
type Source struct {
	ID        string `yaml:"id" json:"id"`
	Publisher string `yaml:"publisher" json:"publisher"`
	Title     string `yaml:"title,omitempty" json:"title"`
	Type      string `yaml:"type" json:"type"` // filing, order, pleading, notice, press, research, statement
	Published string `yaml:"published,omitempty" json:"published"`
	Retrieved string `yaml:"retrieved,omitempty" json:"retrieved"`
	URL       string `yaml:"url,omitempty" json:"url"`
	SHA256    string `yaml:"sha256,omitempty" json:"sha256"`
	Archived  string `yaml:"archived,omitempty" json:"archived"`
	Note      string `yaml:"note,omitempty" json:"note,omitempty"`
}

// Check reports what is wrong with a claim by itself.
func (c *Claim) Check() error {
	p, ok := Find(c.Property)
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case !ok:
		return fmt.Errorf("no property %q: see the table in internal/claim", c.Property)
	case c.Value == "":
		add("value is missing: leave the claim out if nobody says anything")
	default:
		if err := p.Type.check(c.Value); err != nil {
			errs = append(errs, err)
		}
	}
	if !slices.Contains(speakers, c.Speaker) {
		add("speaker %q is none of %v", c.Speaker, speakers)
	}
	if c.AsOf != "" && Date.check(c.AsOf) != nil {
		add("as_of %q is no date", c.AsOf)
	}
	if p.Qualified != (c.Qualifier != "") {
		add("of: %s", map[bool]string{true: "is missing: it says what the value is of", false: "has no meaning for this property"}[p.Qualified])
	}
	switch c.Kind {
	case Stated, Measured:
		if c.Source == "" {
			add("source is missing: a %s claim has one", c.Kind)
		}
	case Assessed:
		if c.Coder == "" || c.Reasoning == "" {
			add("coder and reasoning are missing: an assessed claim shows both")
		}
	default:
		add("kind %q: write stated, measured or assessed; computed figures are not written down", c.Kind)
	}
	if c.Kind == Measured && c.Speaker != Guard {
		add("only a guard measures")
	}
	return errors.Join(errs...)
}

// A Type is the form of a property's values.
type Type string

// The types.
const (
	Text   Type = "text"
	Prose  Type = "prose"  // text whose figures are references to claims
	Date   Type = "date"   // YYYY, YYYY-MM, YYYY-MM-DD or a time (RFC 3339)
	Number Type = "number" // a whole number that is not negative
	Share  Type = "share"  // 0 to 1
	Money  Type = "money"  // a whole number of US dollars
	Taken  Type = "taken"  // taken, partly, none, unknown
	Impact Type = "impact" // affected, not_affected, unknown
	Ref    Type = "ref"    // another object's id
)

func (t Type) check(v string) error {
	switch t {
	case Date:
		if _, err := ParseDate(v); err != nil {
			return fmt.Errorf("value %q is no date: write 2022, 2022-11, 2022-11-25 or a time in RFC 3339", v)
		}
	case Number, Money:
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
			return fmt.Errorf("value %q is no whole number", v)
		}
	case Share:
		if f, err := strconv.ParseFloat(v, 64); err != nil || f < 0 || f > 1 {
			return fmt.Errorf("value %q is no share between 0 and 1", v)
		}
	case Taken:
		return oneOf(v, "taken", "partly", "none", "unknown")
	case Impact:
		return oneOf(v, "affected", "not_affected", "unknown")
	}
	return nil
}

func oneOf(v string, words ...string) error {
	if !slices.Contains(words, v) {
		return fmt.Errorf("value %q is none of %s", v, strings.Join(words, ", "))
	}
	return nil
}

// ParseDate returns the first moment of a date of any precision.
func ParseDate(v string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02", "2006-01", "2006", time.RFC3339} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date", v)
}

// A Selection is which of the claims about one property and qualifier a page shows, and why.
type Selection struct {
	Chosen Claim
	Rule   string  // in words
	Others []Claim // the rest, in the order of preference
}

// Select chooses among claims about one property and qualifier. The same speaker's later statement supersedes the earlier;
// then the order of speakers decides. It needs at least one claim.
//
// A measured claim is about what was released through a guard. It has properties of its own and so never competes with what
// others say about the whole incident.
func Select(claims []Claim) Selection {
	ordered := slices.Clone(claims)
	slices.SortStableFunc(ordered, func(a, b Claim) int {
		return cmp.Or(
			cmp.Compare(slices.Index(speakers, a.Speaker), slices.Index(speakers, b.Speaker)),
			cmp.Compare(b.AsOf, a.AsOf),
			cmp.Compare(b.Revision, a.Revision),
			cmp.Compare(a.ID, b.ID),
		)
	})
	s := Selection{Chosen: ordered[0], Others: ordered[1:]}
	switch {
	case len(s.Others) == 0:
		s.Rule = "the only claim"
	case s.Others[0].Speaker != s.Chosen.Speaker:
		s.Rule = fmt.Sprintf("%s before %s", s.Chosen.Speaker.Label(), s.Others[0].Speaker.Label())
	case s.Others[0].AsOf != s.Chosen.AsOf:
		s.Rule = "the latest of " + s.Chosen.Speaker.Label()
	default:
		s.Rule = "first recorded of " + s.Chosen.Speaker.Label()
	}
	return s
}

// Disagree reports whether the claims hold different values.
func (s *Selection) Disagree() bool {
	return slices.ContainsFunc(s.Others, func(c Claim) bool { return c.Value != s.Chosen.Value })
}
