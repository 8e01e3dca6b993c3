package incident

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"weir/internal/claim"
)

// A token is a figure that stands in a text: digits, number words, ordinals, dates.
type token struct {
	text  string
	at    int // byte offset
	value float64
	kind  tokenKind
	when  claim.Period // of a date
}

type tokenKind int

const (
	number tokenKind = iota
	share
	money
	ordinal
	date
)

// The words of figures. March and May are months only behind a word that a time follows: they have other meanings.
const (
	months      = `(?:January|February|March|April|May|June|July|August|September|October|November|December)`
	bareMonth   = `(?:January|February|April|June|July|August|September|October|November|December)`
	before      = `(?:in|since|by|until|till|from|to|before|after|during|of|through|early|late|mid)`
	units       = `(?:one|two|three|four|five|six|seven|eight|nine)`
	teens       = `(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)`
	tens        = `(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)`
	magnitude   = `(?:hundred|thousand|million|billion|trillion)`
	smallNumber = `(?:` + tens + `(?:[- ]` + units + `)?|` + teens + `|` + units + `)`
	inWords     = `(?:` + smallNumber + `[- ]` + magnitude + `(?: ` + magnitude + `)*|` + tens + `(?:[- ]` + units + `)?|` + teens +
		`|two|three|four|five|six|seven|eight|nine|zero|dozen|half|` + magnitude + `)`
	inDigits     = `\d[\d,]*(?:\.\d+)?(?: ` + magnitude + `)?`
	ordinalUnits = `(?:second|third|fourth|fifth|sixth|seventh|eighth|ninth)`
	ordinalWords = `(?:(?:` + tens + `[- ])(?:first|` + ordinalUnits + `)|` + ordinalUnits +
		`|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth` +
		`|twentieth|thirtieth|fortieth|fiftieth|sixtieth|seventieth|eightieth|ninetieth|hundredth|thousandth|millionth)`
)

// terms hold a figure and are none: names of standards, products, forms and techniques, and idioms. What begins with a letter
// and goes on with digits is a name, but for quarters and halves of a year, fiscal years, and currencies.
const terms = `third[- ]part(?:y|ies)|second[- ]hand|per second|(?:two|second|multi)[- ](?:factor|step)|zero[- ](?:day|trust)|fifty-fifty` +
	`|form (?:8|10|20|6)-[KQF]|[2-6]G|(?:Office|Microsoft) 365|(?:article|section|rule|item|part) \d+(?:\.\d+)*|(?:SHA|AES|RSA|CVE|CWE|CAPEC|OAT|UTF|ISO|RFC|HTTP|TLS|OAuth)[-/ ]\d[\d.:-]*` +
	`|S3|EC2|(?:OAuth|IPv|SHA|MD|Auth|Web|API|T|B)\d[\w.:]*|Log4[jJ]|Log4Shell`

// figure is what prose may not hold outside of a reference. "one" and "first" are left out, for they are pronoun and adverb
// more often than figure; a month without a number beside it counts unless it is a word of its own (march, may).
var figure = regexp.MustCompile(`(?i)` +
	`(?P<term>\b(?:` + terms + `)\b)` +
	`|(?P<date>\b\d{1,2} ` + months + `\b(?: \d{4})?|\b` + months + ` \d{1,2}(?:,? \d{4})?\b|\b` + months + ` \d{4}\b)` +
	`|(?P<money>(?:\bUSD |\bEUR |\bGBP |[$€£])` + inDigits + `)` +
	`|(?P<share>\b(?:\d+(?:\.\d+)?|` + inWords + `|one) ?(?:%|per ?cent\b|percentage points?\b))` +
	`|(?P<ordinal>\b\d+(?:st|nd|rd|th)\b|\b` + ordinalWords + `\b|\b(?:thirds|fourths|fifths|tenths)\b)` +
	`|(?P<number>\b` + inDigits + `\b)` +
	`|(?P<word>\b(?:` + inWords + `|dozens|hundreds|thousands|millions|billions|trillions|twice|thrice|halves|quarters?|doubled|tripled|quadrupled)\b)` +
	`|\b` + before + `[ -](?P<month>(?-i:March|May)\b)|(?P<bare>\b` + bareMonth + `\b)` +
	`|(?P<other>\S*[\p{Nd}\p{No}\p{Nl}]\S*)`)

