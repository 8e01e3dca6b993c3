package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"weir"
	"weir/internal/exposure"
)

// identifyFlags are those of weir exposure that name the company's own list.
type identifyFlags struct {
	list, key, unmatched, unit *string
}

func (c *call) identifyFlags() identifyFlags {
	return identifyFlags{
		list:      c.flags.String("identify", "", "join with this CSV `file` of your own, which names people; the rows of people in the answer are printed as CSV"),
		key:       c.flags.String("key", "", "with -identify: the `column` that holds the keys of data subjects"),
		unmatched: c.flags.String("unmatched", "", "with -identify: write both sides' unmatched to this `file`, as pseudonyms and line numbers"),
		unit:      c.flags.String("unit", "", "with -identify: what the keys are of: account, person, line"),
	}
}

func (f *identifyFlags) check() error {
	if *f.list == "" && (*f.key != "" || *f.unmatched != "" || *f.unit != "") {
		return usageError{errors.New("-key, -unmatched and -unit go with -identify only")}
	}
	if *f.list != "" && *f.key == "" {
		return usageError{errors.New("-identify needs -key: the column of the list that holds the keys")}
	}
	return nil
}

// identify writes the rows of the people in the answer, each with what left of that person.
func (c *call) identify(w io.Writer, x *exposure.Index, q exposure.Query, r *reading, f *identifyFlags) (err error) {
	unit, err := r.unit(*f.unit)
	if err != nil {
		return err
	}
	list, err := os.Open(*f.list)
	if err != nil {
		return err
	}
	defer list.Close() // only read
	info, err := list.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file: it is read twice, so save it first", *f.list)
	}
	report, err := newUnmatchedReport(*f.unmatched)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	lines := personLines{names: map[weir.ClassSet][2]string{}}
	var cells []string
	p := c.progress("")
	opts := exposure.IdentifyOptions{
		List: list, Size: info.Size(), Key: *f.key,
		Pseudonym: func(key string) (weir.Pseudonym, error) {
			canonical, err := weir.CanonicalString(key)
			return r.keyring.DataSubject(unit, canonical), err
		},
		Header: func(columns []string) error {
			return out.Write(append(columns, "data_subject", "classes", "first", "last", "count"))
		},
		Matched: func(row []string, one *exposure.Person) error {
			cells = append(append(cells[:0], row...), one.DataSubject.String(), lines.classes(one.Classes)[0], stamp(one.First), stamp(one.Last), strconv.Itoa(one.Count))
			return out.Write(cells)
		},
		Unmatched: report.write,
		Progress: func(step string, done uint64) error {
			p.step(step, done)
			return c.Err()
		},
	}
	found, err := x.Identify(q, opts)
	p.done()
	out.Flush()
	if err := errors.Join(err, out.Error(), report.close()); err != nil {
		return fmt.Errorf("%s: %w", *f.list, err)
	}
	fmt.Fprintf(c.stderr, "weir: %d rows in the list: %d of people in the answer, %d of nobody in it, %d without a usable key; %d people of the answer are not in the list\n",
		found.Rows, found.Matched, found.NotFound, found.BadKeys, found.NotInList)
	return nil
}

// unmatchedReport lists who is on one side only. It holds no key: who has the list finds the line in it.
type unmatchedReport struct {
	file *os.File // nil where nobody asked
	buf  *bufio.Writer
	csv  *csv.Writer
}

func newUnmatchedReport(path string) (*unmatchedReport, error) {
	if path == "" {
		return &unmatchedReport{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	u := &unmatchedReport{file: f, buf: bufio.NewWriter(f)}
	u.csv = csv.NewWriter(u.buf)
	return u, u.csv.Write([]string{"side", "line", "data_subject", "why"})
}

func (r *unmatchedReport) write(u *exposure.Unmatched) error {
	switch {
	case r.file == nil:
		return nil
	case u.BadKey:
		return r.csv.Write([]string{"list", strconv.Itoa(u.Line), "", "no usable key"})
	case u.Line > 0:
		return r.csv.Write([]string{"list", strconv.Itoa(u.Line), u.DataSubject.String(), "not in the answer"})
	}
	return r.csv.Write([]string{"ledger", "", u.DataSubject.String(), "not in the list"})
}

func (r *unmatchedReport) close() error {
	if r.file == nil {
		return nil
	}
	r.csv.Flush()
	return errors.Join(r.csv.Error(), r.buf.Flush(), r.file.Close())
}
