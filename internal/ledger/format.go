package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"weir"
)

// Version is the version of the format that this program writes. It reads no other one.
const Version = 2

const (
	volumeMagic = "weirled2"
	frameMagic  = "WFrm"

	headerSize      = 192
	headerSigned    = 184 // what the signature covers of the header
	frameHeadSize   = 4 + 4 + 8 + 4 + 8
	frameTailSize   = 32 + 4
	maxFramePayload = 256 << 20
	maxSnapshot     = 1 << 30
	maxNote         = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrNewer is returned for a ledger of another format.
var ErrNewer = errors.New("ledger has another format: use the version of weir that wrote it, or a new data folder")

type hash = [sha256.Size]byte

// header opens a volume; docs/format/ledger.md has its bytes.
type header struct {
	number  uint32
	keyID   [16]byte
	keyEra  uint32 // which of the keyring's pseudonym keys; 0 until there is a rotation
	retired uint32 // the volumes up to this one may be gone
	created time.Time
	first   uint64 // number of the volume's first entry
	owner   uint64 // one more for each start of an owner

	prev     uint32 // number of the last volume with a whole opening; 0 for none
	valid    uint64 // bytes of it that are its opening and whole frames
	rest     uint64 // bytes between there and this volume, in that file and those after it: sealed as they are
	restID   hash   // SHA-256 of those
	chain    hash   // chain hash of the last frame before
	root     hash   // root of the first entries
	snapshot uint32 // bytes
	note     uint32 // bytes
}

// encode leaves the note's length open.
func (h *header) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, headerSize)
	b = append(b, volumeMagic...)
	b = le.AppendUint16(b, Version)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, h.number)
	b = append(b, h.keyID[:]...)
	b = le.AppendUint32(b, h.keyEra)
	b = le.AppendUint32(b, h.retired)
	b = le.AppendUint64(b, uint64(h.created.UnixMilli()))
	b = le.AppendUint64(b, h.first)
	b = le.AppendUint64(b, h.owner)
	b = le.AppendUint32(b, h.prev)
	b = le.AppendUint32(b, h.snapshot)
	b = le.AppendUint64(b, h.valid)
	b = le.AppendUint64(b, h.rest)
	b = append(b, h.restID[:]...)
	b = append(b, h.chain[:]...)
	return append(b, h.root[:]...)
}

var errTorn = errors.New("not whole")

// decodeHeader reads a volume's header. errTorn means that these bytes are no whole header, as a crash may leave them.
func decodeHeader(b []byte) (h header, err error) {
	le := binary.LittleEndian
	if len(b) < 10 || string(b[:7]) != volumeMagic[:7] {
		return h, errTorn
	}
	if v := le.Uint16(b[8:]); b[7] != volumeMagic[7] && b[7] >= '0' && b[7] <= '9' || v > Version {
		return h, fmt.Errorf("%w (its format is %d, this program's is %d)", ErrNewer, v, Version)
	}
	if len(b) < headerSize || crc32.Checksum(b[:headerSize-4], castagnoli) != le.Uint32(b[headerSize-4:]) {
		return h, errTorn
	}
	h = header{
		number: le.Uint32(b[12:]), keyID: [16]byte(b[16:]), keyEra: le.Uint32(b[32:]), retired: le.Uint32(b[36:]),
		created: time.UnixMilli(int64(le.Uint64(b[40:]))).UTC(), first: le.Uint64(b[48:]), owner: le.Uint64(b[56:]),
		prev: le.Uint32(b[64:]), snapshot: le.Uint32(b[68:]), valid: le.Uint64(b[72:]), rest: le.Uint64(b[80:]),
		restID: hash(b[88:]), chain: hash(b[120:]), root: hash(b[152:]), note: le.Uint32(b[184:]),
	}
	if h.snapshot > maxSnapshot || h.note > maxNote || le.Uint16(b[8:]) != Version || le.Uint16(b[10:]) != 0 {
		return h, errTorn
	}
	return h, nil
}

// openingSize is how many bytes stand before the volume's first frame.
func (h *header) openingSize() int { return headerSize + int(h.snapshot) + int(h.note) + 4 }

// An opening is what a volume begins with: header, snapshot and the note that signs both.
type opening struct {
	header
	raw    []byte
	state  *State // decoded by decodeOpening
	noteOf []byte
}

// volumeLine begins the checkpoint's extension line that binds the note to an opening.
const volumeLine = "weir-volume "

// encodeOpening signs and encodes an opening. Without a signer the note is empty.
func encodeOpening(h *header, state *State, signer note.Signer) ([]byte, error) {
	snapshot := state.encode()
	h.snapshot = uint32(len(snapshot))
	b := append(h.encode(), make([]byte, headerSize-headerSigned)...)
	b = append(b, snapshot...)
	var signed []byte
	if signer != nil {
		cp := weir.Checkpoint{Origin: signer.Name(), Size: h.first, Root: h.root}
		text := cp.Text() + openingLine(h.number, openingHash(b)) + "\n"
		var err error
		if signed, err = note.Sign(&note.Note{Text: text}, signer); err != nil {
			return nil, err
		}
	}
	binary.LittleEndian.PutUint32(b[headerSigned:], uint32(len(signed)))
	binary.LittleEndian.PutUint32(b[headerSize-4:], crc32.Checksum(b[:headerSize-4], castagnoli))
	b = append(b, signed...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[headerSize:], castagnoli)), nil
}

