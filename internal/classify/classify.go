// Package classify decides which class of personal data a named value is.
//
// Two questions are asked, because either may be all there is: what the name of a member says, and what the value says of
// itself. Names are compared after folding, so that E-Mail, e_mail and an e written in Cyrillic are one name. Values are
// recognised only by forms that hardly occur by chance; a recogniser that is wrong now and then errs by reporting too much.
//
// Each class has a file with its rule and a twin test; the table of rules below is the whole catalogue.
package classify

import (
	"bytes"
	"cmp"
	"slices"

	"weir"
)

// A rule says how one class is recognised.
type rule struct {
	class    weir.Class
	names    []string // folded names that mean the class
	suffixes []string // folded ends of names that mean the class
	not      []string // folded ends of names that look like the class and mean nothing personal
	// value reports whether a value is of the class by its form alone. hint is what is known of it already.
	value func(v []byte, hint weir.ClassSet) bool
}

// rules is the catalogue. weir.Other has no rule: it is what is left.
var rules = []rule{
	nameRule, emailRule, phoneRule, birthDateRule, postalAddressRule, accountNumberRule, planRule, ssnRule, paymentCardRule,
	passwordRule,
}

type verdict struct {
	class weir.Class
	ok    bool
}

type suffix struct {
	text string
	verdict
}

// byName and bySuffix are rules in the form that a look-up wants; nothing changes them after the program's start.
var byName, bySuffix = compile(rules)

func compile(rules []rule) (map[string]weir.Class, []suffix) {
	names := map[string]weir.Class{}
	var suffixes []suffix
	for _, r := range rules {
		for _, n := range r.names {
			if other, twice := names[n]; twice {
				panic("classify: the name " + n + " is given to " + other.String() + " and " + r.class.String())
			}
			names[n] = r.class
		}
		for _, s := range r.suffixes {
			suffixes = append(suffixes, suffix{s, verdict{r.class, true}})
		}
		for _, s := range r.not {
			suffixes = append(suffixes, suffix{s, verdict{}})
		}
	}
	// The longest end decides: emailaddress is an e-mail address and not a postal one.
	slices.SortStableFunc(suffixes, func(a, b suffix) int { return cmp.Compare(len(b.text), len(a.text)) })
	return names, suffixes
}

// ByName returns the class that the name of a JSON member means, after unescaping.
func ByName(name []byte) (weir.Class, bool) {
	var scratch [64]byte
	folded := Fold(scratch[:0], name)
	if c, ok := byName[string(folded)]; ok {
		return c, true
	}
	for i := range bySuffix {
		if bytes.HasSuffix(folded, []byte(bySuffix[i].text)) {
			return bySuffix[i].class, bySuffix[i].ok
		}
	}
	return 0, false
}

// ByValue returns the classes that a value shows by its form, whatever its name. v is the text of a string, or the literal
// of a number; hint holds the classes that its name or the mapping gives it.
func ByValue(v []byte, hint weir.ClassSet) weir.ClassSet {
	v = bytes.TrimSpace(v)
	if len(v) < 7 || len(v) > 320 { // the shortest phone number and the longest e-mail address
		return 0
	}
	var found weir.ClassSet
	for i := range rules {
		if r := &rules[i]; r.value != nil && r.value(v, hint) {
			found |= weir.Set(r.class)
		}
	}
	return found
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// digits copies the digits of v to dst, if v is nothing but digits and single separators between them. It reports false if
// it is not, or if dst is too small.
func digits(dst, v []byte, separators string) ([]byte, bool) {
	for i, b := range v {
		switch {
		case isDigit(b):
			if len(dst) == cap(dst) {
				return nil, false
			}
			dst = append(dst, b)
		case bytes.IndexByte([]byte(separators), b) < 0 || i == 0 || i == len(v)-1 || !isDigit(v[i-1]):
			return nil, false
		}
	}
	return dst, true
}
