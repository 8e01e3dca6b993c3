package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
)

const volumeSuffix = ".weir"

func volumeName(n uint32) string { return fmt.Sprintf("%08d%s", n, volumeSuffix) }

// volumeNumber returns the number of the volume of that name; other files have none.
func volumeNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, volumeSuffix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && volumeName(uint32(n)) == name
}

// A Fault is a place where a ledger is not as its writer left it.
type Fault struct {
	Volume string
	Offset int64
	What   string
}

func (f Fault) String() string { return fmt.Sprintf("%s at byte %d: %s", f.Volume, f.Offset, f.What) }

// Summary is what a reading of the whole ledger found.
type Summary struct {
	KeyID   [16]byte // the keyring that made the ledger's pseudonyms
	Volumes int
	Entries uint64
	Bytes   int64
	Root    [32]byte // RFC 9162 root of all entries; meaningless once there is a fault
	Last    time.Time
	Faults  []Fault
	Torn    int64 // bytes behind the last whole frame: a write that a crash cut off, or one that is under way
	Sealed  int64 // torn bytes that later volumes have sealed

	// Root at the size that ReadOptions.RootAt asked for, if the ledger is that long.
	RootAt   [32]byte
	RootAtOK bool

	volume  uint32 // the last one's number
	validIn uint32 // the last one with a whole header
	valid   int64  // bytes of that one up to the end of its last whole frame
	tornID  hash   // SHA-256 of the torn bytes
	chain   hash
	tree    tree
	millis  int64
}

// ReadOptions says what Read shall do beside reading.
type ReadOptions struct {
	Visit  func(Entry) error // called for each entry in order; may keep it
	RootAt *uint64           // also compute the root of the first so many entries
}

// Read reads the whole ledger from its start. It takes no lock, so it may run beside the owner; then it sees a prefix of
// what the owner writes. Damage is no error: it is reported in the summary's faults, and reading goes on behind it.
func Read(fsys FS, opts ReadOptions) (*Summary, error) {
	names, err := fsys.List()
	if err != nil {
		return nil, err
	}
	r := &reader{fsys: fsys, opts: opts, sum: &Summary{}}
	r.noteRoot()
	for _, name := range names {
		if n, ok := volumeNumber(name); ok {
			if err := r.volume(n, name); err != nil {
				return nil, err
			}
		}
	}
	r.sum.Root = r.sum.tree.root()
	r.sum.Last = time.UnixMilli(r.sum.millis).UTC()
	return r.sum, nil
}

// Verify reads the ledger and compares it with a checkpoint that the caller holds, if any. live says that an owner is
// writing, so that an unfinished write at the end is no fault.
func Verify(fsys FS, held *weir.Checkpoint, live bool) (*Summary, error) {
	opts := ReadOptions{}
	if held != nil {
		opts.RootAt = &held.Size
	}
	sum, err := Read(fsys, opts)
	if err != nil {
		return nil, err
	}
	if sum.Torn > 0 && !live {
		sum.Faults = append(sum.Faults, Fault{volumeName(sum.validIn), sum.valid, fmt.Sprintf("%d bytes are no whole frame: a write was cut off there, and the next start of the guard will seal it", sum.Torn)})
	}
	switch {
	case held == nil || len(sum.Faults) > 0:
	case !sum.RootAtOK:
		sum.Faults = append(sum.Faults, Fault{volumeName(sum.validIn), sum.valid, fmt.Sprintf("the ledger ends after %d entries, the checkpoint has %d", sum.Entries, held.Size)})
	case sum.RootAt != held.Root:
		sum.Faults = append(sum.Faults, Fault{volumeName(1), 0, fmt.Sprintf("the first %d entries are not those of the checkpoint", held.Size)})
	}
	return sum, nil
}

type reader struct {
	fsys    FS
	opts    ReadOptions
	sum     *Summary
	routes  []RouteName
	torn    []byte // what follows the last whole frame, over all volumes since
	scratch []byte
}

func (r *reader) fault(volume string, offset int, format string, args ...any) {
	r.sum.Faults = append(r.sum.Faults, Fault{volume, int64(offset), fmt.Sprintf(format, args...)})
}

func (r *reader) volume(number uint32, name string) error {
	b, err := r.load(name)
	if err != nil {
		return err
	}
	s := r.sum
	if number != s.volume+1 {
		r.fault(name, 0, "volume %s is missing before it", volumeName(s.volume+1))
	}
	at, whole, err := r.header(number, name, b)
	if err != nil {
		return err
	}
	s.Volumes++
	s.volume, s.Bytes = number, s.Bytes+int64(len(b))
	if whole {
		s.validIn, r.torn = number, nil
	}
	r.routes = r.routes[:0]
	for at < len(b) {
		f, err := decodeFrame(b[at:])
		if err != nil {
			next := nextFrame(b, at+1)
			if next < 0 {
				break // a torn tail
			}
			r.fault(name, at, "%d bytes are damaged: whole frames follow", next-at)
			at = next
			continue
		}
		if err := r.frame(name, at, b[at:at+f.size], &f); err != nil {
			return err
		}
		at += f.size
	}
	if whole {
		s.valid = int64(at)
	}
	r.torn = append(r.torn, b[at:]...)
	s.Torn, s.tornID = int64(len(r.torn)), sha256.Sum256(r.torn)
	return nil
}

