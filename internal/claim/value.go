package claim

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Type is the form of a property's values.
type Type string

// The types.
const (
	Text     Type = "text"
	Prose    Type = "prose"     // text whose figures are references to claims
	Date     Type = "date"      // see ParsePeriod
	Count    Type = "count"     // whole people or things; see ParseQuantity
	Share    Type = "share"     // 0 to 1; see ParseQuantity
	Money    Type = "money"     // a currency (ISO 4217), a space and a quantity of whole units: "USD 350000000"
	Enum     Type = "enum"      // one of the property's words
	YesNo    Type = "yes_no"    // yes, no, unknown
	Actor    Type = "actor"     // a threat actor's id
	Incident Type = "incident"  // an incident's id
	Address  Type = "url"       // where something is, https or http
	Digest   Type = "sha256"    // 64 hexadecimal digits
	Sum      Type = "sum"       // references to figures that add up: "{people:customers} + {people:former customers}"
	Coded    Type = "catalogue" // an entry of a catalogue: its id, a space and its name, such as "T1190 Exploit Public-Facing Application"
)

var sum = regexp.MustCompile(`^\{[^{}/]+\}(?: \+ \{[^{}/]+\})+$`)

var yesNo = []string{"yes", "no", "unknown"}

// Words returns the values that the property may have, if they are listed.
func (p *Property) Words() []string {
	if p.Type == YesNo {
		return yesNo
	}
	return p.Enum
}

// CheckValue refuses a value that does not have the property's form.
func (p *Property) CheckValue(v string) error {
	switch p.Type {
	case Date:
		_, err := ParsePeriod(v)
		return err
	case Count, Share:
		return p.checkQuantity(v)
	case Money:
		currency, amount, _ := strings.Cut(v, " ")
		if len(currency) != 3 || strings.Trim(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return fmt.Errorf("value %q has no currency: write the ISO 4217 code and whole units, such as USD 350000000", v)
		}
		return p.checkQuantity(amount)
	case Enum, YesNo:
		if !slices.Contains(p.Words(), v) {
			return fmt.Errorf("value %q is none of %s", v, strings.Join(p.Words(), ", "))
		}
	case Actor, Incident:
		if !ValidID(v) {
			return fmt.Errorf("value %q is no id", v)
		}
	case Address:
		if !strings.HasPrefix(v, "https://") && !strings.HasPrefix(v, "http://") {
			return fmt.Errorf("value %q is no web address", v)
		}
	case Digest:
		if len(v) != 64 || strings.Trim(v, "0123456789abcdef") != "" {
			return fmt.Errorf("value %q is no SHA-256: write 64 hexadecimal digits", v)
		}
	case Sum:
		if !sum.MatchString(v) {
			return fmt.Errorf("value %q is no sum: write references to figures of this record with a plus between them, {people:a} + {people:b}", v)
		}
	case Coded:
		if !p.Pattern.MatchString(v) {
			return fmt.Errorf("value %q is no entry of the catalogue: write its id and its name, such as %q", v, p.Example)
		}
	}
	return nil
}

func (p *Property) checkQuantity(v string) error {
	q, err := ParseQuantity(v)
	switch {
	case err != nil:
		return err
	case p.Type == Share && q.High > 1 && q.Bound != '>':
		return fmt.Errorf("value %q is no share: it lies between 0 and 1", v)
	case p.Type != Share && (q.Low != math.Trunc(q.Low) || q.High != math.Trunc(q.High)):
		return fmt.Errorf("value %q is no whole number", v)
	}
	return nil
}

// ValidID reports whether an id of the register has its form: small letters, digits and hyphens.
func ValidID(id string) bool {
	return id != "" && len(id) <= 100 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// A Quantity is a figure as its speaker gave it.
type Quantity struct {
	Low, High float64 // equal for a single figure
	Bound     byte    // '>' more than Low, '<' less than High, 0 neither
}

var quantity = regexp.MustCompile(`^([<>]?)(\d{1,15}(?:\.\d{1,9})?)(?:\.\.(\d{1,15}(?:\.\d{1,9})?))?$`)

// ParseQuantity reads a figure: 37000000, a range 1000000..1260000, or a bound >79000000, <0.03. There is no sign and no
// exponent, and nothing goes through binary rounding that a reader would see.
func ParseQuantity(v string) (Quantity, error) {
	m := quantity.FindStringSubmatch(v)
	if m == nil || m[1] != "" && m[3] != "" {
		return Quantity{}, fmt.Errorf("value %q is no figure: write 37000000, 1000000..1260000, >79000000 or <0.03", v)
	}
	low, err := strconv.ParseFloat(m[2], 64)
	high := low
	if m[3] != "" {
		var e error
		high, e = strconv.ParseFloat(m[3], 64)
		err = errors.Join(err, e)
	}
	if err != nil || high < low {
		return Quantity{}, fmt.Errorf("value %q is no range: the smaller figure comes first", v)
	}
	q := Quantity{Low: low, High: high}
	if m[1] != "" {
		q.Bound = m[1][0]
	}
	return q, nil
}

// A Period is the time that a date of some precision means: from First until before End.
type Period struct{ First, End time.Time }

var dateForms = []struct {
	layout string
	end    func(time.Time) time.Time
}{
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{time.RFC3339, func(t time.Time) time.Time { return t.Add(time.Second) }},
}

// ParsePeriod reads a date: 2022, 2022-11, 2022-11-25, a time (RFC 3339), or not-before/not-after, two of these around a
// slash (ISO 8601 interval).
func ParsePeriod(v string) (Period, error) {
	before, after, between := strings.Cut(v, "/")
	p, err := onePeriod(before)
	if err != nil || !between {
		return p, err
	}
	q, err := onePeriod(after)
	if err != nil {
		return p, err
	}
	if q.First.Before(p.First) {
		return p, fmt.Errorf("value %q ends before it begins", v)
	}
	return Period{p.First, q.End}, nil
}

func onePeriod(v string) (Period, error) {
	for _, form := range dateForms {
		if t, err := time.Parse(form.layout, v); err == nil {
			t = t.UTC()
			return Period{t, form.end(t)}, nil
		}
	}
	return Period{}, fmt.Errorf("value %q is no date: write 2022, 2022-11, 2022-11-25, a time in RFC 3339, or two of them with a slash for not before and not after", v)
}

// Day reports whether the period is one day or shorter, so that days can be counted from it.
func (p Period) Day() bool { return p.End.Sub(p.First) <= 24*time.Hour }
