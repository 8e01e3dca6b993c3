package exposure

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"weir"
)

// IdentifyOptions say whose list is joined with an answer, and where the result goes.
type IdentifyOptions struct {
	List io.ReaderAt // a CSV file with a header line; it is read twice
	Size int64       // of it, in bytes
	Key  string      // the column that holds the data subjects' keys

	// Pseudonym returns a key's pseudonym; an error says that the key cannot be anybody's.
	Pseudonym func(key string) (weir.Pseudonym, error)

	Header    func(columns []string) error         // called first
	Matched   func(row []string, p *Person) error  // for each row of somebody in the answer, in the list's order
	Unmatched func(u *Unmatched) error             // for each of either side, in no order
	Progress  func(step string, done uint64) error // now and then; an error ends the work
}

// Unmatched is a row of the list with nobody of the answer, or somebody of the answer who has no row.
type Unmatched struct {
	Line        int            // of the list, counted from 1; 0 for somebody of the answer
	DataSubject weir.Pseudonym // zero where the row has no usable key
	BadKey      bool           // the row has no usable key
}

// Identified counts what Identify found.
type Identified struct {
	Rows      int // of the list
	Matched   int // rows of somebody in the answer
	NotInList int // people of the answer without a row
	NotFound  int // rows of nobody in the answer
	BadKeys   int // rows without a usable key, which are in none of the other counts but Rows
}

// identifyParts is how many parts the work is cut into: one of them is in memory at a time.
const identifyParts = 256

// Identify joins the people that the query asks for with a list that names them. The list's rows stay where they are: the
// temporary files that the work needs hold pseudonyms, places in the list, and times, and nothing else; they are removed at
// the end. Memory is bounded by a 256th of the larger side, with some 100 bytes for each row of it, and 64 MB.
func (x *Index) Identify(q Query, opts IdentifyOptions) (found Identified, err error) {
	dir, err := os.MkdirTemp("", "weir-identify-")
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	j := &joiner{opts: &opts, dir: dir, found: &found}
	rows, err := j.parts("rows")
	if err != nil {
		return found, err
	}
	if err := errors.Join(j.scatterList(rows), rows.close()); err != nil {
		return found, err
	}
	people, err := j.parts("people")
	if err != nil {
		return found, err
	}
	n := uint64(0)
	err = x.People(q, func(p *Person) error {
		if n++; n%4096 == 0 {
			if err := opts.Progress("people of the answer", n); err != nil {
				return err
			}
		}
		return people.write(partOf(&p.DataSubject), appendPerson(p.DataSubject[:], p))
	})
	if err := errors.Join(err, people.close()); err != nil {
		return found, err
	}
	matches, err := j.parts("matches")
	if err != nil {
		return found, err
	}
	for part := range identifyParts {
		if err == nil {
			err = j.join(part, matches)
		}
	}
	if err := errors.Join(err, matches.close()); err != nil {
		return found, err
	}
	return found, j.gather()
}

type joiner struct {
	opts  *IdentifyOptions
	dir   string
	found *Identified
}

// parts are temporary files, one for each part of the work.
type parts struct {
	files []*os.File
	bufs  []*bufio.Writer
}

