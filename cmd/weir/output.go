package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

func (c *call) formatFlag() *string {
	return c.flags.String("format", "table", "table, json or csv")
}

const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// stamp is how times are written: RFC 3339 with the ledger's milliseconds.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampLayout)
}

// A rowWriter writes rows as a table, as CSV, or as one JSON object a line. It holds no more than tableBlock rows.
type rowWriter struct {
	format string
	header []string
	out    io.Writer
	csv    *csv.Writer
	table  *tabwriter.Writer
	json   *json.Encoder
	rows   int
}

// tableBlock is how many rows of a table are laid out together.
const tableBlock = 1000

func newRowWriter(w io.Writer, format string, header ...string) (*rowWriter, error) {
	r := &rowWriter{format: format, header: header, out: w}
	switch format {
	case "json":
		r.json = json.NewEncoder(w)
	case "csv":
		r.csv = csv.NewWriter(w)
		return r, r.csv.Write(header)
	case "table":
		r.table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(r.table, strings.ToUpper(strings.ReplaceAll(strings.Join(header, "\t"), "_", " ")))
	default:
		return nil, usageError{fmt.Errorf("-format %q is none of table, json and csv", format)}
	}
	return r, nil
}

// row writes a row; object is what JSON shows of it.
func (r *rowWriter) row(object any, cells ...string) error {
	r.rows++
	switch {
	case r.json != nil:
		return r.json.Encode(object)
	case r.csv != nil:
		return r.csv.Write(cells)
	}
	_, err := fmt.Fprintln(r.table, strings.Join(cells, "\t"))
	if err == nil && r.rows%tableBlock == 0 {
		err = r.table.Flush()
	}
	return err
}

func (r *rowWriter) close() error {
	switch {
	case r.csv != nil:
		r.csv.Flush()
		return r.csv.Error()
	case r.table != nil:
		return r.table.Flush()
	}
	return nil
}

// writeFigures writes rows of a name and a value as a table or as CSV.
func writeFigures(w io.Writer, format string, figures [][]string) error {
	r, err := newRowWriter(w, format, "figure", "value")
	if err != nil {
		return err
	}
	for _, f := range figures {
		if err := r.row(nil, f...); err != nil {
			return err
		}
	}
	return r.close()
}

// progress tells how far long work is, on a terminal and nowhere else.
type progress struct {
	w     io.Writer // nil where nobody looks
	what  string
	total uint64 // 0 where it is not known
	begun time.Time
	told  time.Time
	count uint64
	first uint64
}

func (c *call) progress(what string) *progress {
	p := &progress{what: what, begun: time.Now()}
	p.told = p.begun
	if f, ok := c.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	return p
}

// at tells that so much is done.
func (p *progress) at(count uint64) {
	if p.count == 0 {
		p.first = count
	}
	p.count = count
	if p.w == nil || time.Since(p.told) < time.Second/2 {
		return
	}
	p.told = time.Now()
	rate := float64(count-p.first) / time.Since(p.begun).Seconds()
	line := fmt.Sprintf("%s %s, %s a second", thousands(int(count)), p.what, thousands(int(rate)))
	if p.total > count && rate > 0 {
		line += ", " + (time.Duration(float64(p.total-count)/rate) * time.Second).String() + " remaining"
	}
	fmt.Fprintf(p.w, "\r\x1b[Kweir: %s", line)
}

// step is at for work in several steps.
func (p *progress) step(what string, count uint64) {
	if p.what != what {
		p.what, p.begun, p.count = what, time.Now(), 0
	}
	p.at(count)
}

func (p *progress) done() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
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
