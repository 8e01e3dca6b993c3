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
	forms    []form
}

// A form is how values of a class are known whatever their names are.
type form struct {
	begins      string // what such a value can begin with
	least, most int    // bytes that such a value can have
	sign        bool   // it has an at sign

	// is decides about a value for which the above is so. v has no white space around it; hint is what is known of it already.
	is func(v []byte, hint weir.ClassSet) bool

	class weir.Class // the rule's
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

// forms are those of all rules. byFirst and byLength have a bit for each form that a value with that first byte, and of that
// length, can have. Nothing changes them after the program's start.
var (
	forms    []form
	byFirst  [256]uint8
	byLength [longest + 1]uint8
	signed   uint8    // the forms with an at sign
	least    [256]int // by the first byte: bytes of the shortest value that has a form without one
)

func init() {
	for b := range least {
		if least[b] = longest + 1; !visible(byte(b)) {
			least[b] = shortest // white space may stand before anything
		}
	}
	for _, r := range rules {
		for _, f := range r.forms {
			f.class = r.class
			bit := uint8(1) << len(forms)
			forms = append(forms, f)
			for i := range len(f.begins) {
				first := f.begins[i]
				byFirst[first] |= bit
				if !f.sign {
					least[first] = min(least[first], f.least)
				}
			}
			for n := f.least; n <= f.most; n++ {
				byLength[n] |= bit
			}
			if f.sign {
				signed |= bit
			}
		}
	}
}

// MayShow reports whether ByForm may find something in a value. It costs next to nothing, and most values show nothing.
func MayShow(v []byte, at bool) bool { return len(v) >= shortest && (at || len(v) >= least[v[0]]) }

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
func ByValue(v []byte, hint weir.ClassSet) weir.ClassSet { return ByForm(v, hint, true) }

// ByForm is ByValue for who knows whether an at sign may be in the value.
func ByForm(v []byte, hint weir.ClassSet, at bool) weir.ClassSet {
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
	may := byFirst[v[0]] & byLength[len(v)]
	if !at {
		may &^= signed
	}
	found := weir.ClassSet(0)
	for ; may != 0; may &= may - 1 {
		if f := &forms[bits.TrailingZeros8(may)]; !hint.Has(f.class) && f.is(v, hint) {
			found |= weir.Set(f.class)
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
