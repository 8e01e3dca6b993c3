// Package claim holds single statements about incidents with the evidence for each.
//
// A claim is a property, a value, who says so, how they know, and as of when. Claims are never changed: a later one stands
// beside the earlier, disagreement is kept, and which one a page shows first is decided by a stated rule (P6, P8).
package claim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/internal/access"
)

// A Kind is how somebody knows what they claim.
type Kind string

// The kinds.
const (
	Stated   Kind = "stated"   // somebody said so
	Measured Kind = "measured" // a guard's signed statement
	Computed Kind = "computed" // a shown rule over other claims; never written down
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

// Speakers returns all speakers in their order.
func Speakers() []Speaker { return slices.Clone(speakers) }

var speakerLabels = map[Speaker]string{
	VictimFiling: "victim's filing", Regulator: "regulator", Court: "court", VictimStatement: "victim's statement", Research: "research",
	Press: "press", Attacker: "attacker", Guard: "guard", Editors: "editors",
}

// Label returns the speaker as pages print it.
func (s Speaker) Label() string { return speakerLabels[s] }

// A Confidence is how sure the register is that the speaker said so. It does not judge whether the speaker is right.
type Confidence string

// The confidences; an empty one reads "not recorded".
const (
	High   Confidence = "high"   // the primary text was read
	Medium Confidence = "medium" // a text that quotes or reports it was read
	Low    Confidence = "low"    // remembered or inferred
)

var confidences = []Confidence{High, Medium, Low}

// NotRecorded is printed for what is not known about a source or a claim. It is never guessed.
const NotRecorded = "not recorded"

// A Claim is one statement about one incident.
type Claim struct {
	Key        string     `yaml:"id,omitempty" json:"key,omitempty"` // a short name within its file, for Supersedes
	Property   string     `yaml:"property" json:"property"`
	Qualifier  string     `yaml:"of,omitempty" json:"of,omitempty"` // what the value is of: a class, a population, an event
	Value      string     `yaml:"value" json:"value"`
	Approx     bool       `yaml:"approx,omitempty" json:"approx,omitempty"` // the speaker said about, around, on or about
	Kind       Kind       `yaml:"kind,omitempty" json:"kind,omitempty"`     // stated if empty
	Speaker    Speaker    `yaml:"speaker" json:"speaker"`
	Who        string     `yaml:"who,omitempty" json:"who,omitempty"`               // the speaker's name
	Source     string     `yaml:"source,omitempty" json:"source,omitempty"`         // a source's id
	Quote      string     `yaml:"quote,omitempty" json:"quote,omitempty"`           // the source's own few words
	Place      string     `yaml:"place,omitempty" json:"place,omitempty"`           // where in the source
	AsOf       string     `yaml:"as_of,omitempty" json:"as_of,omitempty"`           // when it was said: source time; empty reads "not recorded"
	Confidence Confidence `yaml:"confidence,omitempty" json:"confidence,omitempty"` // empty reads "not recorded"
	Coder      string     `yaml:"coder,omitempty" json:"coder,omitempty"`           // of an assessed claim
	Reasoning  string     `yaml:"reasoning,omitempty" json:"reasoning,omitempty"`
	Note       string     `yaml:"note,omitempty" json:"note,omitempty"`
	Supersedes string     `yaml:"supersedes,omitempty" json:"supersedes,omitempty"` // the Key of an earlier claim of the file
	Visible    string     `yaml:"visible,omitempty" json:"visible,omitempty"`       // nobody below this tier sees it, whatever its property's rule says
	Embargo    string     `yaml:"embargo,omitempty" json:"embargo,omitempty"`       // until this day only responders see it

	Incident string `yaml:"-" json:"-"`
	Seq      int64  `yaml:"-" json:"-"` // the order in which claims were recorded
	Revision int64  `yaml:"-" json:"-"` // the revision that recorded it
	Line     int    `yaml:"-" json:"-"` // where it begins in the file that it was read from
	Now      *Claim `yaml:"-" json:"-"` // of a claim of a past revision: the same statement as it stands now, if it does
}

// ID names a claim by what it says: the same statement about the same incident always has the same id.
func (c *Claim) ID() string {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a bool always marshal
	}
	sum := sha256.Sum256(append([]byte(c.Incident+"\n"), body...))
	return hex.EncodeToString(sum[:8])
}

