package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"weir"
	"weir/internal/exposure"
	"weir/internal/guard"
	"weir/internal/ledger"
)

// reading is what a command that reads a ledger needs: the ledger, its key, and names for what is in it.
type reading struct {
	cfg     *config
	dir     ledger.FS
	keyring *weir.Keyring
	names   map[weir.Pseudonym]string // of the principals that the config knows
	units   []string                  // of the config's routes, each once
}

// openReading needs no lock: it may read beside the owner.
func (c *call) openReading() (*reading, error) {
	cfg, err := c.loadConfig()
	if err != nil {
		return nil, err
	}
	opts, _, err := cfg.guardOptions()
	if err != nil {
		return nil, err
	}
	if fresh, err := withoutLedger(cfg.ledgerDir()); err != nil || fresh {
		return nil, errors.Join(err, fmt.Errorf("no ledger in %s: start the guard first, or name its config with -config", cfg.ledgerDir()))
	}
	r := &reading{cfg: cfg, dir: ledger.Dir(cfg.ledgerDir()), names: map[weir.Pseudonym]string{}}
	if r.keyring, err = guard.LoadKey(cfg.keyFile()); err != nil {
		return nil, err
	}
	for _, name := range opts.PrincipalNames() {
		r.names[r.keyring.Principal(name)] = name
	}
	for _, rt := range opts.Routes {
		if !slices.Contains(r.units, rt.Unit) {
			r.units = append(r.units, rt.Unit)
		}
	}
	return r, nil
}

func (r *reading) name(p weir.Pseudonym) string {
	if n, ok := r.names[p]; ok {
		return n
	}
	return p.String()
}

// unit returns the namespace of data subjects: the one asked for, or the only one that the config has.
func (r *reading) unit(asked string) (string, error) {
	switch {
	case asked != "":
		return asked, weir.CheckUnit(asked)
	case len(r.units) == 1:
		return r.units[0], nil
	case len(r.units) == 0:
		return "account", nil
	}
	return "", fmt.Errorf("the routes have several units (%s): choose one with -unit", strings.Join(r.units, ", "))
}

// queryFlags adds the flags of a query; the returned function reads them.
func (c *call) queryFlags(withRoute bool) func(*reading) (exposure.Query, error) {
	principal := c.flags.String("principal", "", "only this `principal`: a name, or a pseudonym")
	from := c.flags.String("from", "", "not before this `time` (RFC 3339)")
	to := c.flags.String("to", "", "before this `time` (RFC 3339)")
	route := new(string)
	if withRoute {
		route = c.flags.String("route", "", "only this `route`, as its match is written in the config")
	}
	return func(r *reading) (q exposure.Query, err error) {
		q.Route = *route
		if *principal != "" {
			id, err := weir.ParsePseudonym(*principal)
			if err != nil {
				if id = r.keyring.Principal(*principal); r.names[id] == "" {
					return q, fmt.Errorf("no principal %q in the config: give its pseudonym if it was there once", *principal)
				}
			}
			q.Principal = &id
		}
		if q.From, err = parseTime("from", *from); err != nil {
			return q, err
		}
		q.To, err = parseTime("to", *to)
		return q, err
	}
}

func parseTime(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usageError{fmt.Errorf("-%s %q is no time such as 2026-11-24T10:00:00Z", name, s)}
	}
	return t, nil
}

func (c *call) formatFlag() *string {
	return c.flags.String("format", "table", "table, json or csv")
}

func exposureCommand(c *call) error {
	query := c.queryFlags(true)
	list := c.flags.Bool("list", false, "one line for each data subject")
	format := c.formatFlag()
	if err := c.parse(0, 0); err != nil {
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
	a, err := exposure.Compute(r.dir, q)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(c.stdout)
	if *list {
		err = writePeople(w, *format, a)
	} else {
		err = writeExposure(w, *format, a, r)
	}
	return errors.Join(err, w.Flush(), damaged(a.Ledger))
}

// damaged is the answer's caveat: what cannot be read is missing from it.
func damaged(sum *ledger.Summary) error {
	if len(sum.Faults) == 0 {
		return nil
	}
	return answerNo{fmt.Errorf("the ledger is damaged (%s): the answer holds only what can be read; run weir ledger verify", sum.Faults[0])}
}

// stamp is how times are written: RFC 3339 with the ledger's milliseconds.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func writePeople(w io.Writer, format string, a *exposure.Answer) error {
	header := []string{"data_subject", "classes", "first", "last", "count"}
	return writeRows(w, format, header, len(a.People), func(i int) ([]string, any) {
		p := &a.People[i]
		row := []string{p.DataSubject.String(), strings.Join(p.Classes.Names(), " "), stamp(p.First), stamp(p.Last), strconv.Itoa(p.Count)}
		return row, struct {
			DataSubject string   `json:"data_subject"`
			Classes     []string `json:"classes"`
			First       string   `json:"first"`
			Last        string   `json:"last"`
			Count       int      `json:"count"`
		}{row[0], p.Classes.Names(), row[2], row[3], p.Count}
	})
}

// writeRows writes n rows as a table, as CSV, or as one JSON object a line.
func writeRows(w io.Writer, format string, header []string, n int, row func(int) ([]string, any)) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		for i := range n {
			if _, object := row(i); enc.Encode(object) != nil {
				return errors.New("the answer cannot be written")
			}
		}
		return nil
	case "csv":
		out := csv.NewWriter(w)
		out.Write(header)
		for i := range n {
			cells, _ := row(i)
			out.Write(cells)
		}
		out.Flush()
		return out.Error()
	case "table":
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, strings.ToUpper(strings.ReplaceAll(strings.Join(header, "\t"), "_", " ")))
		for i := range n {
			cells, _ := row(i)
			fmt.Fprintln(out, strings.Join(cells, "\t"))
		}
		return out.Flush()
	}
	return usageError{fmt.Errorf("-format %q is none of table, json and csv", format)}
}

