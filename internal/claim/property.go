package claim

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weir/internal/access"
)

// A Cardinality is how many values of a property stand beside each other without disagreeing.
type Cardinality string

// The cardinalities.
const (
	One  Cardinality = "one"  // of an object; with a qualifier, one for each
	Many Cardinality = "many" // as many as there are
)

// An Object is a kind of thing that the register holds.
type Object string

// The objects.
const (
	OfIncident     Object = "incident"
	OfOrganisation Object = "organisation"
	OfActor        Object = "actor"
	OfSource       Object = "source"
)

// A Property is something that can be said about an object of the register. The table is the only place that defines one:
// forms, pages, the API's schema, lint, search, exports and access follow it.
type Property struct {
	Object    Object
	Name      string
	Type      Type
	Enum      []string // the words of an Enum
	Values    Cardinality
	Of        string   // what a qualifier means, such as "population"; empty where there is none
	OfWords   []string // the qualifiers, where they are listed
	Unit      string
	Label     string
	Help      string
	Section   string // of the page, see Sections; empty for what the head of the page shows
	Access    access.Rule
	VERIS     string         // path in the VERIS 1.4.1 schema; empty where it has none
	STIX      string         // object and property in STIX 2.1; empty where it has none
	Pattern   *regexp.Regexp // of a Coded value
	Example   string         // of a Coded value
	Catalogue string         // of a Coded value: name and version
}

// A Layout is how a section shows its claims.
type Layout string

// The layouts.
const (
	Table    Layout = "table"    // value, kind, speaker, as-of, source
	Quotes   Layout = "quotes"   // each value with who says it
	Timeline Layout = "timeline" // in the order of the dates
	Classes  Layout = "classes"  // a row for each class of data
)

// A Section is a part of an incident's page.
type Section struct {
	Name   string
	Title  string
	Hint   string
	Layout Layout
}

var sections = []Section{
	{"status", "Status", "", Table},
	{"timeline", "Timeline", "", Timeline},
	{"taken", "What was taken, and what was not", "", Classes},
	{"measured", "Measured by the guard", "Of what was released through this guard. The size of the whole incident is another question.", Table},
	{"counts", "How many, of what", "", Table},
	{"how", "How it was possible", "", Table},
	{"coding", "Coded for analysis", "", Table},
	{"statements", "What is said about it", "", Quotes},
	{"notices", "Who was told", "", Quotes},
	{"money", "Extortion, losses, fines and settlements", "", Table},
	{"identity", "Other names and relations", "", Table},
}

// Sections returns the sections of a page in their order. The caller must not change it.
func Sections() []Section { return sections }

// DataClasses are the classes of data that a claim may be about: those that a guard knows, and those that people speak of.
var DataClasses = []string{
	"name", "email", "phone", "birth_date", "postal_address", "account_number", "plan", "ssn", "payment_card", "password",
	"security_answer", "national_id", "government_id", "driver_licence", "passport", "bank_account", "device_id", "call_records",
	"contact_details", "business_name", "purchase_history", "employment", "health", "location", "source_code", "username", "gender",
	"salary", "other",
}

// Properties returns the table in its order. The caller must not change it.
func Properties() []Property { return properties }

// Find returns the property of an incident that has that name.
func Find(name string) (*Property, bool) {
	for i := range properties {
		if properties[i].Object == OfIncident && properties[i].Name == name {
			return &properties[i], true
		}
	}
	return nil, false
}

// Place returns where an incident's property stands in the table; files keep that order.
func Place(name string) int {
	return slices.IndexFunc(properties, func(p Property) bool { return p.Object == OfIncident && p.Name == name })
}

// CheckQualifier refuses a qualifier where there is none, and one that is not listed where they are.
func (p *Property) CheckQualifier(of string) error {
	switch {
	case p.Of == "" && of != "":
		return fmt.Errorf("of: has no meaning for %s", p.Name)
	case p.Of != "" && of == "":
		return fmt.Errorf("of: is missing: it says which %s", p.Of)
	case p.OfWords != nil && of != "" && !slices.Contains(p.OfWords, of):
		return fmt.Errorf("of: %q is none of %s", of, strings.Join(p.OfWords, ", "))
	}
	return nil
}

// nearest suggests the property that was meant.
func nearest(name string) string {
	type candidate struct {
		name string
		far  int
	}
	var all []candidate
	for _, p := range properties {
		if p.Object == OfIncident {
			all = append(all, candidate{p.Name, distance(name, p.Name)})
		}
	}
	best := slices.MinFunc(all, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	if best.far > 3 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best.name)
}

// distance is the edit distance of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
