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
	"math/bits"
	"slices"
	"unicode/utf8"

	"weir"
)

// A rule says how one class is recognised.
type rule struct {
	class    weir.Class
	names    []string // folded names that mean the class
	suffixes []string // folded ends of names that mean the class
	not      []string // folded ends of names that look like the class and mean nothing personal
	// value reports whether a value is of the class by its form alone. It is asked only about what has a first byte of begins
	// and least to most bytes. v has no white space around it; hint is what is known of it already.
	value       func(v []byte, hint weir.ClassSet) bool
	begins      string
	least, most int
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

// The lengths of what a value can be known by: the shortest phone number and the longest e-mail address.
const (
	shortest = 7
	longest  = 320
)

// valued are the rules that know a value by its form. byFirst and byLength have a bit for each of them that is to be asked
// about a value with that first byte, and of that length. Nothing changes them after the program's start.
var (
	valued   []rule
	byFirst  [256]uint8
	byLength [longest + 1]uint8
)

func init() {
	for _, r := range rules {
		if r.value == nil {
			continue
		}
		bit := uint8(1) << len(valued)
		for i := range len(r.begins) {
			byFirst[r.begins[i]] |= bit
		}
		for n := r.least; n <= r.most; n++ {
			byLength[n] |= bit
		}
		valued = append(valued, r)
	}
}

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
// of a number; hint holds the classes that its name or the mapping gives it, and what hint holds is not looked for again.
func ByValue(v []byte, hint weir.ClassSet) weir.ClassSet {
	if len(v) < shortest {
		return 0
	}
	if !visible(v[0]) || !visible(v[len(v)-1]) {
		if v = bytes.TrimSpace(v); len(v) < shortest {
			return 0
		}
	}
	if len(v) > longest {
		return 0
	}
	found := weir.ClassSet(0)
	for may := byFirst[v[0]] & byLength[len(v)]; may != 0; may &= may - 1 {
		if r := &valued[bits.TrailingZeros8(may)]; !hint.Has(r.class) && r.value(v, hint) {
			found |= weir.Set(r.class)
		}
	}
	return found
}

// visible reports whether a byte can be no part of white space.
func visible(b byte) bool { return b > ' ' && b < utf8.RuneSelf }

// decimal is every digit.
const decimal = "0123456789"

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// digits copies the digits of v to dst, if v is nothing but digits and single spaces or hyphens between them. It reports
// false if it is not, or if dst is too small.
func digits(dst, v []byte) ([]byte, bool) {
	for i, b := range v {
		switch {
		case isDigit(b):
			if len(dst) == cap(dst) {
				return nil, false
			}
			dst = append(dst, b)
		case b != ' ' && b != '-' || i == 0 || i == len(v)-1 || !isDigit(v[i-1]):
			return nil, false
		}
	}
	return dst, true
}
