package classify

import "weir"

// A postal address, or a part of one, is known by its member's name: street, city, state, postal code and their kin.
// Everything below a member named as an address is part of it.
var postalAddressRule = rule{
	class: weir.PostalAddress,
	names: []string{
		"address", "addr", "street", "streetaddress", "addressline1", "addressline2", "address1", "address2", "line1", "line2", "city",
		"town", "postcode", "postalcode", "zip", "zipcode", "zip5", "zip4", "county", "housenumber", "apartment", "residence",
	},
	suffixes: []string{"address", "streetaddress", "postalcode", "postcode", "zipcode", "street", "city"},
	not:      []string{"ipaddress", "macaddress", "walletaddress", "capacity", "velocity", "simplicity", "webaddress", "bindaddress", "listenaddress", "remoteaddress", "electricity"},
}
