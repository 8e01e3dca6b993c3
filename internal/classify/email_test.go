package classify

import (
	"testing"

	"weir"
)

func TestEmail(t *testing.T) {
	checkRule(t, weir.Email, examples{
		names:     []string{"email", "E-Mail", "e_mail", "contactEmail", "еmail", "billing.email.address"},
		notNames:  []string{"emails_sent", "mailbox_size"},
		values:    []string{"kim@example.com", "k.im+x@mail.example.org", "  pad@example.com ", "ж@пример.example"},
		notValues: []string{"kim@example", "@example.com", "kim@@example.com", "a..b@example.com", "kim@1.2.3.4", "see kim@example.com", "kim@-example.com"},
	})
}
