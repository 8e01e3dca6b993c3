package weir

import (
	"slices"
	"testing"
)

// The numbers are in ledgers: this list may grow at its end and change nowhere else.
func TestClassNumbersStay(t *testing.T) {
	want := []string{"other", "name", "email", "phone", "birth_date", "postal_address", "account_number", "plan", "ssn", "payment_card", "password"}
	var got []string
	for i, c := range Classes() {
		if int(c) != i {
			t.Errorf("class %s has number %d at place %d", c, c, i)
		}
		got = append(got, c.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("classes are %v, want %v", got, want)
	}
}

func TestClassNamesRoundTrip(t *testing.T) {
	for _, c := range Classes() {
		if got, err := ParseClass(c.String()); err != nil || got != c {
			t.Errorf("ParseClass(%s) = %v, %v", c, got, err)
		}
	}
	for _, bad := range []string{"", "Name", "class_11", "emails"} {
		if c, err := ParseClass(bad); err == nil {
			t.Errorf("ParseClass(%q) = %s", bad, c)
		}
	}
}

func TestClassSet(t *testing.T) {
	s := Set(Phone, Email, AccountNumber)
	if got, want := s.String(), "account_number,email,phone"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	if !s.Has(Email) || s.Has(SSN) || s.Len() != 3 || !s.Known() {
		t.Errorf("set %b answers wrongly", s)
	}
	if names := ClassSet(0).Names(); names == nil || len(names) != 0 {
		t.Errorf("the empty set names %#v", names)
	}
	if newer := ClassSet(1) << 40; newer.Known() || newer.String() != "class_40" {
		t.Errorf("a class of a newer version reads %s, known %t", newer, newer.Known())
	}
}
