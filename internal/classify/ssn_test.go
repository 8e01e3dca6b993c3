package classify

import (
	"testing"

	"weir"
)

func TestSSN(t *testing.T) {
	checkRule(t, weir.SSN, examples{
		names:     []string{"ssn", "SSN", "social_security_number", "tax-id", "customer_ssn"},
		notNames:  []string{"session", "lesson_x"},
		values:    []string{"123-45-6789", "123 45 6789"},
		notValues: []string{"000-45-6789", "666-45-6789", "900-45-6789", "123-00-6789", "123-45-0000", "123456789", "123-45-678x", "123-45 6789"},
	})
}
