package register

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

// Plots are SVG, drawn here and printed by the templates. Each has a title and a description in words, and stands beside a
// table or list with the same figures; nothing in a plot can be read there only.

// A tick is a mark of an axis.
type tick struct {
	At    float64
	Label string
}

// A dotPlot shows several claims of numbers, a row for each in the order in which they were made.
type dotPlot struct {
	Title, Desc    string
	Height, Bottom int
	Ticks          []tick
	Rows           []dotRow
}

type dotRow struct {
	Y, Label  float64 // of the dot, and of the second line of text
	X, X1, X2 float64 // of the dot, and of the range around it
	Bound     byte    // '>' more than, '<' less than
	Superseded,
	Leads bool
	When, Voice, Of, Text string
}

// The columns of a dotPlot, in the units of its view box.
const (
	dotLeft, dotRight = 250, 590
	dotRowHeight      = 38
)

// plotClaims draws the claims of how many people were affected, where there are enough to make a picture: three, with two
// values among them.
func plotClaims(v *incident.View) *dotPlot {
	var figures []incident.Figure
	leads, different := map[string]bool{}, map[string]bool{}
	for _, f := range v.Section("counts").Figures {
		if f.Property != "people" {
			continue
		}
		leads[f.Claim] = true
		for _, x := range append([]incident.Figure{f}, f.Others...) {
			figures = append(figures, x)
			different[x.Value] = true
		}
	}
	if len(figures) < 3 || len(different) < 2 {
		return nil
	}
	slices.SortStableFunc(figures, func(a, b incident.Figure) int { return cmp.Compare(whenSaid(a), whenSaid(b)) })
	top := 0.0
	for _, f := range figures {
		if q, err := claim.ParseQuantity(f.Value); err == nil {
			top = max(top, q.High)
		}
	}
	step := niceStep(top / 4)
	top = math.Ceil(top/step*1.02) * step
	x := func(n float64) float64 { return dotLeft + n/top*(dotRight-dotLeft) }
	p := &dotPlot{Title: "How many people, as claimed", Bottom: 12 + dotRowHeight*len(figures)}
	p.Height = p.Bottom + 26
	for n := 0.0; n <= top; n += step {
		p.Ticks = append(p.Ticks, tick{x(n), short(n)})
	}
	var words []string
	for i, f := range figures {
		q, err := claim.ParseQuantity(f.Value)
		if err != nil {
			continue
		}
		y := float64(12 + dotRowHeight*i + dotRowHeight/2)
		row := dotRow{
			Y: y - 5, Label: y + 10, X: x(q.High), X1: x(q.Low), X2: x(q.High), Bound: q.Bound, Superseded: f.Superseded, Leads: leads[f.Claim] && !f.Superseded,
			When: shortDate(f.AsOf), Voice: f.Speaker, Of: cut(f.Of, 38), Text: f.Text,
		}
		p.Rows = append(p.Rows, row)
		words = append(words, fmt.Sprintf("%s, %s: %s %s", row.When, row.Voice, row.Text, f.Of))
	}
	p.Desc = plural(len(p.Rows), "claim") + ", in the order in which they were made. " + strings.Join(words, "; ") + "."
	return p
}

// cut shortens a text to what has room.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// whenSaid sorts claims by the day that they were made; those of no recorded day come last.
func whenSaid(f incident.Figure) string {
	if f.AsOf == claim.NotRecorded {
		return "9999"
	}
	return f.AsOf
}

// shortDate is a date for a place with little room.
func shortDate(s string) string {
	for layout, shown := range map[string]string{"2006-01-02": "2 Jan 2006", "2006-01": "Jan 2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(shown)
		}
	}
	if s == claim.NotRecorded {
		return "day not recorded"
	}
	return s
}

// niceStep is the next of 1, 2, 2.5 and 5 times a power of ten.
func niceStep(least float64) float64 {
	if least <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= least {
			return m * power
		}
	}
	return 10 * power
}

