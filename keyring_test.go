package weir

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"strings"
	"testing"
)

func testKeyring(t testing.TB, fill byte) *Keyring {
	t.Helper()
	k, err := NewKeyring(bytes.Repeat([]byte{fill}, SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The vectors of RFC 4493 section 4: a mistake here would give every ledger names that no other program can make.
func TestCMACVectors(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	block, err := aes.NewCipher(unhex("2b7e151628aed2a6abf7158809cf4f3c"))
	if err != nil {
		t.Fatal(err)
	}
	k := &Keyring{block: block}
	block.Encrypt(k.k1[:], k.k1[:])
	double(&k.k1)
	k.k2 = k.k1
	double(&k.k2)
	if got := hex.EncodeToString(k.k1[:]); got != "fbeed618357133667c85e08f7236a8de" {
		t.Errorf("K1 = %s", got)
	}
	msg := unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for n, want := range map[int]string{
		0:  "bb1d6929e95937287fa37d129b756746",
		16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827",
		64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		var got Pseudonym
		if k.cmac(&got, msg[:n]); hex.EncodeToString(got[:]) != want {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
	}
}

func TestPseudonymsKeepApart(t *testing.T) {
	k := testKeyring(t, 1)
	seen := map[Pseudonym]string{}
	for what, p := range map[string]Pseudonym{
		"account 1":    k.DataSubject("account", "1"),
		"account 2":    k.DataSubject("account", "2"),
		"line 1":       k.DataSubject("line", "1"),
		"principal 1":  k.Principal("1"),
		"another key":  testKeyring(t, 2).DataSubject("account", "1"),
		"shifted name": k.DataSubject("account1", ""),
	} {
		if other, ok := seen[p]; ok {
			t.Errorf("%s and %s share a pseudonym", what, other)
		}
		seen[p] = what
	}
	if k.DataSubject("account", "1") != testKeyring(t, 1).DataSubject("account", "1") {
		t.Error("the same seed names the same account differently")
	}
	if k.ID() == testKeyring(t, 2).ID() {
		t.Error("two seeds share a key id")
	}
}

func TestKeyringRefusesBadInput(t *testing.T) {
	if _, err := NewKeyring(make([]byte, 31)); err == nil {
		t.Error("a short seed was taken")
	}
	for _, name := range []string{"", "two words", "a+b"} {
		if _, err := testKeyring(t, 1).Signer(name); err == nil {
			t.Errorf("guard name %q was taken", name)
		}
	}
	for _, unit := range []string{"", "Account", "a b", "a\x00b"} {
		if CheckUnit(unit) == nil {
			t.Errorf("unit %q was taken", unit)
		}
	}
}

// A namer's pseudonyms are its keyring's, whatever it named before, and cost no memory.
func TestNamer(t *testing.T) {
	k := testKeyring(t, 1)
	n := k.Namer()
	for _, unit := range []string{"account", "line", "a"} {
		for length := range 70 {
			key := strings.Repeat("9", length)
			if got, want := n.DataSubject(unit, []byte(key)), k.DataSubject(unit, key); got != want {
				t.Errorf("%s %s is %s, its keyring says %s", unit, key, got, want)
			}
		}
	}
	key := []byte("9876543210")
	if allocs := testing.AllocsPerRun(100, func() { n.DataSubject("account", key) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkPseudonym(b *testing.B) {
	k := testKeyring(b, 1)
	b.Run("keyring", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.DataSubject("account", "9876543210")
		}
	})
	b.Run("namer", func(b *testing.B) {
		n, key := k.Namer(), []byte("9876543210")
		b.ReportAllocs()
		for b.Loop() {
			n.DataSubject("account", key)
		}
	})
}
