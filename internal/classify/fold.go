package classify

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// confusables are letters of other alphabets that look like a Latin one (Unicode Technical Standard 39, the few that can
// spell the names in the catalogue).
var confusables = map[rune]byte{
	'а': 'a', 'ԁ': 'd', 'е': 'e', 'һ': 'h', 'і': 'i', 'ј': 'j', 'ӏ': 'l', 'м': 'm', 'о': 'o', 'р': 'p', 'ѕ': 's', 'с': 'c', 'т': 't', 'у': 'y', 'х': 'x', 'ԝ': 'w', 'п': 'n',
	'α': 'a', 'ε': 'e', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'τ': 't', 'υ': 'u', 'χ': 'x', 'ı': 'i', 'ɑ': 'a', 'ɡ': 'g',
}

// Fold appends the form of a name in which names are compared: compatibility form (NFKC), lower case, look-alike letters as
// the Latin ones, without hyphens, underscores, dots, white space and invisible characters.
func Fold(dst, name []byte) []byte {
	for _, b := range name {
		if b >= utf8.RuneSelf {
			return foldUnicode(dst, name)
		}
	}
	for _, b := range name {
		switch {
		case b >= 'A' && b <= 'Z':
			dst = append(dst, b+'a'-'A')
		case b == '-' || b == '_' || b == '.' || b <= ' ' || b == 0x7f:
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

func foldUnicode(dst, name []byte) []byte {
	for _, r := range string(norm.NFKC.Bytes(name)) {
		r = unicode.ToLower(r)
		switch latin, ok := confusables[r]; {
		case ok:
			dst = append(dst, latin)
		case r == '-' || r == '_' || r == '.' || unicode.IsSpace(r) || !unicode.IsPrint(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Mn, r):
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
