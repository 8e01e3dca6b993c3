package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/exposure"
)

func exposureCommand(c *call) (err error) {
	query := c.queryFlags(true)
	list := c.flags.Bool("list", false, "one line for each data subject")
	top := c.flags.Int("top", 0, "the `n` principals that received the most people instead")
	identify := c.identifyFlags()
	format := c.formatFlag()
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if err := identify.check(); err != nil {
		return err
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	q, err := query(r)
	if err != nil {
		return err
	}
	if *top < 0 || *top > 0 && (*list || q.Principal != nil || *identify.list != "") {
		return usageError{errors.New("-top goes with none of -list, -identify and -principal")}
	}
	x, err := r.index(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	w := bufio.NewWriterSize(c.stdout, 64<<10)
	switch {
	case *identify.list != "":
		err = c.identify(w, x, q, r, &identify)
	case *list:
		err = c.writePeople(w, *format, x, q)
	case *top > 0:
		err = writeTop(w, *format, x, q, *top, r)
	default:
		err = writeExposure(w, *format, x, q, r)
	}
	return errors.Join(err, w.Flush(), damagedAnswer(x))
}

// writePeople writes a row for each person as the index gives them, so that a list of any length begins at once.
func (c *call) writePeople(w io.Writer, format string, x *exposure.Index, q exposure.Query) error {
	rows, err := newRowWriter(w, format, "data_subject", "classes", "first", "last", "count")
	if err != nil {
		return err
	}
	p, n := c.progress("people"), uint64(0)
	defer p.done()
	lines := personLines{names: map[weir.ClassSet][2]string{}}
	err = x.People(q, func(one *exposure.Person) error {
		if n++; n%4096 == 0 {
			p.at(n)
			if err := c.Err(); err != nil {
				return err
			}
		}
		if format == "json" {
			_, err := w.Write(lines.json(one))
			return err
		}
		return rows.row(nil, one.DataSubject.String(), lines.classes(one.Classes)[0], stamp(one.First), stamp(one.Last), strconv.Itoa(one.Count))
	})
	return errors.Join(err, rows.close())
}

// personLines writes the lines of a list; there are many, and few class sets.
type personLines struct {
	names map[weir.ClassSet][2]string // joined by spaces, and as a JSON array
	line  []byte
}

func (l *personLines) classes(set weir.ClassSet) [2]string {
	names, ok := l.names[set]
	if !ok {
		list := set.Names()
		array, err := json.Marshal(list)
		if err != nil {
			panic(err) // an array of strings has a JSON form
		}
		names = [2]string{strings.Join(list, " "), string(array)}
		l.names[set] = names
	}
	return names
}

// json returns a line as encoding/json would write it: nothing in it needs an escape.
func (l *personLines) json(p *exposure.Person) []byte {
	b := append(l.line[:0], `{"data_subject":"`...)
	b = append(b, p.DataSubject.String()...)
	b = append(b, `","classes":`...)
	b = append(b, l.classes(p.Classes)[1]...)
	b = append(b, `,"first":"`...)
	b = p.First.AppendFormat(b, stampLayout)
	b = append(b, `","last":"`...)
	b = p.Last.AppendFormat(b, stampLayout)
	b = append(b, `","count":`...)
	b = strconv.AppendInt(b, int64(p.Count), 10)
	l.line = append(b, "}\n"...)
	return l.line
}

func writeTop(w io.Writer, format string, x *exposure.Index, q exposure.Query, n int, r *reading) error {
	rows, err := newRowWriter(w, format, "principal", "people")
	if err != nil {
		return err
	}
	top, err := x.Top(q, n)
	if err != nil {
		return err
	}
	for _, t := range top {
		object := struct {
			Principal string `json:"principal"`
			People    int    `json:"people"`
		}{r.name(t.Principal), t.People}
		if err := rows.row(object, object.Principal, strconv.Itoa(t.People)); err != nil {
			return err
		}
	}
	return rows.close()
}

// exposureReport is an answer in figures.
type exposureReport struct {
	People       int            `json:"people"`
	Unit         string         `json:"unit"`
	Unattributed int            `json:"unattributed"`
	Disclosures  int            `json:"disclosures"`
	ByClass      map[string]int `json:"by_class"`
	NoneFound    []string       `json:"none_found"` // in what was read: see coverage and gaps
	First        string         `json:"first,omitempty"`
	Last         string         `json:"last,omitempty"`
	Principals   int            `json:"principals"`
	ByPrincipal  []string       `json:"by_principal"`
	Coverage     float64        `json:"coverage"`
	Gaps         []reportGap    `json:"gaps"`
	Findings     []weir.Finding `json:"findings"`
	Entries      uint64         `json:"entries"` // of the ledger that the answer covers, from the first on
	Retired      uint64         `json:"retired"` // of these, the first ones that are not covered: their volumes were gone when the index was made
}

type reportGap struct {
	Reason    string `json:"reason"`
	Responses int    `json:"responses"`
	Bytes     int64  `json:"bytes"`
}

func writeExposure(w io.Writer, format string, x *exposure.Index, q exposure.Query, r *reading) error {
	a, err := x.Answer(q)
	if err != nil {
		return err
	}
	unit := a.Unit
	if unit == "" {
		unit = strings.Join(r.units, ",")
	}
	report := exposureReport{
		People: a.People, Unit: unit, Unattributed: a.Unattributed.People, Disclosures: a.Disclosures, ByClass: a.ByClass, NoneFound: a.NoneFound(),
		First: stamp(a.First), Last: stamp(a.Last), Principals: len(a.Principals), ByPrincipal: []string{}, Coverage: a.Coverage(),
		Gaps: []reportGap{}, Findings: append([]weir.Finding{}, a.Findings...), Entries: a.Position, Retired: a.Begins,
	}
	for _, p := range a.Principals {
		report.ByPrincipal = append(report.ByPrincipal, r.name(p))
	}
	for _, g := range a.Gaps {
		report.Gaps = append(report.Gaps, reportGap{g.Reason.String(), g.Responses, g.Bytes})
	}
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
	return writeFigures(w, format, report.figures())
}

// figures are the report's rows. A table of thousands of principals is nobody's help: -top has them in their order.
func (r *exposureReport) figures() [][]string {
	const most = 20
	by := strings.Join(r.ByPrincipal[:min(most, len(r.ByPrincipal))], ", ")
	if more := len(r.ByPrincipal) - most; more > 0 {
		by += fmt.Sprintf(" and %d more: see -top", more)
	}
	coverage := strconv.FormatFloat(r.Coverage, 'f', 4, 64)
	rows := [][]string{
		{"people (" + r.Unit + ")", strconv.Itoa(r.People)}, {"unattributed", strconv.Itoa(r.Unattributed)},
		{"disclosures", strconv.Itoa(r.Disclosures)}, {"first", r.First}, {"last", r.Last},
		{"received by", by}, {"coverage", coverage},
	}
	for _, name := range slices.Sorted(maps.Keys(r.ByClass)) {
		rows = append(rows, []string{"class " + name, strconv.Itoa(r.ByClass[name])})
	}
	if len(r.NoneFound) > 0 {
		rows = append(rows, []string{"none found, at coverage " + coverage, strings.Join(r.NoneFound, ", ")})
	}
	for _, g := range r.Gaps {
		rows = append(rows, []string{"gap " + g.Reason, fmt.Sprintf("%d bytes in %d responses", g.Bytes, g.Responses)})
	}
	if r.Retired > 0 {
		rows = append(rows, []string{"not covered", fmt.Sprintf("the first %d entries of the ledger, whose volumes have been retired", r.Retired)})
	}
	for _, f := range r.Findings {
		state := "in force"
		if f.Ended {
			state = "ended"
		}
		rows = append(rows, []string{f.Kind, fmt.Sprintf("%s, %s after %d people, %s", stamp(f.Time), f.Principal, f.People, state)})
	}
	return rows
}

func accountingCommand(c *call) (err error) {
	unitFlag := c.flags.String("unit", "", "what the key is of: account, person, line")
	format := c.formatFlag()
	if err := c.parse(1, 1); err != nil {
		return err
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	unit, err := r.unit(*unitFlag)
	if err != nil {
		return err
	}
	key, err := weir.CanonicalString(c.args[0])
	if err != nil {
		return usageError{err}
	}
	x, err := r.index(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	list, err := x.Accounting(r.keyring.DataSubject(unit, key))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(c.stdout)
	rows, err := newRowWriter(w, *format, "time", "principal", "classes", "route")
	if err != nil {
		return err
	}
	for _, d := range list {
		at, who := stamp(d.Time), r.name(d.Principal)
		object := map[string]any{"time": at, "principal": who, "classes": d.Classes.Names(), "route": d.Route}
		if err := rows.row(object, at, who, strings.Join(d.Classes.Names(), " "), d.Route); err != nil {
			return err
		}
	}
	return errors.Join(rows.close(), w.Flush(), damagedAnswer(x))
}
