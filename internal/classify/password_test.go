package classify

import (
	"testing"

	"weir"
)

func TestPassword(t *testing.T) {
	checkRule(t, weir.Password, examples{
		names:    []string{"password", "PIN", "password_hash", "old-password"},
		notNames: []string{"pinned", "passport"},
	})
}
