package classify

import (
	"bytes"
	"regexp"
	"slices"
	"testing"

	"weir"
)

// The forms of values once more, as plain as can be said. ByValue skips what cannot match and must find just the same.
var (
	slowExtension     = regexp.MustCompile(`(?s) x.*$`)
	slowInternational = regexp.MustCompile(`^\+[-0-9 ./()]*[0-9)]$`)
	slowTwice         = regexp.MustCompile(`\+\+|--|\.\.|//|\(\(|\)\)`)
	slowNational      = regexp.MustCompile(`^([2-9]\d\d-[2-9]\d\d-\d{4}|[2-9]\d\d\.[2-9]\d\d\.\d{4}|[2-9]\d\d [2-9]\d\d \d{4}|\([2-9]\d\d\) ?[2-9]\d\d-\d{4})$`)
	slowSSN           = regexp.MustCompile(`^(\d{3}-\d\d-\d{4}|\d{3} \d\d \d{4})$`)
	slowNoSSN         = regexp.MustCompile(`^(000|666|9)|^....00|0000$`)
	slowCard          = regexp.MustCompile(`^\d+([- ]\d+)*$`)
	slowDigit         = regexp.MustCompile(`\d`)
	slowEmail         = regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\\x{80}-\\x{10ffff}-]+(\\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~\\x{80}-\\x{10ffff}-]+)*@" +
		"([a-zA-Z0-9\\x{80}-\\x{10ffff}][a-zA-Z0-9\\x{80}-\\x{10ffff}-]*\\.)+[a-zA-Z0-9\\x{80}-\\x{10ffff}][a-zA-Z0-9\\x{80}-\\x{10ffff}-]+$")
)

func slowByValue(v []byte, hint weir.ClassSet) (found weir.ClassSet) {
	v = bytes.TrimSpace(v)
	if len(v) < shortest || len(v) > longest {
		return 0
	}
	phone := v
	if at := slowExtension.FindIndex(v); at != nil {
		phone = v[:bytes.Index(v, []byte(" x"))]
	}
	n := len(slowDigit.FindAll(phone, -1))
	if slowInternational.Match(phone) && n >= 8 && n <= 15 && !slowTwice.Match(phone) || slowNational.Match(phone) {
		found |= weir.Set(weir.Phone)
	}
	if slowSSN.Match(v) && !slowNoSSN.Match(v) {
		found |= weir.Set(weir.SSN)
	}
	if d := bytes.Join(slowDigit.FindAll(v, -1), nil); slowCard.Match(v) && len(v) <= 23 && len(d) >= 13 && len(d) <= 19 &&
		(len(d) < len(v) || !hint.Has(weir.AccountNumber)) && issued(d) && luhn(d) {
		found |= weir.Set(weir.PaymentCard)
	}
	local, domain, _ := bytes.Cut(v, []byte("@"))
	if slowEmail.Match(v) && len(local) <= 64 && len(domain) <= 255 && !slowHyphens(domain) && !isDigit(v[len(v)-1]) {
		found |= weir.Set(weir.Email)
	}
	return found &^ hint
}

// slowHyphens reports whether a label of the domain ends in a hyphen, of which the last one may.
func slowHyphens(domain []byte) bool { return bytes.Contains(domain, []byte("-.")) }

// Each value that the classes' own tests name, and each that is one byte off.
func TestByValueAsTheForms(t *testing.T) {
	seeds := []string{
		"+12015550142", "+1 (201) 555-0142", "201-555-0142", "(201) 555-0142", "(201)555-0142", "201.555.0142", "201 555 0142", "+44 20 7946 0958",
		"+1 201 555 0142 x031337", "(201) 555-0142 x7", "201-555-0142 x1", "(201)555-0142 x", "+1 201 555 0142  x3", "+--12015550142", "2015550142",
		"123-45-6789", "123 45 6789", "000-45-6789", "123-00-6789", "123-45-0000",
		"4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117", "4111 1111 1111 1111 1111", "2221000000000009",
		"kim@example.com", "k.im+x@mail.example.org", "  pad@example.com ", "ж@пример.example", "a..b@example.com", "kim@-example.com", "kim@example-.com", "a@b.c-",
		"7@x.ab", "1234567@b.cd", "(a@example.com", "+a@example.com", "2019-03-04T05:06:07Z", "Sample Unlimited", "\u00a0201-555-0142\u2003",
	}
	hints := []weir.ClassSet{0, weir.Set(weir.AccountNumber, weir.Phone)}
	bytesOf := []byte("09 -.(+x@\xc2")
	check := func(v []byte) {
		for _, hint := range hints {
			got, want := ByValue(v, hint), slowByValue(v, hint)
			if got != want {
				t.Fatalf("%q with hint %q is %q, by its form %q", v, hint, got, want)
			}
			if got != 0 && !MayShow(v, bytes.IndexByte(v, '@') >= 0) {
				t.Fatalf("%q is %q and may not show it", v, got)
			}
		}
	}
	for _, seed := range seeds {
		v := []byte(seed)
		check(v)
		for i := range v {
			check(slices.Delete(slices.Clone(v), i, i+1))
			for _, b := range bytesOf {
				check(slices.Insert(slices.Clone(v), i, b))
				w := slices.Clone(v)
				w[i] = b
				check(w)
			}
		}
	}
}
