package classify

import "weir"

// A phone number is known by its form if it is international (ITU-T E.164: a plus sign and 8 to 15 digits, separated or not)
// or written as the North American Numbering Plan's numbers are: (201) 555-0142, 201-555-0142, 201.555.0142. Bare digits are
// no phone number by form: too much else is.
var phoneRule = rule{
	class:    weir.Phone,
	names:    []string{"phone", "telephone", "tel", "mobile", "cell", "msisdn", "fax", "phonenumber", "mobilenumber", "callerid"},
	suffixes: []string{"phone", "phonenumber", "telephone", "mobile", "mobilenumber", "msisdn", "telnumber", "faxnumber"},
	not:      []string{"automobile"},
	forms: []form{
		{begins: "+", least: len("+12345678"), most: longest, is: isInternational},
		{begins: "(" + decimal, least: len("201-555-0142"), most: longest, is: isNational},
	},
}

func isNational(v []byte, _ weir.ClassSet) bool {
	if v[0] == '(' { // (ddd)ddd-dddd, (ddd) ddd-dddd
		n := 13
		if v[5] == ' ' {
			n = 14
		}
		return endsAt(v, n) && v[4] == ')' && v[n-5] == '-' && nanp(v[1:4], v[n-8:n-5], v[n-4:n])
	}
	return endsAt(v, 12) && (v[3] == '-' || v[3] == '.' || v[3] == ' ') && v[7] == v[3] && nanp(v[:3], v[4:7], v[8:12])
}

// endsAt reports whether n bytes of v are the number, and what follows, if something does, is an extension.
func endsAt(v []byte, n int) bool {
	return len(v) == n || len(v) > n+1 && v[n] == ' ' && v[n+1] == 'x'
}

func isInternational(v []byte, _ weir.ClassSet) bool {
	n, last := 0, v[0]
	for i := 1; i < len(v); i++ {
		switch b := v[i]; {
		case isDigit(b):
			n++
		case b == ' ':
			if i+1 < len(v) && v[i+1] == 'x' { // an extension
				v = v[:i]
				continue
			}
		case b != '-' && b != '.' && b != '/' && b != '(' && b != ')' || b == last:
			return false
		}
		last = v[i]
	}
	return n >= 8 && n <= 15 && (isDigit(last) || last == ')')
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
