package classify

import (
	"bytes"

	"weir"
)

// A phone number is known by its form if it is international (ITU-T E.164: a plus sign and 8 to 15 digits, separated or not)
// or written as the North American Numbering Plan's numbers are: (201) 555-0142, 201-555-0142, 201.555.0142. Bare digits are
// no phone number by form: too much else is.
var phoneRule = rule{
	class:    weir.Phone,
	names:    []string{"phone", "telephone", "tel", "mobile", "cell", "msisdn", "fax", "phonenumber", "mobilenumber", "callerid"},
	suffixes: []string{"phone", "phonenumber", "telephone", "mobile", "mobilenumber", "msisdn", "telnumber", "faxnumber"},
	not:      []string{"automobile"},
	value:    func(v []byte, _ weir.ClassSet) bool { return isPhone(v) },
}

func isPhone(v []byte) bool {
	if i := bytes.Index(v, []byte(" x")); i > 0 { // an extension
		v = v[:i]
	}
	if v[0] == '+' {
		n, last := 0, byte('+')
		for _, b := range v[1:] {
			switch {
			case isDigit(b):
				n++
			case bytes.IndexByte([]byte(" -./()"), b) < 0 || b == last && b != ' ':
				return false
			}
			last = b
		}
		return n >= 8 && n <= 15 && (isDigit(last) || last == ')')
	}
	switch len(v) {
	case 12: // ddd-ddd-dddd
		return (v[3] == '-' || v[3] == '.' || v[3] == ' ') && v[7] == v[3] && nanp(v[:3], v[4:7], v[8:])
	case 13, 14: // (ddd)ddd-dddd, (ddd) ddd-dddd
		rest := bytes.TrimPrefix(v[5:], []byte(" "))
		return v[0] == '(' && v[4] == ')' && len(rest) == 8 && rest[3] == '-' && nanp(v[1:4], rest[:3], rest[4:])
	}
	return false
}

// nanp checks area code, exchange and line; the first two begin with 2 to 9.
func nanp(area, exchange, line []byte) bool {
	for _, part := range [][]byte{area, exchange, line} {
		for _, b := range part {
			if !isDigit(b) {
				return false
			}
		}
	}
	return area[0] >= '2' && exchange[0] >= '2'
}