var numberWords = map[string]float64{
	"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
	"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30,
	"forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12, "half": 0.5,
	"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
}

// tokens returns the figures of a text.
func tokens(text string) (all []token) {
	names := figure.SubexpNames()
	for _, m := range figure.FindAllStringSubmatchIndex(text, -1) {
		for i := 1; i < len(names); i++ {
			if m[2*i] >= 0 && names[i] != "term" {
				t := token{text: text[m[2*i]:m[2*i+1]], at: m[2*i], value: -1}
				t.read(names[i])
				all = append(all, t)
			}
		}
	}
	return all
}

func (t *token) read(group string) {
	switch group {
	case "date":
		t.kind, t.when = date, readDate(t.text)
	case "money":
		t.kind, t.value = money, readNumber(strings.TrimLeft(strings.ToUpper(t.text), "USDERGBP $€£"))
	case "share":
		t.kind = share
		if v := readNumber(shareSign.ReplaceAllString(t.text, "")); v >= 0 {
			t.value = v / 100
		}
	case "ordinal":
		t.kind, t.value = ordinal, -1
		if n, err := strconv.Atoi(strings.TrimRight(strings.ToLower(t.text), "stndrh")); err == nil {
			t.value = float64(n)
		}
		for n, word := range ordinals {
			if strings.EqualFold(word, t.text) {
				t.value = float64(n)
			}
		}
	case "number":
		t.value = readNumber(t.text)
		if len(t.text) == 4 && t.value >= 1900 && t.value < 2100 {
			t.kind, t.when = date, readDate(t.text)
		}
	case "word":
		t.value = readNumber(t.text)
	case "month", "bare":
		t.kind = date
	}
}

var shareSign = regexp.MustCompile(`(?i) ?(?:%|per ?cent|percentage points?)$`)

// readNumber reads a figure as English writes it, in digits or words; -1 for none.
func readNumber(s string) float64 {
	all, below := 0.0, 0.0 // what is complete, and what a magnitude may yet multiply
	for word := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return r == ' ' || r == '-' }) {
		v, known := numberWords[word]
		if !known {
			var err error
			if v, err = strconv.ParseFloat(strings.ReplaceAll(word, ",", ""), 64); err != nil {
				return -1
			}
		}
		switch {
		case known && v >= 1e3:
			all, below = all+max(below, 1)*v, 0
		case known && v == 1e2:
			below = max(below, 1) * v
		default:
			below += v
		}
	}
	return all + below
}

// readDate reads a date as English writes it; the zero period where no year is given.
func readDate(s string) claim.Period {
	s = strings.ReplaceAll(s, ",", "")
	for layout, form := range map[string]string{
		"2 January 2006": "2006-01-02", "January 2 2006": "2006-01-02", "January 2006": "2006-01", "2006": "2006",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			p, err := claim.ParsePeriod(t.Format(form))
			if err == nil {
				return p
			}
		}
	}
	return claim.Period{}
}

// matches reports whether the claim could be what the figure is of.
func (t *token) matches(c *claim.Claim) bool {
	p, ok := claim.Find(c.Property)
	if !ok {
		return false
	}
	value := c.Value
	switch {
	case p.Type == claim.Date:
		period, err := claim.ParsePeriod(value)
		return err == nil && t.kind == date && !t.when.First.IsZero() && period.First.Before(t.when.End) && t.when.First.Before(period.End)
	case p.Type == claim.Money:
		_, value, _ = strings.Cut(value, " ")
	case p.Type == claim.Share && t.kind != share, p.Type != claim.Count && p.Type != claim.Share, p.Name == "ordinal" != (t.kind == ordinal), t.kind == date:
		return false
	}
	q, err := claim.ParseQuantity(value)
	return err == nil && t.value >= 0 && (q.Low == t.value || q.High == t.value)
}