// A Source is where a claim was read. What is not known about it is empty and reads "not recorded".
type Source struct {
	ID        string `yaml:"id" json:"id"`
	Publisher string `yaml:"publisher" json:"publisher"`
	Title     string `yaml:"title,omitempty" json:"title"`
	Type      string `yaml:"type" json:"type"`
	Published string `yaml:"published,omitempty" json:"published"`
	Retrieved string `yaml:"retrieved,omitempty" json:"retrieved"`
	URL       string `yaml:"url,omitempty" json:"url"`
	SHA256    string `yaml:"sha256,omitempty" json:"sha256"`
	Archived  string `yaml:"archived,omitempty" json:"archived"`
	Note      string `yaml:"note,omitempty" json:"note,omitempty"`
}

// Check reports everything that is wrong with a claim by itself, joined.
func (c *Claim) Check() error {
	p, ok := Find(c.Property)
	if !ok {
		return fmt.Errorf("no property %q: see /properties%s", c.Property, nearest(c.Property))
	}
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for name, text := range map[string]string{
		"id": c.Key, "of": c.Qualifier, "value": c.Value, "who": c.Who, "source": c.Source, "quote": c.Quote, "place": c.Place, "coder": c.Coder,
		"reasoning": c.Reasoning, "note": c.Note,
	} {
		if err := CheckText(text); err != nil {
			add("%s: %w", name, err)
		}
	}
	if c.Value == "" {
		add("value is missing: leave the claim out if nobody says anything")
	} else if err := p.CheckValue(c.Value); err != nil {
		errs = append(errs, err)
	}
	if err := p.CheckQualifier(c.Qualifier); err != nil {
		errs = append(errs, err)
	}
	if !slices.Contains(speakers, c.Speaker) {
		add("speaker %q is none of %v", c.Speaker, speakers)
	}
	for name, day := range map[string]string{"as_of": c.AsOf, "embargo": c.Embargo} {
		if _, err := ParsePeriod(day); day != "" && (err != nil || strings.Contains(day, "/")) {
			add("%s %q is no date", name, day)
		}
	}
	if c.Confidence != "" && !slices.Contains(confidences, c.Confidence) {
		add("confidence %q is none of %v", c.Confidence, confidences)
	}
	if _, err := access.ParseTier(c.Visible); c.Visible != "" && err != nil {
		add("visible: %w", err)
	}
	return errors.Join(append(errs, c.checkKind()...)...)
}

// CheckText refuses what no text of the register holds: bytes that are no UTF-8, control characters other than line ends and
// tabs, and characters that change the direction of what stands around them.
func CheckText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("is no text in UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return fmt.Errorf("holds the control character %U: leave it out", r)
		}
	}
	return nil
}

func (c *Claim) checkKind() (errs []error) {
	switch c.Kind {
	case Stated, Measured, "":
		if c.Source == "" {
			errs = append(errs, errors.New("source is missing: only an assessed claim has none"))
		}
	case Assessed:
		if c.Coder == "" || c.Reasoning == "" {
			errs = append(errs, errors.New("coder and reasoning are missing: an assessed claim shows both"))
		}
	default:
		errs = append(errs, fmt.Errorf("kind %q: write stated, measured or assessed; computed figures are not written down", c.Kind))
	}
	if c.Kind == Measured && c.Speaker != Guard {
		errs = append(errs, errors.New("only a guard measures"))
	}
	return errs
}

// rule is who may read the claim: its property's rule, raised by the claim's own tier and, until the embargo's day, to
// those who work on incidents.
func (c *Claim) rule(now time.Time) access.Rule {
	p, ok := Find(c.Property)
	if !ok {
		return access.Rule{}
	}
	rule := p.Access
	if c.Visible != "" {
		tier, err := access.ParseTier(c.Visible)
		if err != nil {
			return access.Rule{}
		}
		rule = rule.Raise(tier)
	}
	if c.Embargo != "" {
		if end, err := ParsePeriod(c.Embargo); err != nil || now.Before(end.First) {
			rule = rule.Raise(access.Responder)
		}
	}
	if c.Now != nil {
		rule = rule.Meet(c.Now.rule(now)) // what was restricted later is restricted in the past as well
	}
	return rule
}

// Level is what a reader sees of a claim at that time (P7).
func (c *Claim) Level(r access.Reader, now time.Time) access.Level { return c.rule(now).Level(r) }

// SaidBy reports whether the claim had been made by the end of that day, as far as is known: the latest day that its as-of
// date may mean, or the day that its source was published, is not after it. dated is false for a claim of which neither is
// recorded. What editors assess is about the record and not about what was said, so it stands in every view.
func (c *Claim) SaidBy(day time.Time, src Source) (said, dated bool) {
	if c.Kind == Assessed {
		return true, true
	}
	when := c.AsOf
	if when == "" {
		when = src.Published
	}
	p, err := ParsePeriod(when)
	if err != nil {
		return false, false
	}
	return !p.End.After(day.AddDate(0, 0, 1)), true
}
