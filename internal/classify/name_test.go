package classify

import (
	"testing"

	"weir"
)

func TestName(t *testing.T) {
	checkRule(t, weir.Name, examples{
		names:    []string{"name", "Full-Name", "customer_first_name", "ｎａｍｅ", "nаme"},
		notNames: []string{"username", "hostname", "names_count", "plan_name_x"},
	})
}
