package classify

import "weir"

// A payment card number is known by its form: 13 to 19 digits, in groups or not, that begin as an issued range does and end
// in the right check digit (ISO/IEC 7812-1, annex B: Luhn). One in ten runs of digits has a right check digit by chance; so
// bare digits whose name says account number are left at that.
var paymentCardRule = rule{
	class: weir.PaymentCard,
	names: []string{
		"cardnumber", "creditcard", "creditcardnumber", "ccnumber", "ccnum", "pan", "paymentcard", "cvv", "cvc", "cvv2", "cardno",
		"debitcard", "cardsecuritycode", "cardexpiry",
	},
	suffixes: []string{"cardnumber", "creditcard", "paymentcard", "debitcard"},
	forms:    []form{{begins: decimal, least: 13, most: 19 + 4 /* groups of four */, is: isPaymentCard}},
}

func isPaymentCard(v []byte, hint weir.ClassSet) bool {
	var scratch [19]byte
	d, ok := digits(scratch[:0], v)
	if !ok || len(d) < 13 {
		return false
	}
	if len(d) == len(v) && hint.Has(weir.AccountNumber) {
		return false
	}
	return issued(d) && luhn(d)
}

// issued reports whether the first digits are in a range of a large network, with its lengths.
func issued(d []byte) bool {
	n := len(d)
	two := int(d[0]-'0')*10 + int(d[1]-'0')
	four := two*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	switch {
	case d[0] == '4': // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case four == 6011, two == 65, four >= 6440 && four <= 6499, two == 62: // Discover, UnionPay
		return n >= 16
	case four >= 3528 && four <= 3589: // JCB
		return n >= 16
	case two == 36, two == 38, two == 39, four >= 3000 && four <= 3059: // Diners Club
		return n >= 14
	case two == 50, two >= 56 && two <= 58, two == 63, two == 67: // Maestro
		return true
	}
	return false
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		n := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}
