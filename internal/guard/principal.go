package guard

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"

	"weir"
)

// A Principal is who asks.
type Principal struct {
	Name   string // a name of the key list, or the pool's name
	Pooled bool   // the caller gave no credential that could be verified, and shares the pool of its route
	ID     weir.Pseudonym
}

// poolName is the name of the principal that all unverified callers of a route share.
func poolName(route string) string { return weir.Unverified + " " + route }

// A KeyList verifies callers by a key that they send in a header.
type KeyList struct {
	Header string // such as X-Api-Key
	names  map[[sha256.Size]byte]string
}

// ReadKeyList reads a key list: on each line the SHA-256 of a key in hexadecimal, a space and the name of its principal.
// Empty lines and lines that begin with # are skipped. Several keys may have one name. The list holds no key, so who reads
// the file cannot call in anybody's name; keys must be long and random, since SHA-256 does not slow down guessing.
func ReadKeyList(r io.Reader, header string) (*KeyList, error) {
	list := &KeyList{Header: http.CanonicalHeaderKey(header), names: map[[sha256.Size]byte]string{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		digits, name, _ := strings.Cut(line, " ")
		name = strings.TrimSpace(name)
		sum, err := hex.DecodeString(digits)
		switch {
		case err != nil || len(sum) != sha256.Size:
			return nil, fmt.Errorf("line %d: want the SHA-256 of a key as %d hexadecimal digits, a space and a name", n, 2*sha256.Size)
		case name == "" || strings.ContainsAny(name, " \t") || name == weir.Unverified || name == "*":
			return nil, fmt.Errorf("line %d: %q is no name for a principal: use one word other than unverified and *", n, name)
		case list.names[[sha256.Size]byte(sum)] != "":
			return nil, fmt.Errorf("line %d: the same key is given twice", n)
		}
		list.names[[sha256.Size]byte(sum)] = name
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list.names) == 0 {
		return nil, fmt.Errorf("no key in it: add a line for each caller")
	}
	return list, nil
}

// Names returns the principals' names, in no order, each once.
func (l *KeyList) Names() []string {
	seen := map[string]bool{}
	var names []string
	for _, name := range l.names {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// verify returns the name of the caller. A header that is given twice verifies nobody: the upstream may read the other one.
func (l *KeyList) verify(h http.Header) (string, bool) {
	values := h[l.Header]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	// The digest is looked up, not the key: the time that takes tells nothing about a key.
	name, ok := l.names[sha256.Sum256([]byte(values[0]))]
	return name, ok
}
