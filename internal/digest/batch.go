package digest

import (
	"crypto/sha256"
	"encoding/binary"
)

// Sum is a SHA-256 hash.
type Sum = [sha256.Size]byte

const (
	blockSize = sha256.BlockSize
	maxBlocks = 64 // longer messages are hashed alone
)

// A Batch hashes messages two by two. Its zero value is ready for use; it is not safe for concurrent use.
type Batch struct {
	waiting [maxBlocks + 1]message // for each number of blocks, the message that waits for another one of that length
	open    [maxBlocks + 1]bool
	count   int     // of those that wait
	next    message // the one that is being added
}

// message is a message with its padding, and where its hash goes.
type message struct {
	buf []byte
	dst *Sum
}

// Add hashes the concatenation of both parts into dst: at once, or later, but before Flush returns. It keeps neither part.
func (b *Batch) Add(dst *Sum, head, body []byte) {
	blocks := (len(head) + len(body) + 1 + 8 + blockSize - 1) / blockSize
	if !twoAtOnce || blocks > maxBlocks {
		b.next.buf = append(append(b.next.buf[:0], head...), body...)
		*dst = sha256.Sum256(b.next.buf)
		return
	}
	w := &b.waiting[blocks]
	if !b.open[blocks] {
		b.open[blocks] = true
		b.count++
		w.set(dst, head, body, blocks)
		return
	}
	b.next.set(dst, head, body, blocks)
	b.open[blocks] = false
	b.count--
	sumTwo(w.dst, dst, w.buf, b.next.buf)
}

// set puts a message together, and ends it as FIPS 180-4 does: a one, zeros, and its length in bits.
func (m *message) set(dst *Sum, head, body []byte, blocks int) {
	m.dst = dst
	if n := blocks * blockSize; cap(m.buf) < n {
		m.buf = make([]byte, n)
	} else {
		m.buf = m.buf[:n]
	}
	at := copy(m.buf, head)
	at += copy(m.buf[at:], body)
	rest := m.buf[at:]
	clear(rest)
	rest[0] = 0x80
	binary.BigEndian.PutUint64(rest[len(rest)-8:], uint64(at)<<3)
}

// Flush hashes what still waits.
func (b *Batch) Flush() {
	for blocks := 0; b.count > 0; blocks++ {
		if !b.open[blocks] {
			continue
		}
		b.open[blocks] = false
		b.count--
		m := &b.waiting[blocks]
		size := binary.BigEndian.Uint64(m.buf[len(m.buf)-8:]) >> 3
		*m.dst = sha256.Sum256(m.buf[:size])
	}
}

const (
	nodeSize   = 1 + 2*sha256.Size
	nodeBlocks = 2
)

// Nodes hashes inner nodes of an RFC 9162 tree: in is the hashes of their children, one behind the other, out as many bytes as
// half of them. A node's place in out must not be behind those of its children, so out may be the beginning of in.
func Nodes(out, in []byte) {
	const size, both = sha256.Size, 2 * sha256.Size
	if twoAtOnce {
		var p, q [nodeBlocks * blockSize]byte
		for _, m := range [...]*[nodeBlocks * blockSize]byte{&p, &q} {
			m[0], m[nodeSize] = 1, 0x80
			binary.BigEndian.PutUint64(m[len(m)-8:], nodeSize<<3)
		}
		for len(out) >= 2*size {
			copy(p[1:nodeSize], in[:both])
			copy(q[1:nodeSize], in[both:2*both])
			sumTwo((*Sum)(out), (*Sum)(out[size:]), p[:], q[:])
			out, in = out[2*size:], in[2*both:]
		}
	}
	for len(out) >= size {
		sum := Node((*Sum)(in), (*Sum)(in[size:]))
		copy(out, sum[:])
		out, in = out[size:], in[both:]
	}
}

// Node is the hash of one inner node.
func Node(left, right *Sum) Sum {
	var m [nodeSize]byte
	m[0] = 1
	copy(m[1:], left[:])
	copy(m[1+len(left):], right[:])
	return sha256.Sum256(m[:])
}
