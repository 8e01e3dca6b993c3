package weir

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// MaxKeyLen is the longest canonical key, in bytes.
const MaxKeyLen = 256

// Errors of the canonical forms.
var (
	ErrKeyEmpty   = errors.New("key is empty")
	ErrKeyTooLong = fmt.Errorf("key is longer than %d bytes", MaxKeyLen)
	ErrKeyNumber  = errors.New("key is a number with a fraction, an exponent or a leading zero")
)

// CanonicalString returns the canonical form of a data subject's key that was given as text: Unicode normalisation form C
// (UAX #15), without white space at either end. Letters keep their case and digits their leading zeros, because "007" and
// "7" may be two people; white space inside stays. testdata/canonical.json holds vectors.
func CanonicalString(s string) (string, error) {
	if !plainASCII(s) {
		s = norm.NFC.String(s)
	}
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", ErrKeyEmpty
	case len(s) > MaxKeyLen:
		return "", ErrKeyTooLong
	}
	return s, nil
}

// CanonicalNumber returns the canonical form of a key that was given as a JSON number literal (RFC 8259): its digits, so
// that 123 and "123" name the same person. It never goes through floating point. A literal with a fraction or an exponent
// is no key: readers disagree on what 1.0 or 1e2 equals.
func CanonicalNumber(lit string) (string, error) {
	digits := strings.TrimPrefix(lit, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return "", ErrKeyNumber
	}
	for i := 0; i < len(digits); i++ {
		if digits[i] < '0' || digits[i] > '9' {
			return "", ErrKeyNumber
		}
	}
	if len(lit) > MaxKeyLen {
		return "", ErrKeyTooLong
	}
	if digits == "0" {
		return "0", nil
	}
	return lit, nil
}

func plainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// A Pseudonym is the ledger's name for a data subject or a principal: the first 128 bits of a keyed pseudorandom function
// over a namespace and a canonical key. Without the guard's key it names nobody.
type Pseudonym [16]byte

// String returns the pseudonym as 32 hexadecimal digits.
func (p Pseudonym) String() string { return hex.EncodeToString(p[:]) }

// MarshalText returns what String returns.
func (p Pseudonym) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Pseudonym) UnmarshalText(text []byte) error {
	q, err := ParsePseudonym(string(text))
	if err == nil {
		*p = q
	}
	return err
}

// ParsePseudonym reads 32 hexadecimal digits.
func ParsePseudonym(s string) (Pseudonym, error) {
	var p Pseudonym
	if len(s) != 2*len(p) {
		return p, fmt.Errorf("pseudonym %q is not %d hexadecimal digits", s, 2*len(p))
	}
	if _, err := hex.Decode(p[:], []byte(s)); err != nil {
		return Pseudonym{}, fmt.Errorf("pseudonym %q is not %d hexadecimal digits", s, 2*len(p))
	}
	return p, nil
}
