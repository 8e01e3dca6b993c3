package classify

import (
	"testing"

	"weir"
)

func TestPlan(t *testing.T) {
	checkRule(t, weir.Plan, examples{
		names:    []string{"plan", "rate_plan", "number_of_lines"},
		notNames: []string{"planet", "plane"},
	})
}
