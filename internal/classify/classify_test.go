package classify

import (
	"bytes"
	"testing"

	"weir"
)

// examples are what a class's rule must and must not recognise.
type examples struct {
	names, notNames   []string
	values, notValues []string
}

func checkRule(t *testing.T, c weir.Class, e examples) {
	t.Helper()
	for _, n := range e.names {
		if got, ok := ByName([]byte(n)); !ok || got != c {
			t.Errorf("name %q is %s, %t; want %s", n, got, ok, c)
		}
	}
	for _, n := range e.notNames {
		if got, ok := ByName([]byte(n)); ok && got == c {
			t.Errorf("name %q is taken for %s", n, c)
		}
	}
	for _, v := range e.values {
		if got := ByValue([]byte(v), 0); got != weir.Set(c) {
			t.Errorf("value %q is %q; want %s", v, got, c)
		}
	}
	for _, v := range e.notValues {
		if got := ByValue([]byte(v), 0); got.Has(c) {
			t.Errorf("value %q is taken for %s", v, c)
		}
	}
}

func TestEveryClassHasARule(t *testing.T) {
	seen := weir.Set(weir.Other)
	for _, r := range rules {
		if seen.Has(r.class) {
			t.Errorf("%s has two rules", r.class)
		}
		seen |= weir.Set(r.class)
	}
	for _, c := range weir.Classes() {
		if !seen.Has(c) {
			t.Errorf("%s has no rule", c)
		}
	}
}

// A rule's own names must be in the folded form, or no name ever equals them.
func TestCatalogueIsFolded(t *testing.T) {
	for _, r := range rules {
		for _, list := range [][]string{r.names, r.suffixes, r.not} {
			for _, n := range list {
				if got := string(Fold(nil, []byte(n))); got != n {
					t.Errorf("%s: %q folds to %q", r.class, n, got)
				}
			}
		}
	}
}

// The longest end decides between classes.
func TestLongestSuffixWins(t *testing.T) {
	for name, want := range map[string]weir.Class{
		"customer_email_address": weir.Email, "home_address": weir.PostalAddress, "planName": weir.Plan, "cardholder": weir.Name,
	} {
		if got, ok := ByName([]byte(name)); !ok || got != want {
			t.Errorf("%s is %s, %t; want %s", name, got, ok, want)
		}
	}
}

func TestAccountNumberIsNoCardByChance(t *testing.T) {
	bare, grouped := []byte("4111111111111111"), []byte("4111 1111 1111 1111")
	hint := weir.Set(weir.AccountNumber)
	if got := ByValue(bare, hint); got != 0 {
		t.Errorf("bare digits of an account number are %s", got)
	}
	if got := ByValue(grouped, hint); !got.Has(weir.PaymentCard) {
		t.Error("a card number in groups hides behind the name of an account number")
	}
}

func TestNoAllocation(t *testing.T) {
	name, value := []byte("Customer-Email"), []byte("kim@example.com")
	if n := testing.AllocsPerRun(100, func() { ByName(name); ByValue(value, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("еmail"), []byte("+1 (201) 555-0142"))
	f.Add([]byte("\xff"), []byte("4111 1111 1111 1111"))
	f.Fuzz(func(t *testing.T, name, value []byte) {
		ByName(name)
		folded := Fold(nil, name)
		if again := Fold(nil, folded); !bytes.Equal(again, folded) && bytes.IndexFunc(folded, func(r rune) bool { return r >= 0x80 }) < 0 {
			t.Errorf("%q folds to %q and that to %q", name, folded, again)
		}
		if s := ByValue(value, 0); !s.Known() {
			t.Errorf("%q has unknown class %s", value, s)
		}
	})
}
