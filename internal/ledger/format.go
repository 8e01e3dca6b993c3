package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Version is the version of the format that this program writes. It reads no newer one.
const Version = 1

const (
	volumeMagic = "weirled1"
	frameMagic  = "WFrm"

	headerSize      = 8 + 2 + 2 + 4 + 16 + 8 + 8 + 4 + 8 + 8 + 32 + 32 + 4
	frameHeadSize   = 4 + 4 + 8 + 4 + 8
	frameTailSize   = 32 + 4
	maxFramePayload = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrNewer is returned for a ledger of a newer format.
var ErrNewer = errors.New("ledger was written by a newer version: use that version, or a new data folder")

type hash = [sha256.Size]byte

// header opens a volume.
type header struct {
	number  uint32
	keyID   [16]byte
	created time.Time
	first   uint64 // number of the volume's first entry

	prev       uint32 // number of the last volume with a whole header; 0 for none
	prevValid  uint64 // bytes of it that are its header and whole frames
	prevTorn   uint64 // bytes between there and this volume, in that file and those after it: sealed as they are
	prevTornID hash   // SHA-256 of those, zero for none
	chain      hash   // chain hash of the last frame before
}

func (h *header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, volumeMagic...)
	b = binary.LittleEndian.AppendUint16(b, Version)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, h.number)
	b = append(b, h.keyID[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.created.UnixMilli()))
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint32(b, h.prev)
	b = binary.LittleEndian.AppendUint64(b, h.prevValid)
	b = binary.LittleEndian.AppendUint64(b, h.prevTorn)
	b = append(b, h.prevTornID[:]...)
	b = append(b, h.chain[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errTorn = errors.New("not whole")

// decodeHeader reads a volume's header. errTorn means that these bytes are no whole header, as a crash may leave them.
func decodeHeader(b []byte) (h header, err error) {
	le := binary.LittleEndian
	if len(b) < 10 || string(b[:8]) != volumeMagic {
		return h, errTorn
	}
	if v := le.Uint16(b[8:]); v > Version {
		return h, fmt.Errorf("%w (its format is %d, this program's is %d)", ErrNewer, v, Version)
	}
	if len(b) < headerSize || crc32.Checksum(b[:headerSize-4], castagnoli) != le.Uint32(b[headerSize-4:]) {
		return h, errTorn
	}
	h.number = le.Uint32(b[12:])
	copy(h.keyID[:], b[16:])
	h.created = time.UnixMilli(int64(le.Uint64(b[32:]))).UTC()
	h.first = le.Uint64(b[40:])
	h.prev = le.Uint32(b[48:])
	h.prevValid = le.Uint64(b[52:])
	h.prevTorn = le.Uint64(b[60:])
	copy(h.prevTornID[:], b[68:])
	copy(h.chain[:], b[100:])
	return h, nil
}

// frame is one write to a volume: the entries that were waiting together.
type frame struct {
	first   uint64
	count   uint32
	millis  int64
	payload []byte
	chain   hash
	size    int // of the whole frame
}

// appendFrame appends the encoded frame to dst, with the chain hash that follows prev.
func appendFrame(dst []byte, f *frame, prev hash) []byte {
	start := len(dst)
	dst = append(dst, frameMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(f.payload)))
	dst = binary.LittleEndian.AppendUint64(dst, f.first)
	dst = binary.LittleEndian.AppendUint32(dst, f.count)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.millis))
	dst = append(dst, f.payload...)
	f.chain = nextChain(prev, dst[start:])
	dst = append(dst, f.chain[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	f.size = len(dst) - start
	return dst
}

// decodeFrame reads the frame at the start of b; its payload points into b. errTorn means that there is no whole one.
func decodeFrame(b []byte) (f frame, err error) {
	le := binary.LittleEndian
	if len(b) < frameHeadSize+frameTailSize || string(b[:4]) != frameMagic {
		return f, errTorn
	}
	n := int(le.Uint32(b[4:]))
	if n > maxFramePayload || len(b) < frameHeadSize+n+frameTailSize {
		return f, errTorn
	}
	f.size = frameHeadSize + n + frameTailSize
	if crc32.Checksum(b[:f.size-4], castagnoli) != le.Uint32(b[f.size-4:]) {
		return f, errTorn
	}
	f.first, f.count, f.millis = le.Uint64(b[8:]), le.Uint32(b[16:]), int64(le.Uint64(b[20:]))
	f.payload = b[frameHeadSize : frameHeadSize+n]
	copy(f.chain[:], b[frameHeadSize+n:])
	return f, nil
}

// frameSize is the size of the frame whose head is at the start of b, as far as the head can be trusted.
func frameSize(b []byte) int {
	return frameHeadSize + int(min(binary.LittleEndian.Uint32(b[4:]), maxFramePayload)) + frameTailSize
}

// headerChain is the chain hash that a volume begins with.
func headerChain(raw []byte) hash { return sha256.Sum256(raw[:headerSize]) }

func nextChain(prev hash, frame []byte) hash {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(frame)
	return hash(h.Sum(nil))
}

// leafHash is the RFC 9162 hash of an entry as a leaf of the ledger's Merkle tree.
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
