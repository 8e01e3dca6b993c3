package incident

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/internal/claim"
)

// Names of the files in a folder of records that hold no incident.
const (
	organisationsFile = "organisations.yaml"
	actorsFile        = "actors.yaml"
	sourcesFile       = "sources.yaml"
)

// ReadRecords reads a folder of records: organisations.yaml, actors.yaml, sources.yaml, and one file for each incident. It
// reads strictly; the problems are all that there are, each with its file and line. A set with problems is not to be used
// for anything but more checks.
func ReadRecords(dir fs.FS) (*Set, []Problem) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return &Set{}, []Problem{{What: err.Error()}}
	}
	s := &Set{}
	var problems []Problem
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			problems = append(problems, Problem{File: name, What: err.Error()})
			continue
		}
		problems = append(problems, s.readFile(name, data)...)
	}
	return s, append(problems, s.Lint()...)
}

func (s *Set) readFile(name string, data []byte) []Problem {
	switch name {
	case organisationsFile:
		return readStrict(name, data, &s.Organisations)
	case actorsFile:
		return readStrict(name, data, &s.Actors)
	case sourcesFile:
		return readStrict(name, data, &s.Sources)
	}
	rec, problems := ReadRecord(name, data)
	if len(problems) == 0 || rec.ID != "" {
		s.Records = append(s.Records, rec)
	}
	return problems
}

// ReadRecord reads one incident's file. Its claims know their lines.
func ReadRecord(name string, data []byte) (Record, []Problem) {
	var rec Record
	problems := readStrict(name, data, &rec)
	if len(problems) > 0 {
		return Record{}, problems
	}
	rec.file = name
	rec.own()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err == nil && len(doc.Content) == 1 {
		root := doc.Content[0]
		for i := 0; i+1 < len(root.Content); i += 2 {
			if list := root.Content[i+1]; root.Content[i].Value == "claims" && len(list.Content) == len(rec.Claims) {
				for n, item := range list.Content {
					rec.Claims[n].Line = item.Line
				}
			}
		}
	}
	if want := strings.TrimSuffix(path.Base(name), ".yaml"); rec.ID != want {
		problems = append(problems, Problem{File: name, Line: 1, Property: "id", What: fmt.Sprintf("the id is %q", rec.ID), Hint: "name the file after the id: " + rec.ID + ".yaml"})
	}
	return rec, problems
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

// RecordID returns the id that a record's text gives; "" if it cannot be read.
func RecordID(data []byte) string {
	var rec struct{ ID string }
	if err := yaml.Unmarshal(data, &rec); err != nil {
		return ""
	}
	return rec.ID
}

// readStrict decodes one YAML document; a key that is not known is a problem.
func readStrict(name string, data []byte, into any) (problems []Problem) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	var several *yaml.TypeError
	texts := []string{}
	switch {
	case err == nil:
		if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
			return []Problem{{File: name, What: "more than one YAML document", Hint: "one file holds one incident"}}
		}
		return nil
	case errors.As(err, &several):
		texts = several.Errors
	default:
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		p := Problem{File: name, What: text, Hint: "docs/records.md lists the fields of a claim, /properties what may be claimed"}
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			p.What = m[2]
		}
		p.What, _, _ = strings.Cut(p.What, " in type ") // what follows names a type of this program
		p.What, _, _ = strings.Cut(p.What, " into ")
		problems = append(problems, p)
	}
	return problems
}

// sortClaims brings a record's claims into the order of files: that of the property table, then of the qualifiers' first
// appearance, then the given one.
func sortClaims(claims []claim.Claim) []claim.Claim {
	sorted := slices.Clone(claims)
	seen := map[[2]string]int{}
	for i, c := range sorted {
		key := [2]string{c.Property, c.Qualifier}
		if _, ok := seen[key]; !ok {
			seen[key] = i
		}
	}
	slices.SortStableFunc(sorted, func(a, b claim.Claim) int {
		return cmp.Or(
			cmp.Compare(claim.Place(a.Property), claim.Place(b.Property)),
			cmp.Compare(seen[[2]string{a.Property, a.Qualifier}], seen[[2]string{b.Property, b.Qualifier}]))
	})
	return sorted
}

// File returns the record as its file: what ReadRecord reads back as the same record, with the claims in a stable order so
// that two versions differ where they say different things and nowhere else.
func (r Record) File() ([]byte, error) {
	r.Claims = sortClaims(r.Claims)
	for i := range r.Claims {
		if r.Claims[i].Kind == claim.Stated {
			r.Claims[i].Kind = ""
		}
	}
	return marshal(r)
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	err := enc.Encode(v)
	return b.Bytes(), errors.Join(err, enc.Close())
}

// Files returns the whole set as files by name.
func (s *Set) Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	var errs []error
	put := func(name string, data []byte, err error) {
		files[name] = data
		errs = append(errs, err)
	}
	byID := func(id func(int) string, n int) []int {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(id(a), id(b)) })
		return order
	}
	put(list(organisationsFile, s.Organisations, byID(func(i int) string { return s.Organisations[i].ID }, len(s.Organisations))))
	put(list(actorsFile, s.Actors, byID(func(i int) string { return s.Actors[i].ID }, len(s.Actors))))
	put(list(sourcesFile, s.Sources, byID(func(i int) string { return s.Sources[i].ID }, len(s.Sources))))
	for _, r := range s.Records {
		data, err := r.File()
		put(r.ID+".yaml", data, err)
	}
	return files, errors.Join(errs...)
}

func list[T any](name string, all []T, order []int) (string, []byte, error) {
	sorted := make([]T, 0, len(all))
	for _, i := range order {
		sorted = append(sorted, all[i])
	}
	data, err := marshal(sorted)
	return name, data, err
}

// HasComments reports whether a YAML file holds comments, which writing it anew would lose.
func HasComments(data []byte) bool {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return true // what cannot be read is not to be overwritten either
	}
	var has func(*yaml.Node) bool
	has = func(n *yaml.Node) bool {
		return n.HeadComment != "" || n.LineComment != "" || n.FootComment != "" || slices.ContainsFunc(n.Content, has)
	}
	return has(&doc)
}