// exposureReport is an answer in figures.
type exposureReport struct {
	People       int            `json:"people"`
	Unit         string         `json:"unit"`
	Unattributed int            `json:"unattributed"`
	Disclosures  int            `json:"disclosures"`
	ByClass      map[string]int `json:"by_class"`
	First        string         `json:"first,omitempty"`
	Last         string         `json:"last,omitempty"`
	Principals   int            `json:"principals"`
	ByPrincipal  []string       `json:"by_principal"`
	Coverage     float64        `json:"coverage"`
	Gaps         []reportGap    `json:"gaps"`
	Findings     []weir.Finding `json:"findings"`
}

type reportGap struct {
	Reason    string `json:"reason"`
	Responses int    `json:"responses"`
	Bytes     int64  `json:"bytes"`
}

func writeExposure(w io.Writer, format string, a *exposure.Answer, r *reading) error {
	unit := a.Unit
	if unit == "" {
		unit = strings.Join(r.units, ",")
	}
	report := exposureReport{
		People: len(a.People), Unit: unit, Unattributed: a.Unattributed.People, Disclosures: a.Disclosures, ByClass: a.ByClass(),
		First: stamp(a.First), Last: stamp(a.Last), Principals: len(a.Principals), ByPrincipal: []string{}, Coverage: a.Coverage(),
		Gaps: []reportGap{}, Findings: append([]weir.Finding{}, a.Findings...),
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
	rows := [][]string{
		{"people (" + unit + ")", strconv.Itoa(report.People)}, {"unattributed", strconv.Itoa(report.Unattributed)},
		{"disclosures", strconv.Itoa(report.Disclosures)}, {"first", report.First}, {"last", report.Last},
		{"received by", strings.Join(report.ByPrincipal, ", ")}, {"coverage", strconv.FormatFloat(report.Coverage, 'f', 4, 64)},
	}
	for _, name := range slices.Sorted(maps.Keys(report.ByClass)) {
		rows = append(rows, []string{"class " + name, strconv.Itoa(report.ByClass[name])})
	}
	for _, g := range report.Gaps {
		rows = append(rows, []string{"gap " + g.Reason, fmt.Sprintf("%d bytes in %d responses", g.Bytes, g.Responses)})
	}
	return writeRows(w, format, []string{"figure", "value"}, len(rows), func(i int) ([]string, any) { return rows[i], nil })
}

func accountingCommand(c *call) error {
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
	list, sum, err := exposure.Accounting(r.dir, r.keyring.DataSubject(unit, key))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(c.stdout)
	err = writeRows(w, *format, []string{"time", "principal", "classes", "route"}, len(list), func(i int) ([]string, any) {
		d := list[i]
		row := []string{stamp(d.Time), r.name(d.Principal), strings.Join(d.Classes.Names(), " "), d.Route}
		return row, map[string]any{"time": row[0], "principal": row[1], "classes": d.Classes.Names(), "route": d.Route}
	})
	return errors.Join(err, w.Flush(), damaged(sum))
}

func pseudonymCommand(c *call) error {
	unitFlag := c.flags.String("unit", "", "what the keys are of: account, person, line")
	if err := c.parse(1, -1); err != nil {
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
	w := bufio.NewWriter(c.stdout)
	write := func(key string) error {
		canonical, err := weir.CanonicalString(key)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		_, err = fmt.Fprintln(w, r.keyring.DataSubject(unit, canonical))
		return err
	}
	if !slices.Equal(c.args, []string{"-"}) {
		for _, key := range c.args {
			if err := write(key); err != nil {
				return errors.Join(err, w.Flush())
			}
		}
		return w.Flush()
	}
	lines := bufio.NewScanner(c.stdin)
	for lines.Scan() {
		if err := write(lines.Text()); err != nil {
			return errors.Join(err, w.Flush())
		}
	}
	return errors.Join(lines.Err(), w.Flush())
}

func statementCommand(c *call) error {
	query := c.queryFlags(false)
	out := c.flags.String("o", "", "the `file` to write")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if *out == "" {
		return usageError{errors.New("-o is missing")}
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	q, err := query(r)
	if err != nil {
		return err
	}
	msg, err := makeStatement(r.dir, r.keyring, r.cfg.guardName(), q)
	if err != nil {
		return err
	}
	return writeFile(*out, msg)
}

// makeStatement computes and signs a statement and the checkpoint in it, both of the same reading of the ledger.
func makeStatement(dir ledger.FS, keyring *weir.Keyring, name string, q exposure.Query) ([]byte, error) {
	a, err := exposure.Compute(dir, q)
	if err != nil {
		return nil, err
	}
	if len(a.Ledger.Faults) > 0 {
		return nil, fmt.Errorf("the ledger is damaged (%s): a statement about part of it is not signed", a.Ledger.Faults[0])
	}
	signer, err := keyring.Signer(name)
	if err != nil {
		return nil, err
	}
	checkpoint, err := weir.Checkpoint{Origin: name, Size: a.Ledger.Entries, Root: a.Ledger.Root}.Sign(signer)
	if err != nil {
		return nil, err
	}
	return a.Statement(name, time.Now(), string(checkpoint)).Sign(signer)
}

// writeFile writes a file whole or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".weir-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(data))
	if err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