func (j *joiner) parts(kind string) (*parts, error) {
	p := &parts{}
	for i := range identifyParts {
		f, err := os.OpenFile(j.path(kind, i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.files, p.bufs = append(p.files, f), append(p.bufs, bufio.NewWriterSize(f, 64<<10))
	}
	return p, nil
}

func (j *joiner) path(kind string, part int) string {
	return filepath.Join(j.dir, fmt.Sprintf("%s-%d", kind, part))
}

func (p *parts) write(part int, b []byte) error {
	_, err := p.bufs[part].Write(b)
	return err
}

func (p *parts) close() error {
	var errs []error
	for i := range p.files {
		errs = append(errs, p.bufs[i].Flush(), p.files[i].Close())
	}
	return errors.Join(errs...)
}

// load reads a part's records of that size, and removes the file.
func (j *joiner) load(kind string, part, size int) ([]byte, error) {
	b, err := os.ReadFile(j.path(kind, part))
	if err == nil && len(b)%size != 0 {
		err = errors.New("a temporary file has another length than was written")
	}
	return b, errors.Join(err, os.Remove(j.path(kind, part)))
}

func partOf(p *weir.Pseudonym) int { return int(hashOf(p) >> 56) }

// Records: a person is pseudonym, classes, first, last, count; a row is pseudonym, its place in the list, its line; a match
// is a row's place and a person without the pseudonym.
const (
	personTail = 8 + 8 + 8 + 8
	personSize = 16 + personTail
	rowSize    = 16 + 8 + 8
	matchSize  = 8 + personTail
)

func appendPerson(dst []byte, p *Person) []byte {
	dst = slices.Clip(dst)
	for _, n := range [...]uint64{uint64(p.Classes), uint64(p.First.UnixMilli()), uint64(p.Last.UnixMilli()), uint64(p.Count)} {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	return dst
}

func personFrom(b []byte) (p Person) {
	le := binary.LittleEndian
	p.Classes, p.First, p.Last = weir.ClassSet(le.Uint64(b)), timeOf(int64(le.Uint64(b[8:]))), timeOf(int64(le.Uint64(b[16:])))
	p.Count = int(le.Uint64(b[24:]))
	return p
}

// list opens the list behind its header line.
func (j *joiner) list() (r *csv.Reader, header []string, key int, err error) {
	head := make([]byte, 3)
	n, _ := j.opts.List.ReadAt(head, 0)
	skip := int64(0)
	if bytes.Equal(head[:n], []byte("\xef\xbb\xbf")) { // a byte order mark, as spreadsheets write it
		skip = 3
	}
	r = csv.NewReader(bufio.NewReaderSize(io.NewSectionReader(j.opts.List, skip, j.opts.Size-skip), 1<<20))
	r.ReuseRecord = true
	header, err = r.Read()
	if err != nil {
		return nil, nil, 0, fmt.Errorf("the list has no header line: %w", err)
	}
	header = slices.Clone(header)
	key = slices.Index(header, j.opts.Key)
	if key < 0 {
		return nil, nil, 0, fmt.Errorf("the list has no column %q: its header line names %d columns, the first is %q", j.opts.Key, len(header), header[0])
	}
	return r, header, key, nil
}

// scatterList writes each row's pseudonym and place to its part.
func (j *joiner) scatterList(rows *parts) error {
	r, header, key, err := j.list()
	if err != nil {
		return err
	}
	if err := j.opts.Header(header); err != nil {
		return err
	}
	record := make([]byte, 0, rowSize)
	for {
		at := r.InputOffset()
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the list: %w", err)
		}
		line, _ := r.FieldPos(0)
		if j.found.Rows++; j.found.Rows%4096 == 0 {
			if err := j.opts.Progress("rows of the list", uint64(j.found.Rows)); err != nil {
				return err
			}
		}
		p, err := j.opts.Pseudonym(row[key])
		if err != nil {
			j.found.BadKeys++
			if err := j.opts.Unmatched(&Unmatched{Line: line, BadKey: true}); err != nil {
				return err
			}
			continue
		}
		record = append(record[:0], p[:]...)
		record = binary.LittleEndian.AppendUint64(record, uint64(at))
		record = binary.LittleEndian.AppendUint64(record, uint64(line))
		if err := rows.write(partOf(&p), record); err != nil {
			return err
		}
	}
}

// join finds the rows of a part's people, and writes them to the parts of the list that they stand in.
func (j *joiner) join(part int, matches *parts) error {
	people, err := j.load("people", part, personSize)
	if err != nil {
		return err
	}
	rows, err := j.load("rows", part, rowSize)
	if err != nil {
		return err
	}
	at := make(map[weir.Pseudonym]int, len(people)/personSize) // negative once a row was found
	for i := 0; i < len(people); i += personSize {
		at[weir.Pseudonym(people[i:])] = i + 1
	}
	record := make([]byte, 0, matchSize)
	for i := 0; i < len(rows); i += rowSize {
		p := weir.Pseudonym(rows[i:])
		place, line := binary.LittleEndian.Uint64(rows[i+16:]), binary.LittleEndian.Uint64(rows[i+24:])
		n, ok := at[p]
		if !ok {
			j.found.NotFound++
			if err := j.opts.Unmatched(&Unmatched{Line: int(line), DataSubject: p}); err != nil {
				return err
			}
			continue
		}
		if n > 0 {
			at[p], n = -n, -n
		}
		j.found.Matched++
		record = binary.LittleEndian.AppendUint64(record[:0], place)
		record = append(record, people[-n-1+16:][:personTail]...)
		if err := matches.write(int(place*identifyParts/uint64(j.opts.Size+1)), record); err != nil {
			return err
		}
	}
	for i := 0; i < len(people); i += personSize {
		if p := weir.Pseudonym(people[i:]); at[p] > 0 {
			j.found.NotInList++
			if err := j.opts.Unmatched(&Unmatched{DataSubject: p}); err != nil {
				return err
			}
		}
	}
	return nil
}

// gather reads the list once more and gives out the rows that have a match.
func (j *joiner) gather() error {
	r, _, key, err := j.list()
	if err != nil {
		return err
	}
	done := uint64(0)
	for part := range identifyParts {
		raw, err := j.load("matches", part, matchSize)
		if err != nil {
			return err
		}
		matches := make([][]byte, 0, len(raw)/matchSize)
		for i := 0; i < len(raw); i += matchSize {
			matches = append(matches, raw[i:i+matchSize])
		}
		place := func(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
		slices.SortFunc(matches, func(a, b []byte) int {
			if place(a) < place(b) {
				return -1
			}
			return 1
		})
		for len(matches) > 0 {
			at := r.InputOffset()
			row, err := r.Read()
			if err != nil {
				return fmt.Errorf("the list is no longer what it was: %w", err)
			}
			if done++; done%4096 == 0 {
				if err := j.opts.Progress("rows written", done); err != nil {
					return err
				}
			}
			if uint64(at) < place(matches[0]) {
				continue
			}
			p := personFrom(matches[0][8:])
			if p.DataSubject, err = j.opts.Pseudonym(row[key]); err != nil || uint64(at) != place(matches[0]) {
				return errors.New("the list has changed while it was read: run the command again")
			}
			if err := j.opts.Matched(row, &p); err != nil {
				return err
			}
			matches = matches[1:]
		}
	}
	return nil
}
