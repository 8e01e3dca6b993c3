package weir

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonicalVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/canonical.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct{ JSON, Canonical string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		var got string
		var err error
		if strings.HasPrefix(v.JSON, `"`) {
			var s string
			if err := json.Unmarshal([]byte(v.JSON), &s); err != nil {
				t.Fatal(err)
			}
			got, err = CanonicalString(s)
		} else {
			got, err = CanonicalNumber(v.JSON)
		}
		if got != v.Canonical || (err == nil) != (v.Canonical != "") {
			t.Errorf("%s: got %q, %v; want %q", v.JSON, got, err, v.Canonical)
		}
	}
}

func TestCanonicalLimits(t *testing.T) {
	long := strings.Repeat("9", MaxKeyLen+1)
	if _, err := CanonicalString(long); !errors.Is(err, ErrKeyTooLong) {
		t.Errorf("string: %v", err)
	}
	if _, err := CanonicalNumber(long); !errors.Is(err, ErrKeyTooLong) {
		t.Errorf("number: %v", err)
	}
	for _, lit := range []string{"", "-", "01", "+1", "1_0", "NaN", "0x1"} {
		if got, err := CanonicalNumber(lit); err == nil {
			t.Errorf("%q became the key %q", lit, got)
		}
	}
}

// A form is canonical only if taking it twice changes nothing, and if a number and the text of its digits agree.
func TestCanonicalIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once, err := CanonicalString(rapid.String().Draw(t, "s"))
		if err != nil {
			return
		}
		if twice, err := CanonicalString(once); err != nil || twice != once {
			t.Fatalf("%q became %q, %v", once, twice, err)
		}
		if n, err := CanonicalNumber(once); err == nil && n != once && once != "-0" {
			t.Fatalf("text %q and number %q differ", once, n)
		}
	})
}

func TestPseudonymText(t *testing.T) {
	p := Pseudonym{1, 2, 0xab}
	text, _ := p.MarshalText()
	var q Pseudonym
	if err := q.UnmarshalText(text); err != nil || q != p {
		t.Fatalf("%s became %s, %v", p, q, err)
	}
	for _, bad := range []string{"", "12", strings.Repeat("z", 32), strings.Repeat("0", 33)} {
		if err := q.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read as a pseudonym", bad)
		}
		if q != p {
			t.Fatal("a failed read changed the value")
		}
	}
}
