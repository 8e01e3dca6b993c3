package classify

import (
	"testing"

	"weir"
)

func TestAccountNumber(t *testing.T) {
	checkRule(t, weir.AccountNumber, examples{
		names:    []string{"account_number", "acctNo", "customer_id", "Billing Account Number"},
		notNames: []string{"id", "accounting"},
	})
}
