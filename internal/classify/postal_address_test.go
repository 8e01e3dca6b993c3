package classify

import (
	"testing"

	"weir"
)

func TestPostalAddress(t *testing.T) {
	checkRule(t, weir.PostalAddress, examples{
		names:    []string{"address", "billing_address", "ZIP", "city", "shippingStreet"},
		notNames: []string{"ip_address", "capacity", "mac-address"},
	})
}
