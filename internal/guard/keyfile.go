package guard

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir"
)

// keyFileHead is the first line of a key file.
const keyFileHead = "weir guard key v1"

// ErrNoKey is returned when there is a ledger and no key file.
var ErrNoKey = errors.New("key file is missing: a ledger without its key cannot be continued; restore the file, or name it in guard.key")

// LoadKey reads a key file.
func LoadKey(path string) (*weir.Keyring, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNoKey)
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read the key (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	head, rest, _ := strings.Cut(string(data), "\n")
	seed, err := hex.DecodeString(strings.TrimSpace(rest))
	if head != keyFileHead || err != nil || len(seed) != weir.SeedSize {
		return nil, fmt.Errorf("%s: not a key file of this version: want the line %q and %d hexadecimal digits", path, keyFileHead, 2*weir.SeedSize)
	}
	return weir.NewKeyring(seed)
}

// CreateKey makes a key file that must not exist, durably: a ledger's header must never be older than its key.
func CreateKey(path string) (*weir.Keyring, error) {
	seed := make([]byte, weir.SeedSize)
	rand.Read(seed)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%s\n%x\n", keyFileHead, seed)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return nil, err
	}
	return weir.NewKeyring(seed)
}
