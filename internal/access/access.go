// Package access decides what each reader of the register may read.
//
// Tiers are a ladder: who stands higher reads all that those below read (P7). For each property of a record a Rule says from
// which tier on its count and from which its value is shown. A rule that says nothing shows nothing.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// A Tier is a step of the ladder. The zero Tier is below all of them.
type Tier int

// The tiers.
const (
	Public    Tier = 1 // anybody, without an account
	Member    Tier = 2 // an account
	Responder Tier = 3 // works on incidents: sees drafts
	Editor    Tier = 4 // answers for the record: publishes drafts
)

// Tiers returns all tiers, the lowest first.
func Tiers() []Tier { return []Tier{Public, Member, Responder, Editor} }

var tierNames = [...]string{"", "public", "member", "responder", "editor"}

// String returns the tier's name.
func (t Tier) String() string {
	if t >= Public && t <= Editor {
		return tierNames[t]
	}
	return "nobody"
}

// ParseTier returns the tier of that name.
func ParseTier(name string) (Tier, error) {
	for _, t := range Tiers() {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("no tier %q: use one of %s", name, strings.Join(tierNames[1:], ", "))
}

// A Reader is who asks.
type Reader struct {
	Tier    Tier
	Account string // empty for the public
}

// Anybody is a reader without an account.
func Anybody() Reader { return Reader{Tier: Public} }

// A Level is how much of a property a reader sees.
type Level int

// The levels.
const (
	Hidden Level = iota // that there is such a property, and nothing of it
	Count               // how many values it has
	Value               // its values
)

// A Rule says from which tier on a property's count and its value are shown; a zero tier means to nobody.
type Rule struct{ Count, Value Tier }

// All shows a value to everybody.
func All() Rule { return Rule{Count: Public, Value: Public} }

// From shows a value from a tier on, and nothing below.
func From(t Tier) Rule { return Rule{Count: t, Value: t} }

// Raise returns the rule with nothing shown below a tier. It never shows more than the rule itself.
func (r Rule) Raise(t Tier) Rule {
	raise := func(to Tier) Tier {
		if to < Public {
			return to // to nobody
		}
		return max(to, t)
	}
	return Rule{Count: raise(r.Count), Value: raise(r.Value)}
}

// Meet returns what both rules show.
func (r Rule) Meet(o Rule) Rule {
	meet := func(a, b Tier) Tier {
		if a < Public || b < Public {
			return 0 // to nobody
		}
		return max(a, b)
	}
	return Rule{Count: meet(r.Count, o.Count), Value: meet(r.Value, o.Value)}
}

// Level is the one place where it is decided what a reader sees of a property.
func (r Rule) Level(reader Reader) Level {
	switch {
	case reader.Tier < Public:
		return Hidden
	case r.Value >= Public && reader.Tier >= r.Value:
		return Value
	case r.Count >= Public && reader.Tier >= r.Count:
		return Count
	}
	return Hidden
}

// MayReadDrafts reports whether the reader sees incidents that are not published yet.
func (r Reader) MayReadDrafts() bool { return r.Tier >= Responder }

// MayPublish reports whether the reader may publish a draft.
func (r Reader) MayPublish() bool { return r.Tier >= Editor }

// An Account is somebody who may sign in.
type Account struct {
	Name         string
	Tier         Tier
	PasswordHash string // bcrypt
}

// Errors of accounts.
var (
	ErrSignIn   = errors.New("name or password is wrong")
	ErrPassword = errors.New("a password must have 10 to 72 bytes")
	ErrName     = errors.New("an account's name must have 1 to 64 letters, digits and the signs . _ - @")
)

// NewAccount checks name and password and returns an account with the password's hash.
func NewAccount(name, password string, tier Tier) (Account, error) {
	if name == "" || len(name) > 64 || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789._-@") != "" {
		return Account{}, ErrName
	}
	if len(password) < 10 || len(password) > 72 { // bcrypt reads no further
		return Account{}, ErrPassword
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return Account{}, err
	}
	return Account{Name: name, Tier: tier, PasswordHash: string(hash)}, nil
}

// nobody is compared with where there is no account, so that the time an answer takes does not tell which names exist.
var nobody = sync.OnceValue(func() []byte {
	hash, err := bcrypt.GenerateFromPassword([]byte("nobody has this password"), bcrypt.DefaultCost)
	if err != nil {
		panic(err)
	}
	return hash
})

// hashing bounds how many passwords are hashed at once: each takes a core for a while.
var hashing = make(chan struct{}, 2)

// SignIn compares a password with an account's; account is nil where the name is unknown. The error is ErrSignIn for both.
func SignIn(account *Account, password string) (Reader, error) {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	hash := nobody()
	if account != nil {
		hash = []byte(account.PasswordHash)
	}
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	if err != nil || account == nil {
		return Reader{}, ErrSignIn
	}
	return Reader{Tier: account.Tier, Account: account.Name}, nil
}

// SessionLife is how long a sign-in lasts.
const SessionLife = 12 * time.Hour

// NewToken returns a fresh session token for the reader's browser, and the hash that the register keeps of it: who reads the
// register's file cannot act as anybody.
func NewToken() (token string, hash [sha256.Size]byte) {
	b := make([]byte, 32)
	rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, TokenHash(token)
}

// TokenHash returns the hash under which a session is kept.
func TokenHash(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }
