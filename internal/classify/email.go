package classify

import (
	"bytes"
	"strings"

	"weir"
)

// An e-mail address is a dot-atom, an at sign and a domain of two or more labels (RFC 5321 section 4.1.2, RFC 5322 section
// 3.4.1; quoted local parts and address literals are left out).
var emailRule = rule{
	class:    weir.Email,
	names:    []string{"email", "mail", "emailaddress", "mailaddress", "emailaddr"},
	suffixes: []string{"email", "emailaddress", "emailaddr", "mailaddress"},
	forms:    []form{{begins: atoms(), least: shortest, most: longest, sign: true, is: isEmail}},
}

func isEmail(v []byte, _ weir.ClassSet) bool {
	at := bytes.IndexByte(v, '@')
	if at < 1 || at > 64 || !dotAtom(v[:at]) {
		return false
	}
	domain := v[at+1:]
	dot := bytes.LastIndexByte(domain, '.')
	if dot < 1 || len(domain)-dot < 3 || len(domain) > 255 {
		return false
	}
	last := byte('.')
	for _, b := range domain {
		ok := isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 || b == '-' && last != '.' || b == '.' && last != '.' && last != '-'
		if !ok {
			return false
		}
		last = b
	}
	return !isDigit(last)
}

// atoms is every byte that an atom can hold (RFC 5322 section 3.2.3, RFC 6532 section 3.2).
func atoms() string {
	var all []byte
	for b := range 256 {
		if isAtom(byte(b)) {
			all = append(all, byte(b))
		}
	}
	return string(all)
}

func isAtom(b byte) bool {
	return isDigit(b) || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", b) >= 0
}

func dotAtom(v []byte) bool {
	last := byte('.')
	for _, b := range v {
		if !isAtom(b) && (b != '.' || last == '.') {
			return false
		}
		last = b
	}
	return last != '.'
}
