package classify

import "weir"

// A person's name is known by its member's name alone: the form of a name tells nothing.
var nameRule = rule{
	class: weir.Name,
	names: []string{
		"name", "fullname", "displayname", "legalname", "givenname", "familyname", "firstname", "lastname", "middlename", "surname",
		"forename", "maidenname", "nickname", "fname", "lname", "holder", "accountholder", "cardholder",
	},
	suffixes: []string{"firstname", "lastname", "fullname", "surname", "givenname", "familyname", "customername", "holdername", "contactname", "personname", "ownername", "patientname"},
	not:      []string{"username", "hostname", "filename", "domainname"},
}
