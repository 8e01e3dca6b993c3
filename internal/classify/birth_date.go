package classify

import "weir"

// A date of birth is known by its member's name alone: a date by itself is any day.
var birthDateRule = rule{
	class:    weir.BirthDate,
	names:    []string{"birthdate", "dateofbirth", "dob", "birthday", "born", "bday", "birthyear", "yearofbirth"},
	suffixes: []string{"birthdate", "dateofbirth", "birthday", "dob"},
}