// short writes a number of an axis.
func short(n float64) string {
	switch {
	case n >= 1e9:
		return strconv.FormatFloat(n/1e9, 'f', -1, 64) + " bn"
	case n >= 1e6:
		return strconv.FormatFloat(n/1e6, 'f', -1, 64) + " m"
	case n >= 1e3:
		return strconv.FormatFloat(n/1e3, 'f', -1, 64) + ",000"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// A spanPlot shows a victim's incidents over time, each with the range of what is claimed of its size.
type spanPlot struct {
	Title, Desc   string
	Height        int
	Base          float64 // where marks without a figure stand
	XTicks, Ticks []tick
	Spans         []span
}

type span struct {
	X         float64
	Y, Y1, Y2 float64 // of the leading figure, and of the range; Y is 0 where nobody gives a figure
	LabelY    float64
	Text      string
	Number    int
	NumberX   float64 // right of X where the number before it is too close
}

// The frame of a spanPlot.
const (
	spanLeft, spanRight  = 64, 740
	spanTop, spanBottom  = 30, 240
	spanLabels, spanTall = 258, 284
	numberWidth          = 16
)

// plotHistory draws a victim's incidents, which come in the order of their dates; nil where there are fewer than two.
func plotHistory(name string, views []*incident.View) *spanPlot {
	type sized struct {
		at        time.Time
		low, high float64
		lead      float64
		text      string
		number    int
	}
	var all []sized
	low, high, none := math.Inf(1), 0.0, false
	for i, v := range views {
		if v.Date == nil || v.Withdrawn != "" {
			continue
		}
		period, err := claim.ParsePeriod(v.Date.Value)
		if err != nil {
			continue
		}
		s := sized{at: period.First, number: i + 1}
		if f := v.People(); f != nil {
			s.text = f.Text
			s.low, s.high, s.lead = claimedRange(v, f)
			if s.lead > 0 {
				low, high = min(low, s.lead), max(high, s.high)
			} else {
				none = true
			}
		}
		all = append(all, s)
	}
	if len(all) < 2 || high == 0 {
		return nil
	}
	from, to := all[0].at.Year(), all[len(all)-1].at.Year()+1
	start, end := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(to, 1, 1, 0, 0, 0, 0, time.UTC)
	x := func(t time.Time) float64 {
		return spanLeft + t.Sub(start).Hours()/end.Sub(start).Hours()*(spanRight-spanLeft)
	}
	bottom, top := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	if top == bottom {
		top++
	}
	if none { // nobody at all has no place on a logarithmic scale: the base line is theirs, below all that has one
		bottom--
	}
	y := func(n float64) float64 {
		if n == 0 {
			return spanBottom
		}
		return spanBottom - max(0, math.Log10(n)-bottom)/(top-bottom)*(spanBottom-spanTop)
	}
	p := &spanPlot{Title: "People affected by the incidents of " + name, Height: spanTall, Base: spanBottom}
	for year := from; year <= to; year++ {
		if step := max(1, (to-from)/8); (year-from)%step == 0 {
			p.XTicks = append(p.XTicks, tick{x(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)), strconv.Itoa(year)})
		}
	}
	for power := bottom; power <= top; power++ {
		label := short(math.Pow(10, power))
		if none && power == bottom {
			label = "0"
		}
		p.Ticks = append(p.Ticks, tick{y(math.Pow(10, power)), label})
	}
	var words []string
	for _, s := range all {
		mark := span{X: x(s.at), Text: s.text, Number: s.number}
		if s.text != "" {
			mark.Y, mark.Y1, mark.Y2 = y(s.lead), y(s.high), y(s.low)
			mark.LabelY = mark.Y1 - 9
			words = append(words, fmt.Sprintf("%s: %s", s.at.Format("January 2006"), s.text))
		} else {
			words = append(words, s.at.Format("January 2006")+": nobody gives a number")
		}
		if n := len(p.Spans); n > 0 && mark.X-p.Spans[n-1].X < 60 && math.Abs(mark.LabelY-p.Spans[n-1].LabelY) < 13 {
			mark.LabelY = p.Spans[n-1].LabelY - 13
		}
		mark.NumberX = mark.X
		if n := len(p.Spans); n > 0 {
			mark.NumberX = max(mark.X, p.Spans[n-1].NumberX+numberWidth)
		}
		p.Spans = append(p.Spans, mark)
	}
	p.Desc = "A logarithmic scale. The dot is the leading figure, the line the range of all claims. " + strings.Join(words, "; ") + "."
	return p
}

// claimedRange is the range of what is claimed of an incident's size, and the leading figure. A smaller figure of another
// population does not contradict the leading one, as a part does not contradict the whole; a larger one does, and is in.
func claimedRange(v *incident.View, leading *incident.Figure) (low, high, lead float64) {
	low = math.Inf(1)
	for _, f := range append([]incident.Figure{*leading}, leading.Others...) {
		if q, err := claim.ParseQuantity(f.Value); err == nil {
			low, high = min(low, q.Low), max(high, q.High)
		}
	}
	for _, f := range v.Section("counts").Figures {
		if f.Property != leading.Property {
			continue
		}
		for _, x := range append([]incident.Figure{f}, f.Others...) {
			if q, err := claim.ParseQuantity(x.Value); err == nil {
				high = max(high, q.High)
			}
		}
	}
	if q, err := claim.ParseQuantity(leading.Value); err == nil {
		lead = q.High
	}
	return low, high, lead
}

// A barPlot counts incidents by year.
type barPlot struct {
	Title, Desc string
	Width       int
	Bars        []bar
}

type bar struct {
	X, Y, Height, Middle float64
	Year, Count          int
}

const (
	barWidth, barGap = 34, 14
	barTall          = 90
)

func plotYears(years []store.Year) *barPlot {
	if len(years) == 0 {
		return nil
	}
	most := 0
	byYear := map[int]int{}
	var words []string
	for _, y := range years {
		most = max(most, y.Incidents)
		byYear[y.Year] = y.Incidents
		words = append(words, fmt.Sprintf("%d: %d", y.Year, y.Incidents))
	}
	last := years[len(years)-1].Year
	first := max(years[0].Year, last-14)
	p := &barPlot{Title: "Incidents by the year in which they began", Desc: strings.Join(words, ", ") + "."}
	for year := first; year <= last; year++ {
		h := float64(byYear[year]) / float64(most) * barTall
		x := float64((year - first) * (barWidth + barGap))
		p.Bars = append(p.Bars, bar{x, 18 + barTall - h, h, x + barWidth/2, year, byYear[year]})
	}
	p.Width = (last-first+1)*(barWidth+barGap) - barGap
	return p
}
