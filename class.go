package weir

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// A Class is a kind of personal data. Its number is its bit in a [ClassSet] and is written into ledgers: a number, once
// given, never changes its meaning and is never given again. The names follow the categories of the W3C Data Privacy
// Vocabulary (DPV-PD) and of the US state breach notification laws.
type Class uint8

// The classes known to this version. New ones are added at the end.
const (
	Other         Class = iota // a value in a data subject's record that no rule names
	Name                       // the name of a person
	Email                      // an e-mail address
	Phone                      // a telephone number
	BirthDate                  // a date of birth
	PostalAddress              // a postal address or a part of one
	AccountNumber              // the number of an account with the service
	Plan                       // what service the person has: plan, lines, features
	SSN                        // a US social security number or tax id
	PaymentCard                // a payment card number or its security code
	Password                   // a password, PIN, or security answer, hashed or not

	numClasses
)

var classNames = [numClasses]string{
	"other", "name", "email", "phone", "birth_date", "postal_address", "account_number", "plan", "ssn", "payment_card", "password",
}

// Classes returns every class, in the order of their numbers.
func Classes() []Class {
	cs := make([]Class, numClasses)
	for i := range cs {
		cs[i] = Class(i)
	}
	return cs
}

// String returns the class's name in configuration, ledger listings and statements, such as "birth_date".
func (c Class) String() string {
	if c < numClasses {
		return classNames[c]
	}
	return fmt.Sprintf("class_%d", uint8(c))
}

// ParseClass returns the class of that name.
func ParseClass(name string) (Class, error) {
	if i := slices.Index(classNames[:], name); i >= 0 {
		return Class(i), nil
	}
	known := slices.Sorted(slices.Values(classNames[:]))
	return 0, fmt.Errorf("unknown class %q: use one of %s", name, strings.Join(known, ", "))
}

// A ClassSet is a set of classes, one bit each. The zero value is the empty set.
type ClassSet uint64

// Set returns the set of the given classes.
func Set(cs ...Class) ClassSet {
	var s ClassSet
	for _, c := range cs {
		s |= 1 << c
	}
	return s
}

// Has reports whether c is in the set.
func (s ClassSet) Has(c Class) bool { return s&(1<<c) != 0 }

// Len returns how many classes the set holds.
func (s ClassSet) Len() int { return bits.OnesCount64(uint64(s)) }

// Known reports whether every class of the set has a name in this version.
func (s ClassSet) Known() bool { return s>>numClasses == 0 }

// Names returns the names of the set's classes in alphabetical order; it is never nil.
func (s ClassSet) Names() []string {
	names := make([]string, 0, s.Len())
	for ; s != 0; s &= s - 1 {
		names = append(names, Class(bits.TrailingZeros64(uint64(s))).String())
	}
	slices.Sort(names)
	return names
}

// String returns the sorted names joined by commas.
func (s ClassSet) String() string { return strings.Join(s.Names(), ",") }
