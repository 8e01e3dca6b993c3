package ledger

import (
	"crypto/sha256"
	"math/bits"
	"slices"

	"weir/internal/digest"
)

// tree is the compact form of a Merkle tree: the roots of its perfect subtrees, the largest first.
type tree struct {
	size  uint64
	roots []hash
}

// whole reports whether there are as many subtrees as a tree of that size has.
func (t *tree) whole() bool { return len(t.roots) == bits.OnesCount64(t.size) }

// clone returns a copy that shares nothing.
func (t *tree) clone() tree { return tree{t.size, slices.Clone(t.roots)} }

// addAll appends leaves, whose hashes are in b behind the first 32 bytes. It uses all of b for its own.
func (t *tree) addAll(b []byte) {
	const size = sha256.Size
	waiting := t.roots // of the levels that are still to come
	var left [64]hash  // nodes without a partner, by level
	var has [64]bool
	n := len(b)/size - 1
	for level := 0; n > 0; level++ {
		from := size
		if t.size>>level&1 == 1 { // a subtree of that size waits for a partner: it comes before the others
			last := len(waiting) - 1
			from, n = 0, n+1
			copy(b, waiting[last][:])
			waiting = waiting[:last]
		}
		if n&1 == 1 {
			left[level], has[level] = hash(b[from+(n-1)*size:]), true
		}
		n /= 2
		digest.Nodes(b[size:size+n*size], b[from:from+2*n*size])
	}
	t.roots = waiting
	for level := range left {
		if has[len(left)-1-level] {
			t.roots = append(t.roots, left[len(left)-1-level])
		}
	}
	t.size += uint64(len(b)/size - 1)
}

// root is the RFC 9162 Merkle tree hash of all leaves; of none, SHA-256 of the empty string.
func (t *tree) root() hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	root := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		root = digest.Node(&t.roots[i], &root)
	}
	return root
}
