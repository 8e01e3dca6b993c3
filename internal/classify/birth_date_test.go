package classify

import (
	"testing"

	"weir"
)

func TestBirthDate(t *testing.T) {
	checkRule(t, weir.BirthDate, examples{
		names:    []string{"birth_date", "dob", "DateOfBirth", "customer-dob"},
		notNames: []string{"created", "birthplace_x"},
	})
}
