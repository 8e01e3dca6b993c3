// Package incident builds the record of an incident out of claims.
//
// View is the only form in which a record leaves this package for a reader: pages, API and search are made of it, and what
// the reader's tier does not show is not in it (P7).
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
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/internal/claim"
)

// An Organisation is a victim.
type Organisation struct {
	ID      string `yaml:"id" json:"id"`
	Name    string `yaml:"name" json:"name"`
	Country string `yaml:"country,omitempty" json:"country"`
	Sector  string `yaml:"sector,omitempty" json:"sector"`
}

// An Actor is a threat actor. Its type and location are claims.
type Actor struct {
	ID   string `yaml:"id" json:"id"`
	Name string `yaml:"name" json:"name"`
}

// A Record is an incident as a file holds it.
type Record struct {
	ID     string        `yaml:"id"`
	Victim string        `yaml:"victim"`
	Draft  bool          `yaml:"draft,omitempty"`
	Claims []claim.Claim `yaml:"claims"`
}

// A Set is a folder of records with the objects that they refer to.
type Set struct {
	Organisations []Organisation
	Actors        []Actor
	Sources       []claim.Source
	Records       []Record
}

// Names of the files in a folder of records that hold no incident.
const (
	organisationsFile = "organisations.yaml"
	actorsFile        = "actors.yaml"
	sourcesFile       = "sources.yaml"
)

// ReadRecords reads a folder of records: organisations.yaml, actors.yaml, sources.yaml, and one file for each incident. It
// reads strictly and reports all problems at once, each with its file.
func ReadRecords(dir fs.FS) (*Set, error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, err
	}
	s := &Set{}
	var errs []error
	for _, name := range names {
		var into any
		var rec Record
		switch name {
		case organisationsFile:
			into = &s.Organisations
		case actorsFile:
			into = &s.Actors
		case sourcesFile:
			into = &s.Sources
		default:
			into = &rec
		}
		if err := readStrict(dir, name, into); err != nil {
			errs = append(errs, err)
		} else if into == &rec {
			for i := range rec.Claims {
				c := &rec.Claims[i]
				c.Incident, c.Kind = rec.ID, cmp.Or(c.Kind, claim.Stated)
			}
			if rec.ID+".yaml" != name {
				errs = append(errs, fmt.Errorf("%s: its id is %q: name the file after it", name, rec.ID))
			}
			s.Records = append(s.Records, rec)
		}
	}
	return s, errors.Join(append(errs, s.Lint()...)...)
}

func readStrict(dir fs.FS, name string, into any) error {
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path.Base(name), err)
	}
	return nil
}

// Lint reports everything that is wrong with the set.
func (s *Set) Lint() (errs []error) {
	ids := func(what string, n int, id func(int) string) map[string]bool {
		seen := map[string]bool{}
		for i := range n {
			if !validID(id(i)) || seen[id(i)] {
				errs = append(errs, fmt.Errorf("%s %q: an id has small letters, digits and hyphens, and is given once", what, id(i)))
			}
			seen[id(i)] = true
		}
		return seen
	}
	organisations := ids("organisation", len(s.Organisations), func(i int) string { return s.Organisations[i].ID })
	actors := ids("actor", len(s.Actors), func(i int) string { return s.Actors[i].ID })
	sources := ids("source", len(s.Sources), func(i int) string { return s.Sources[i].ID })
	ids("incident", len(s.Records), func(i int) string { return s.Records[i].ID })
	for i := range s.Records {
		rec := &s.Records[i]
		add := func(n int, err error) { errs = append(errs, fmt.Errorf("%s.yaml: claim %d: %w", rec.ID, n+1, err)) }
		if !organisations[rec.Victim] {
			errs = append(errs, fmt.Errorf("%s.yaml: no organisation %q", rec.ID, rec.Victim))
		}
		for n := range rec.Claims {
			c := &rec.Claims[n]
			if err := c.Check(); err != nil {
				add(n, fmt.Errorf("%s: %w", c.Property, err))
				continue
			}
			if c.Source != "" && !sources[c.Source] {
				add(n, fmt.Errorf("%s: no source %q", c.Property, c.Source))
			}
			p, _ := claim.Find(c.Property)
			if p.Type == claim.Ref && !actors[c.Value] || (c.Property == "actor_type" || c.Property == "actor_location") && !actors[c.Qualifier] {
				add(n, fmt.Errorf("%s: no such actor", c.Property))
			}
			if p.Type == claim.Prose {
				for _, problem := range lintProse(c.Value, rec.Claims) {
					add(n, fmt.Errorf("%s: %w", c.Property, problem))
				}
			}
		}
	}
	return errs
}

func validID(id string) bool {
	return id != "" && len(id) <= 100 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// reference is {property} or {property:qualifier} in prose.
var reference = regexp.MustCompile(`\{([a-z_]+)(?::([^{}]+))?\}`)

// figure is what prose may not hold outside of a reference: a digit, or a number in words.
var figure = regexp.MustCompile(`(?i)\d|\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundreds?|thousands?|millions?|billions?|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twice|half|january|february|march|april|june|july|august|september|october|november|december)\b`)

// lintProse reports bare figures, and references that lead to no claim of the incident (P6).
func lintProse(text string, claims []claim.Claim) (errs []error) {
	if bare := figure.FindString(reference.ReplaceAllString(text, "")); bare != "" {
		errs = append(errs, fmt.Errorf("%q stands bare in the text: write it as a reference such as {people:accounts}", bare))
	}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(claims, func(c claim.Claim) bool { return c.Property == m[1] && c.Qualifier == m[2] }) && m[1] != historyReference {
			errs = append(errs, fmt.Errorf("%s leads to no claim", m[0]))
		}
	}
	return errs
}
