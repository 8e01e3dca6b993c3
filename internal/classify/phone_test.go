package classify

import (
	"testing"

	"weir"
)

func TestPhone(t *testing.T) {
	checkRule(t, weir.Phone, examples{
		names:     []string{"phone", "Mobile", "home_phone", "PHONE_NUMBER"},
		notNames:  []string{"phones_total", "automobile"},
		values:    []string{"+12015550142", "+1 (201) 555-0142", "201-555-0142", "(201) 555-0142", "(201)555-0142", "201.555.0142", "+44 20 7946 0958", "+1 201 555 0142 x031337"},
		notValues: []string{"2015550142", "101-555-0142", "201-155-0142", "+1", "+1234567", "201-555-01x2", "2026-11-24 10:00", "+--12015550142", "1.2.3.4.5.6.7"},
	})
}
