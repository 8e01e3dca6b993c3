package weir

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// SeedSize is the length of a keyring's seed in bytes.
const SeedSize = 32

// Namespaces keep apart what must never share a pseudonym.
const (
	principalNamespace = "weir principal"
	unitNamespace      = "unit "
)

// A Keyring holds the keys that one seed gives (HKDF-SHA-256, RFC 5869): the key that makes pseudonyms and the key that
// signs checkpoints and statements. A Keyring is immutable and safe for concurrent use.
//
// P3 rests on it: whoever holds a ledger and not the seed cannot name a data subject or a principal. That equal ones look
// equal remains visible.
type Keyring struct {
	id    [16]byte
	block cipher.Block
	k1    [16]byte // RFC 4493 subkeys
	k2    [16]byte
	sign  ed25519.PrivateKey
}

// NewKeyring derives a keyring from a seed of SeedSize bytes.
func NewKeyring(seed []byte) (*Keyring, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("key has %d bytes, want %d", len(seed), SeedSize)
	}
	derive := func(label string, n int) []byte {
		key, err := hkdf.Key(sha256.New, seed, nil, "weir v1 "+label, n)
		if err != nil {
			panic(err) // only an impossible length fails
		}
		return key
	}
	block, err := aes.NewCipher(derive("pseudonym", 16))
	if err != nil {
		return nil, err
	}
	k := &Keyring{id: [16]byte(derive("key id", 16)), block: block, sign: ed25519.NewKeyFromSeed(derive("signing", ed25519.SeedSize))}
	block.Encrypt(k.k1[:], k.k1[:])
	double(&k.k1)
	k.k2 = k.k1
	double(&k.k2)
	return k, nil
}

// ID names the keyring; it stands in the header of every volume of a ledger.
func (k *Keyring) ID() [16]byte { return k.id }

// DataSubject returns the pseudonym of a data subject by its unit (account, person, line …) and its canonical key.
func (k *Keyring) DataSubject(unit, key string) Pseudonym {
	return k.pseudonym(unitNamespace+unit, key)
}

// Principal returns the pseudonym of a principal by its name.
func (k *Keyring) Principal(name string) Pseudonym { return k.pseudonym(principalNamespace, name) }

// A Namer makes pseudonyms of data subjects as its keyring does, and reuses its memory. It is not safe for concurrent use.
type Namer struct {
	ring *Keyring
	msg  []byte
	mac  Pseudonym
}

// Namer returns a namer for one goroutine.
func (k *Keyring) Namer() *Namer { return &Namer{ring: k} }

// DataSubject returns what [Keyring.DataSubject] returns.
func (n *Namer) DataSubject(unit string, key []byte) Pseudonym {
	n.msg = append(append(append(append(n.msg[:0], unitNamespace...), unit...), 0), key...)
	n.ring.cmac(&n.mac, n.msg)
	return n.mac
}

// pseudonym is AES-CMAC-PRF-128 (RFC 4493, RFC 4615) over namespace ‖ 0 ‖ key. The namespace holds no zero byte, so no two
// pairs give the same message.
func (k *Keyring) pseudonym(namespace, key string) (p Pseudonym) {
	var stack [128]byte
	k.cmac(&p, append(append(append(stack[:0], namespace...), 0), key...))
	return p
}

func (k *Keyring) cmac(mac *Pseudonym, msg []byte) {
	*mac = Pseudonym{}
	for len(msg) > 16 {
		xorBlock(mac, msg)
		k.block.Encrypt(mac[:], mac[:])
		msg = msg[16:]
	}
	last, sub := [16]byte{}, &k.k1
	if n := copy(last[:], msg); n < 16 {
		last[n], sub = 0x80, &k.k2
	}
	xorBlock(mac, last[:])
	xorBlock(mac, sub[:])
	k.block.Encrypt(mac[:], mac[:])
}

// xorBlock takes the first 16 bytes of src into dst.
func xorBlock(dst *Pseudonym, src []byte) {
	ne := binary.NativeEndian
	a, b := ne.Uint64(dst[:8])^ne.Uint64(src[:8]), ne.Uint64(dst[8:])^ne.Uint64(src[8:16])
	ne.PutUint64(dst[:8], a)
	ne.PutUint64(dst[8:], b)
}

// double multiplies by x in GF(2^128), as RFC 4493 section 2.3 derives its subkeys.
func double(b *[16]byte) {
	carry := b[0] >> 7
	for i := 0; i < 15; i++ {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[15] = b[15]<<1 ^ carry*0x87
}

// CheckUnit refuses a unit's name that cannot be a namespace.
func CheckUnit(unit string) error {
	if unit == "" || len(unit) > 32 || strings.Trim(unit, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return fmt.Errorf("unit %q: use a short lower-case word such as account, person or line", unit)
	}
	return nil
}

// Signer returns the signer of checkpoints and statements under the guard's name, which must not hold a space or a plus.
func (k *Keyring) Signer(name string) (note.Signer, error) {
	skey, err := note.NewEd25519VerifierKey(name, k.sign.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("guard name %q: use a name without spaces and plus signs, such as a host name", name)
	}
	verifier, err := note.NewVerifier(skey)
	if err != nil {
		return nil, err
	}
	return &signer{Verifier: verifier, key: k.sign}, nil
}

// VerifierKey returns the public half of Signer as a line to hand to whoever checks signatures.
func (k *Keyring) VerifierKey(name string) (string, error) {
	if name == "" || strings.ContainsAny(name, " +\t\r\n") {
		return "", errors.New("guard name must not be empty nor hold spaces and plus signs")
	}
	return note.NewEd25519VerifierKey(name, k.sign.Public().(ed25519.PublicKey))
}

type signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// Verifiers knows the keyring's own signatures, whatever the guard's name was when it signed.
func (k *Keyring) Verifiers() note.Verifiers { return ownVerifiers{k} }

type ownVerifiers struct{ k *Keyring }

// Verifier returns the key under that name, if its hash says that it is the same one.
func (o ownVerifiers) Verifier(name string, hash uint32) (note.Verifier, error) {
	unknown := &note.UnknownVerifierError{Name: name, KeyHash: hash}
	vkey, err := o.k.VerifierKey(name)
	if err != nil {
		return nil, unknown
	}
	v, err := note.NewVerifier(vkey)
	if err != nil || v.KeyHash() != hash {
		return nil, unknown
	}
	return v, nil
}

// SignText signs a text that is no note, such as a grant's.
func (k *Keyring) SignText(text []byte) [ed25519.SignatureSize]byte {
	return [ed25519.SignatureSize]byte(ed25519.Sign(k.sign, text))
}

// VerifyText reports whether SignText of this keyring made the signature.
func (k *Keyring) VerifyText(text []byte, sig [ed25519.SignatureSize]byte) bool {
	return ed25519.Verify(k.sign.Public().(ed25519.PublicKey), text, sig[:])
}
