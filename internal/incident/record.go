// Package incident builds the record of an incident out of claims.
//
// View is the only form in which a record leaves this package for a reader: pages, API and search are made of it, and what
// the reader's tier does not show is not in it (P7).
package incident

import (
	"weir/internal/claim"
)

// An Organisation is a victim.
type Organisation struct {
	ID      string   `yaml:"id" json:"id"`
	Name    string   `yaml:"name" json:"name"`
	Country string   `yaml:"country,omitempty" json:"country"`
	Sector  string   `yaml:"sector,omitempty" json:"sector"`
	Aliases []string `yaml:"aliases,omitempty" json:"aliases,omitempty"`
}

// An Actor is a threat actor. Its type and location are claims.
type Actor struct {
	ID      string   `yaml:"id" json:"id"`
	Name    string   `yaml:"name" json:"name"`
	Aliases []string `yaml:"aliases,omitempty" json:"aliases,omitempty"`
}

// A Record is an incident as a file holds it.
type Record struct {
	ID        string        `yaml:"id"`
	Victim    string        `yaml:"victim"`
	Draft     bool          `yaml:"draft,omitempty"`
	Withdrawn string        `yaml:"withdrawn,omitempty"` // the reason; empty if it stands
	Claims    []claim.Claim `yaml:"claims"`

	file string // where it was read from
}

// A Set is a folder of records with the objects that they refer to.
type Set struct {
	Organisations []Organisation
	Actors        []Actor
	Sources       []claim.Source
	Records       []Record
}

// Add puts other's objects and records behind the set's own.
func (s *Set) Add(other *Set) {
	s.Organisations = append(s.Organisations, other.Organisations...)
	s.Actors = append(s.Actors, other.Actors...)
	s.Sources = append(s.Sources, other.Sources...)
	s.Records = append(s.Records, other.Records...)
}

// own tells the record's claims what they belong to, and in which order they stand.
func (r *Record) own() {
	for i := range r.Claims {
		r.Claims[i].Incident, r.Claims[i].Seq = r.ID, int64(i+1)
		if r.Claims[i].Kind == "" {
			r.Claims[i].Kind = claim.Stated
		}
	}
}
