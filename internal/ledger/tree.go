package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
)

// leafHash is the RFC 9162 hash of an entry as a leaf of the ledger's Merkle tree. scratch is grown and returned for reuse.
func leafHash(scratch []byte, seq uint64, millis int64, body []byte) (hash, []byte) {
	scratch = append(scratch[:0], 0)
	scratch = binary.LittleEndian.AppendUint64(scratch, seq)
	scratch = binary.LittleEndian.AppendUint64(scratch, uint64(millis))
	scratch = append(scratch, body...)
	return sha256.Sum256(scratch), scratch
}

// tree is the compact form of a Merkle tree: the roots of its perfect subtrees, the largest first.
type tree struct {
	size  uint64
	roots []hash
}

// whole reports whether there are as many subtrees as a tree of that size has.
func (t *tree) whole() bool { return len(t.roots) == bits.OnesCount64(t.size) }

// clone returns a copy that shares nothing.
func (t *tree) clone() tree { return tree{t.size, slices.Clone(t.roots)} }

// add appends a leaf.
func (t *tree) add(leaf hash) {
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		leaf = nodeHash(t.roots[last], leaf)
		t.roots = t.roots[:last]
	}
	t.roots = append(t.roots, leaf)
	t.size++
}

// root is the RFC 9162 Merkle tree hash of all leaves; of none, SHA-256 of the empty string.
func (t *tree) root() hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = nodeHash(t.roots[i], root)
	}
	return root
}

func nodeHash(left, right hash) hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+len(left):], right[:])
	return sha256.Sum256(b[:])
}
