package classify

import "weir"

// An account number is known by its member's name alone: its form is whatever the service likes.
var accountNumberRule = rule{
	class: weir.AccountNumber,
	names: []string{
		"accountnumber", "accountno", "accountnum", "acctnumber", "acctno", "acctnum", "account", "accountid", "customernumber",
		"customerno", "customerid", "custid", "ban", "billingaccountnumber", "memberid", "membernumber", "subscriberid",
	},
	suffixes: []string{"accountnumber", "accountno", "acctno", "customernumber", "membernumber"},
}
