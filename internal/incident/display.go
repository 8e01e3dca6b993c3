package incident

import (
	"strconv"
	"strings"
	"time"

	"weir/internal/claim"
)

// display is a value as people read it.
func display(p *claim.Property, c *claim.Claim) string {
	text := c.Value
	switch p.Type {
	case claim.Date:
		text = displayDate(c.Value)
		switch _, err := time.Parse("2006-01-02", c.Value); {
		case c.Approx && err == nil:
			text = "on or about " + text
		case c.Approx:
			text = "about " + text
		}
		return text
	case claim.Count:
		text = displayQuantity(c.Value, group)
	case claim.Money:
		currency, amount, _ := strings.Cut(c.Value, " ")
		text = currency + " " + displayQuantity(amount, group)
	case claim.Share:
		percent := func(f float64) string { return strconv.FormatFloat(f*100, 'f', -1, 32) + " %" }
		switch p.Name {
		case "share":
			text = displayQuantity(c.Value, percent)
		case "none_found":
			text = "none found, at coverage " + c.Value
		}
	case claim.Enum, claim.YesNo:
		text = strings.ReplaceAll(text, "_", " ")
	}
	if p.Name == "released_class" {
		text += " released through this guard"
	}
	if c.Approx && !strings.HasPrefix(text, "more than") && !strings.HasPrefix(text, "less than") {
		text = "about " + text
	}
	return text
}

func displayQuantity(v string, one func(float64) string) string {
	q, err := claim.ParseQuantity(v)
	switch {
	case err != nil:
		return v
	case q.Bound == '>':
		return "more than " + one(q.Low)
	case q.Bound == '<':
		return "less than " + one(q.High)
	case q.Low != q.High:
		return one(q.Low) + " to " + one(q.High)
	}
	return one(q.Low)
}

func displayDate(v string) string {
	if before, after, ok := strings.Cut(v, "/"); ok {
		return "between " + displayDate(before) + " and " + displayDate(after)
	}
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
func group(f float64) string {
	n := int64(f)
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

var ordinals = []string{"", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"}

func ordinalWord(n int) string {
	if n < len(ordinals) {
		return ordinals[n]
	}
	suffix := "th"
	if tens := n / 10 % 10; tens != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return group(float64(n)) + suffix
}