func (r *reader) load(name string) ([]byte, error) {
	f, err := r.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// header checks a volume's header against what was read before it. It returns where the volume's frames begin, and
// whether it has a whole header: an owner that died before the header was durable leaves a volume without one, and with
// nothing behind it.
func (r *reader) header(number uint32, name string, b []byte) (at int, whole bool, err error) {
	s := r.sum
	h, err := decodeHeader(b)
	if errors.Is(err, errTorn) {
		next := nextFrame(b, 0)
		if next >= 0 {
			r.fault(name, 0, "the header is damaged")
		}
		return max(next, 0), next >= 0, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", name, err)
	}
	s.Sealed += s.Torn
	switch {
	case h.number != number:
		r.fault(name, 0, "the header is that of volume %d", h.number)
	case s.KeyID != [16]byte{} && h.keyID != s.KeyID:
		r.fault(name, 0, "the header names another key")
	case h.prev != s.validIn || h.prevValid != uint64(s.valid):
		r.fault(volumeName(s.validIn), int(s.valid), "the volume does not end where %s says (byte %d of volume %d)", name, h.prevValid, h.prev)
	case h.prevTorn != uint64(s.Torn) || s.Torn > 0 && h.prevTornID != s.tornID:
		r.fault(volumeName(s.validIn), int(s.valid), "the sealed bytes are not those that the seal is of")
	case h.chain != s.chain:
		r.fault(name, 0, "the hash chain does not continue that of the volume before")
	case h.first != s.Entries:
		r.fault(name, 0, "the volume begins with entry %d, want %d", h.first, s.Entries)
	}
	s.KeyID, s.Entries = h.keyID, h.first
	s.chain = headerChain(b)
	return headerSize, true, nil
}

// frame checks a whole frame against what was read before it and visits its entries.
func (r *reader) frame(name string, at int, raw []byte, f *frame) error {
	s := r.sum
	switch {
	case f.first != s.Entries:
		r.fault(name, at, "the frame begins with entry %d, want %d", f.first, s.Entries)
	case f.millis < s.millis:
		r.fault(name, at, "time goes back")
	case f.chain != nextChain(s.chain, raw[:len(raw)-frameTailSize]):
		r.fault(name, at, "the hash chain is broken")
	}
	s.Entries, s.chain = f.first, f.chain
	rest := f.payload
	for i := uint32(0); i < f.count; i++ {
		body, millis, after, ok := nextEntry(rest, f.millis)
		if !ok {
			r.fault(name, at, "entry %d of the frame cannot be read", i)
			s.Entries = f.first + uint64(f.count)
			return nil
		}
		rest = after
		if err := r.entry(name, at, body, millis); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		r.fault(name, at, "%d bytes follow the frame's last entry", len(rest))
	}
	return nil
}

func (r *reader) entry(name string, at int, raw []byte, millis int64) error {
	s := r.sum
	var leaf hash
	leaf, r.scratch = leafHash(r.scratch, s.Entries, millis, raw)
	s.tree.add(leaf)
	body, err := decodeBody(raw, r.routes)
	if err != nil {
		r.fault(name, at, "%v", err)
	}
	if name, ok := body.(*RouteName); ok {
		r.routes = append(r.routes, *name)
	}
	seq := s.Entries
	s.Entries, s.millis = seq+1, max(s.millis, millis)
	r.noteRoot()
	if err != nil || r.opts.Visit == nil {
		return nil
	}
	return r.opts.Visit(Entry{Seq: seq, Time: time.UnixMilli(millis).UTC(), Body: body})
}

func (r *reader) noteRoot() {
	if at := r.opts.RootAt; at != nil && *at == r.sum.tree.size {
		r.sum.RootAt, r.sum.RootAtOK = r.sum.tree.root(), true
	}
}

// nextEntry splits the first entry off a frame's payload.
func nextEntry(b []byte, base int64) (body []byte, millis int64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return nil, 0, nil, false
	}
	b = b[size:]
	delta, size := binary.Uvarint(b)
	if size <= 0 || delta > 1<<40 || n > uint64(len(b)-size) {
		return nil, 0, nil, false
	}
	b = b[size:]
	return b[:n], base + int64(delta), b[n:], true
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

// exists reports whether the folder holds a volume, or may hold one that cannot be listed.
func exists(fsys FS) (bool, error) {
	names, err := fsys.List()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(names, func(s string) bool { return strings.HasSuffix(s, volumeSuffix) }), err
}
