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

const months = `(?:January|February|March|April|May|June|July|August|September|October|November|December)`

// figure is what prose may not hold outside of a reference. "one" and "first" are left out, for they are pronoun and adverb
// more often than figure; a month without a number beside it counts unless it is a word of its own (march, may).
var figure = regexp.MustCompile(`(?i)` +
	`(?P<date>\b\d{1,2} ` + months + `\b(?: \d{4})?|\b` + months + ` \d{1,2}(?:,? \d{4})?\b|\b` + months + ` \d{4}\b)` +
	`|(?P<money>(?:\bUSD |\bEUR |\bGBP |[$€£])\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion))?)` +
	`|(?P<share>\b\d+(?:\.\d+)? ?(?:%|per ?cent\b))` +
	`|(?P<ordinal>\b\d+(?:st|nd|rd|th)\b|\b(?:second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)\b)` +
	`|(?P<number>\b\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion))?\b)` +
	`|(?P<word>\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?|twice|half)\b)` +
	`|(?P<month>\b(?:January|February|April|June|July|August|September|October|November|December)\b)` +
	`|(?P<other>\S*\d\S*)`)

var numberWords = map[string]float64{
	"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12,
	"thousand": 1e3, "million": 1e6, "billion": 1e9, "half": 0.5,
}

// tokens returns the figures of a text.
func tokens(text string) (all []token) {
	names := figure.SubexpNames()
	for _, m := range figure.FindAllStringSubmatchIndex(text, -1) {
		t := token{text: text[m[0]:m[1]], at: m[0], value: -1}
		group := ""
		for i := 1; i < len(names); i++ {
			if m[2*i] >= 0 {
				group = names[i]
			}
		}
		t.read(group)
		all = append(all, t)
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
		t.kind, t.value = share, readNumber(strings.TrimRight(strings.ToLower(t.text), "% percnt"))/100
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
		if v, ok := numberWords[strings.ToLower(t.text)]; ok {
			t.value = v
		}
	case "month":
		t.kind = date
	}
}

// readNumber reads a figure as English writes it; -1 for none.
func readNumber(s string) float64 {
	digits, unit, _ := strings.Cut(strings.ToLower(s), " ")
	v, err := strconv.ParseFloat(strings.ReplaceAll(digits, ",", ""), 64)
	if err != nil {
		return -1
	}
	if f, ok := numberWords[unit]; ok {
		v *= f
	}
	return v
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
