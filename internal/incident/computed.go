package incident

import (
	"cmp"
	"fmt"
	"slices"
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
		if err != nil || err2 != nil || !first.Day() || !last.Day() || last.First.Before(first.First) {
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

// totals add up the money of one kind and currency where there is more than one exact figure.
func (b *builder) totals() (all []Computed) {
	for _, property := range []string{"loss", "fine", "settlement"} {
		p, _ := claim.Find(property)
		sums := map[string]int64{}
		inputs := map[string][]Input{}
		for _, key := range b.order {
			if key[0] != property {
				continue
			}
			c, _ := b.leads(key[0], key[1])
			currency, amount, _ := strings.Cut(c.Value, " ")
			n, err := strconv.ParseInt(amount, 10, 64)
			if err != nil {
				continue // a range or a bound adds up to nothing exact
			}
			sums[currency] += n
			inputs[currency] = append(inputs[currency], b.input(&c))
		}
		for _, currency := range sortedKeys(sums) {
			if len(inputs[currency]) < 2 {
				continue
			}
			all = append(all, Computed{
				Name: property + "_total_" + strings.ToLower(currency), Label: p.Label + ", in all", Value: fmt.Sprintf("%s %d", currency, sums[currency]),
				Text: currency + " " + group(float64(sums[currency])), Kind: string(claim.Computed),
				Rule: "the sum of the leading figures of one currency", Inputs: inputs[currency],
			})
		}
	}
	return all
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
