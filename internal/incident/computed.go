package incident

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"weir/internal/claim"
)

// A Computed figure follows by a shown rule from other claims. It is made anew with every view from what the reader sees,
// so it can neither be out of date nor tell more than they do.
type Computed struct {
	Name   string  `json:"name"`
	Label  string  `json:"label"`
	Text   string  `json:"text"`
	Value  string  `json:"value"`
	Kind   string  `json:"kind"`
	Rule   string  `json:"rule"`
	Inputs []Input `json:"inputs"`
}

// An Input is a claim that a computed figure rests on.
type Input struct {
	Claim string `json:"claim"`
	Label string `json:"label"`
	Text  string `json:"text"`
}

func (b *builder) input(c *claim.Claim) Input {
	f := b.figure(c)
	return Input{f.Claim, cmp.Or(f.Of, f.Label), f.Text}
}

// durations are the spans that tell how an incident was handled, each between two events.
var durations = []struct{ name, label, from, to string }{
	{"unseen", "Unseen for", "first_disclosure", "detected"},
	{"open", "From first act to detection", "first_act", "detected"},
	{"to_containment", "From detection to containment", "detected", "contained"},
	{"to_authorities", "From detection to report", "detected", "authorities_told"},
	{"to_people", "From detection to notice", "detected", "people_told"},
	{"to_public", "From detection to disclosure", "detected", "disclosed"},
}

func (b *builder) computed() []Computed {
	all := []Computed{}
	for _, d := range durations {
		from, ok := b.leads("event", d.from)
		to, also := b.leads("event", d.to)
		if !ok || !also {
			continue
		}
		first, err := claim.ParsePeriod(from.Value)
		last, err2 := claim.ParsePeriod(to.Value)
		if err != nil || err2 != nil || !first.Day() || !last.Day() || dayOf(last).Before(dayOf(first)) {
			continue // days cannot be counted from a month
		}
		days := int(dayOf(last).Sub(dayOf(first)).Hours() / 24)
		c := Computed{
			Name: d.name, Label: d.label, Value: strconv.Itoa(days), Text: fmt.Sprintf("%d days", days), Kind: string(claim.Computed),
			Rule:   fmt.Sprintf("days from %q to %q, the first not counted", spaced(d.from), spaced(d.to)),
			Inputs: []Input{b.input(&from), b.input(&to)},
		}
		switch {
		case days == 0:
			c.Text = "the same day"
		case days == 1:
			c.Text = "1 day"
		}
		if from.Approx || to.Approx {
			c.Text = "about " + c.Text
		}
		all = append(all, c)
	}
	return append(all, b.totals()...)
}

// totals add up what an editor says adds up. Money and people are never added up unasked: parts of a consent decree, or
// populations, overlap.
func (b *builder) totals() (all []Computed) {
	for _, key := range b.order {
		if key[0] != "total" {
			continue
		}
		rule, _ := b.leads(key[0], key[1])
		if c, ok := b.total(&rule); ok {
			all = append(all, c)
		}
	}
	return all
}

// total computes one sum; false where the reader does not see every part.
func (b *builder) total(rule *claim.Claim) (Computed, bool) {
	c := Computed{Name: "total", Label: upper(rule.Qualifier), Kind: string(claim.Computed), Rule: "the sum of the claims named here: " + rule.Reasoning}
	var sum claim.Claim
	var low, high float64
	var bound byte
	for _, m := range reference.FindAllStringSubmatch(rule.Value, -1) {
		r := readRef(m)
		part, ok := b.leads(r.property, r.qualifier)
		if !ok {
			return c, false
		}
		currency, q, err := quantityOf(&part)
		if err != nil {
			return c, false
		}
		if q.Bound != 0 && bound != 0 && bound != q.Bound {
			return c, false // more than one and less than another adds up to nothing that can be said
		}
		bound = max(bound, q.Bound)
		sum.Property, sum.Value, sum.Approx = r.property, currency, sum.Approx || part.Approx
		low, high = low+q.Low, high+q.High
		c.Inputs = append(c.Inputs, b.input(&part))
	}
	if sum.Value != "" {
		sum.Value += " "
	}
	if bound != 0 {
		sum.Value += string(bound)
	}
	sum.Value += strconv.FormatFloat(low, 'f', -1, 64)
	if high > low && bound == 0 {
		sum.Value += ".." + strconv.FormatFloat(high, 'f', -1, 64)
	}
	p, _ := claim.Find(sum.Property)
	c.Value, c.Text = sum.Value, display(p, &sum)
	return c, true
}

// quantityOf reads a claim of a count or of money; the currency is empty for a count.
func quantityOf(c *claim.Claim) (currency string, q claim.Quantity, err error) {
	p, _ := claim.Find(c.Property)
	amount := c.Value
	switch p.Type {
	case claim.Money:
		currency, amount, _ = strings.Cut(c.Value, " ")
	case claim.Count:
	default:
		return "", q, fmt.Errorf("%s is no count and no money", c.Property)
	}
	q, err = claim.ParseQuantity(amount)
	return currency, q, err
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
