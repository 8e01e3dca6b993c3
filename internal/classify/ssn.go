package classify

import "weir"

// A US social security number is known by its form if it is written ddd-dd-dddd, and if the Social Security Administration
// could have assigned it: no area 000, 666 or 900 to 999, no group 00, no serial 0000.
var ssnRule = rule{
	class:    weir.SSN,
	names:    []string{"ssn", "socialsecuritynumber", "socialsecurity", "socialsecurityno", "taxid", "tin", "itin", "ssnlast4", "last4ssn", "nationalid", "taxpayerid"},
	suffixes: []string{"ssn", "socialsecuritynumber", "taxid"},
	forms:    []form{{begins: decimal, least: len("123-45-6789"), most: len("123-45-6789"), is: isSSN}},
}

func isSSN(v []byte, _ weir.ClassSet) bool {
	if v[3] != v[6] || v[3] != '-' && v[3] != ' ' {
		return false
	}
	for i, b := range v {
		if i != 3 && i != 6 && !isDigit(b) {
			return false
		}
	}
	area, group, serial := string(v[:3]), string(v[4:6]), string(v[7:])
	return area != "000" && area != "666" && area[0] != '9' && group != "00" && serial != "0000"
}
