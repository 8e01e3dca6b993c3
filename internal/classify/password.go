package classify

import "weir"

// A password, a PIN or a security answer is known by its member's name alone, hashed or not.
var passwordRule = rule{
	class: weir.Password,
	names: []string{
		"password", "passwd", "pwd", "passcode", "pin", "accountpin", "secret", "passphrase", "passwordhash", "hashedpassword",
		"securityanswer", "securityquestion", "pinhash", "clientsecret",
	},
	suffixes: []string{"password", "passwordhash", "passcode", "passphrase", "securityanswer", "accountpin"},
}
