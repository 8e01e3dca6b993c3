package classify

import (
	"testing"

	"weir"
)

func TestPaymentCard(t *testing.T) {
	checkRule(t, weir.PaymentCard, examples{
		names:     []string{"card_number", "creditCard", "CVV"},
		notNames:  []string{"card_color", "panel"},
		values:    []string{"4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117"},
		notValues: []string{"4111111111111112", "9111111111111111", "411111111111", "4111  1111 1111 1111", "-4111111111111111", "1234567890123456"},
	})
}