// openingHash covers the header up to its note's length, and the snapshot. The volume's chain begins with it.
func openingHash(b []byte) hash {
	h := sha256.New()
	h.Write(b[:headerSigned])
	h.Write(b[headerSize : headerSize+int(binary.LittleEndian.Uint32(b[68:]))])
	return hash(h.Sum(nil))
}

func openingLine(number uint32, id hash) string {
	return fmt.Sprintf("%s%d %s", volumeLine, number, base64.StdEncoding.EncodeToString(id[:]))
}

// decodeOpening reads the opening at the start of b. errTorn means that there is no whole one.
func decodeOpening(b []byte) (*opening, error) {
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	size := h.openingSize()
	if len(b) < size || crc32.Checksum(b[headerSize:size-4], castagnoli) != binary.LittleEndian.Uint32(b[size-4:]) {
		return nil, errTorn
	}
	state, err := decodeState(b[headerSize:headerSize+int(h.snapshot)], h.first)
	if err != nil {
		return nil, errTorn
	}
	return &opening{header: h, raw: b[:size], state: state, noteOf: b[headerSize+int(h.snapshot) : size-4]}, nil
}

// check says what is wrong with an opening by itself: its roots, and its signature if known is given.
func (o *opening) check(known note.Verifiers) error {
	if !o.state.tree.whole() || o.state.tree.root() != o.root {
		return errors.New("the opening's subtrees do not give its root")
	}
	if known == nil {
		return nil
	}
	n, err := note.Open(o.noteOf, known)
	if err != nil {
		return fmt.Errorf("the opening is not signed by this guard: %w", err)
	}
	cp, err := weir.ParseCheckpoint(n.Text)
	line := openingLine(o.number, openingHash(o.raw))
	if err != nil || cp.Size != o.first || cp.Root != o.root || !strings.HasSuffix(n.Text, "\n"+line+"\n") {
		return errors.New("the opening's signature is of something else")
	}
	return nil
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

func appendFrameHead(dst []byte, f *frame) []byte {
	dst = append(dst, frameMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(f.payload)))
	dst = binary.LittleEndian.AppendUint64(dst, f.first)
	dst = binary.LittleEndian.AppendUint32(dst, f.count)
	return binary.LittleEndian.AppendUint64(dst, uint64(f.millis))
}

// decodeFrame reads the frame at the start of b; its payload points into b. errTorn means that there is no whole one.
func decodeFrame(b []byte) (f frame, err error) {
	le := binary.LittleEndian
	if len(b) < frameHeadSize+frameTailSize || string(b[:4]) != frameMagic {
		return f, errTorn
	}
	f.size = frameSize(b)
	if f.size > len(b) || le.Uint32(b[4:]) > maxFramePayload || crc32.Checksum(b[:f.size-4], castagnoli) != le.Uint32(b[f.size-4:]) {
		return f, errTorn
	}
	f.first, f.count, f.millis = le.Uint64(b[8:]), le.Uint32(b[16:]), int64(le.Uint64(b[20:]))
	f.payload = b[frameHeadSize : f.size-frameTailSize]
	copy(f.chain[:], b[f.size-frameTailSize:])
	return f, nil
}

// frameSize is the size of the frame whose head is at the start of b, as far as the head can be trusted.
func frameSize(b []byte) int {
	return frameHeadSize + int(min(binary.LittleEndian.Uint32(b[4:]), maxFramePayload)) + frameTailSize
}

// appendEntry frames one body within a payload.
func appendEntry(dst []byte, delta uint64, body []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	dst = binary.AppendUvarint(dst, delta)
	return append(dst, body...)
}

// nextEntry splits the first entry off a frame's payload. A number in a longer form than it needs is not taken, so that the
// hashes of the entries bind every byte.
func nextEntry(b []byte, base int64) (body []byte, millis int64, rest []byte, ok bool) {
	n, b, ok := uvarint(b)
	if !ok {
		return nil, 0, nil, false
	}
	delta, b, ok := uvarint(b)
	if !ok || delta > 1<<40 || n > uint64(len(b)) {
		return nil, 0, nil, false
	}
	return b[:n], base + int64(delta), b[n:], true
}

// uvarint reads a number in its shortest form.
func uvarint(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	if len(b) > 1 && b[1] < 0x80 && b[1] > 0 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, b[2:], true
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || b[size-1] == 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// nextFrame returns where the next whole frame begins at or behind at, or -1.
func nextFrame(b []byte, at int) int {
	for at < len(b) {
		i := bytes.Index(b[at:], []byte(frameMagic))
		if i < 0 {
			return -1
		}
		at += i
		if _, err := decodeFrame(b[at:]); err == nil {
			return at
		}
		at++
	}
	return -1
}

// written is the length of b without the zeros at its end.
func written(b []byte) int {
	n := len(b)
	for n >= 8 && binary.LittleEndian.Uint64(b[n-8:]) == 0 {
		n -= 8
	}
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return n
}

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
