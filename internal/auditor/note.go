package auditor

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// verifier is an Ed25519 key of the C2SP signed-note specification.
type verifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// parseVerifier reads name+hash+key, where key is base64 of the algorithm's byte (1) and the public key.
func parseVerifier(s string) (*verifier, error) {
	bad := fmt.Errorf("%q is no verifier key: weir ledger stat prints one", s)
	name, rest, ok1 := strings.Cut(strings.TrimSpace(s), "+")
	hash, key64, ok2 := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(key64)
	if !ok1 || !ok2 || err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 1 {
		return nil, bad
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	v := &verifier{name, binary.BigEndian.Uint32(sum[:]), key[1:]}
	if hash != fmt.Sprintf("%08x", v.hash) {
		return nil, bad
	}
	return v, nil
}

// open returns the text of a note if the verifier signed it.
func (v *verifier) open(msg []byte) (string, error) {
	i := bytes.LastIndex(msg, []byte("\n\n"))
	if i < 0 || !bytes.HasSuffix(msg, []byte("\n")) {
		return "", errors.New("it holds no signed note")
	}
	text := msg[:i+1]
	for line := range strings.Lines(string(msg[i+2:])) {
		name, sig64, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "— "), " ")
		sig, err := base64.StdEncoding.DecodeString(sig64)
		if err != nil || len(sig) != 4+ed25519.SignatureSize || name != v.name || binary.BigEndian.Uint32(sig) != v.hash {
			continue
		}
		if ed25519.Verify(v.key, text, sig[4:]) {
			return string(text), nil
		}
	}
	return "", errors.New("its note is not signed by this guard")
}

// verify checks that the volume's note is signed and is of this volume.
func (o *opening) verify(v *verifier) error {
	text, err := v.open(o.note)
	if err != nil {
		return err
	}
	want := fmt.Sprintf("%d\n%s\nweir-volume %d %s\n", o.first, base64.StdEncoding.EncodeToString(o.root[:]), o.number, base64.StdEncoding.EncodeToString(o.id[:]))
	if origin, rest, ok := strings.Cut(text, "\n"); !ok || origin == "" || rest != want {
		return errors.New("its note is signed, and of something else")
	}
	return nil
}

// checkpoint is what a tlog-checkpoint says.
type checkpoint struct {
	size uint64
	root [32]byte
}

// parseHeld reads a checkpoint; where the guard's key is known, it must be signed.
func (a *audit) parseHeld(text string) (*checkpoint, error) {
	if a.verifier != nil {
		var err error
		if text, err = a.verifier.open([]byte(text)); err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return nil, errors.New("checkpoint: want the lines origin, size, root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	root, err2 := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || err2 != nil || len(root) != 32 {
		return nil, errors.New("checkpoint: size or root cannot be read")
	}
	return &checkpoint{size, [32]byte(root)}, nil
}
