package auditor

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
)

const (
	headerLen   = 192
	signedLen   = 184
	frameHead   = 28
	frameExtra  = 60 + 4
	payloadMost = 1 << 28
)

var table = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, table) }

// opening is how a volume begins.
type opening struct {
	number, before, retired uint32
	keyID                   []byte
	first, owner            uint64
	whole, rest             uint64
	restHash, chain, root   [32]byte
	id                      [32]byte // opening hash
	tree                    tree
	state                   *state
	note                    []byte
	size                    int
}

func readOpening(b []byte) (*opening, error) {
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	switch {
	case len(b) < headerLen || string(b[:8]) != "weirled2":
		return nil, errors.New("no header")
	case checksum(b[:headerLen-4]) != u32(b[headerLen-4:]):
		return nil, errors.New("checksum of the header")
	case binary.LittleEndian.Uint16(b[8:]) != 2 || binary.LittleEndian.Uint16(b[10:]) != 0:
		return nil, errors.New("version")
	}
	snapshot, note := uint64(u32(b[68:])), uint64(u32(b[184:]))
	size := headerLen + snapshot + note + 4
	if snapshot > 1<<30 || note > 4096 || size > uint64(len(b)) || checksum(b[headerLen:size-4]) != u32(b[size-4:]) {
		return nil, errors.New("checksum of the snapshot")
	}
	o := &opening{
		number: u32(b[12:]), keyID: b[16:32], retired: u32(b[36:]), first: u64(b[48:]), owner: u64(b[56:]), before: u32(b[64:]),
		whole: u64(b[72:]), rest: u64(b[80:]), restHash: [32]byte(b[88:]), chain: [32]byte(b[120:]), root: [32]byte(b[152:]),
		note: b[headerLen+snapshot : size-4], size: int(size),
	}
	h := sha256.New()
	h.Write(b[:signedLen])
	h.Write(b[headerLen : headerLen+snapshot])
	o.id = [32]byte(h.Sum(nil))
	c := &cursor{b: b[headerLen : headerLen+snapshot]}
	o.state = c.snapshot(o)
	if c.bad || len(c.b) > 0 {
		return nil, errors.New("snapshot cannot be read")
	}
	return o, nil
}

// frame is one write.
type frame struct {
	head    []byte
	first   uint64
	count   uint32
	time    int64
	payload []byte
	chain   [32]byte
	size    int
}

// readFrame returns the whole frame at the start of b, or nil.
func readFrame(b []byte) *frame {
	if len(b) < frameExtra || string(b[:4]) != "WFrm" {
		return nil
	}
	n := binary.LittleEndian.Uint32(b[4:])
	size := int(n) + frameExtra
	if n > payloadMost || size > len(b) || checksum(b[:size-4]) != binary.LittleEndian.Uint32(b[size-4:]) {
		return nil
	}
	return &frame{
		head: b[:frameHead], first: binary.LittleEndian.Uint64(b[8:]), count: binary.LittleEndian.Uint32(b[16:]),
		time: int64(binary.LittleEndian.Uint64(b[20:])), payload: b[frameHead : frameHead+int(n)], chain: [32]byte(b[frameHead+n:]), size: size,
	}
}

// findFrame returns where a whole frame begins at or behind from, or -1.
func findFrame(b []byte, from int) int {
	for from < len(b) {
		i := bytes.Index(b[from:], []byte("WFrm"))
		if i < 0 {
			break
		}
		if from += i; readFrame(b[from:]) != nil {
			return from
		}
		from++
	}
	return -1
}

// tree is the Merkle tree of RFC 9162 over the entries so far, as the roots of its perfect subtrees, the largest first.
type tree struct {
	size  uint64
	peaks [][32]byte
}

func leafHash(number uint64, time int64, body []byte) [32]byte {
	b := make([]byte, 17, 17+len(body))
	binary.LittleEndian.PutUint64(b[1:], number)
	binary.LittleEndian.PutUint64(b[9:], uint64(time))
	return sha256.Sum256(append(b, body...))
}

func inner(left, right [32]byte) [32]byte {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func (t *tree) add(leaf [32]byte) {
	t.peaks = append(t.peaks[:len(t.peaks):len(t.peaks)], leaf)
	t.size++
	for range bits.TrailingZeros64(t.size) {
		n := len(t.peaks)
		t.peaks = append(t.peaks[:n-2], inner(t.peaks[n-2], t.peaks[n-1]))
	}
}

func (t *tree) root() (r [32]byte) {
	if len(t.peaks) == 0 {
		return sha256.Sum256(nil)
	}
	r = t.peaks[len(t.peaks)-1]
	for i := len(t.peaks) - 2; i >= 0; i-- {
		r = inner(t.peaks[i], r)
	}
	return r
}
