package ledger

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

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

func isVolume(name string) bool { _, ok := volumeNumber(name); return ok }

// A Fault is a place where a ledger is not as its writer left it.
type Fault struct {
	Volume string
	Offset int64
	What   string
}

func (f Fault) String() string { return fmt.Sprintf("%s at byte %d: %s", f.Volume, f.Offset, f.What) }

// Summary is what a reading of the ledger found.
type Summary struct {
	KeyID   [16]byte // the keyring that made the ledger's pseudonyms
	Volumes int
	Entries uint64
	Bytes   int64
	Root    [32]byte // RFC 9162 root of all entries; meaningless once there is a fault
	Last    time.Time
	Faults  []Fault
	Torn    int64  // bytes behind the last whole frame: a write that a crash cut off, or one that is under way
	Sealed  int64  // torn bytes that later volumes have sealed
	Retired uint64 // entries whose volumes have been retired

	// Root at the size that ReadOptions.RootAt asked for, if the ledger is that long.
	RootAt   [32]byte
	RootAtOK bool

	volume  uint32 // the last one's number
	validIn uint32 // the last one with a whole opening
	valid   int64  // bytes of that one up to the end of its last whole frame
	rest    int64  // bytes from there on, over all volumes since: torn ones, and zeros that were written beforehand
	restID  hash   // SHA-256 of those
	chain   hash
	tree    tree
	millis  int64
	owner   uint64
	retired uint32 // volumes that may be gone
	begins  uint32 // the first volume's number
}

// ReadOptions says what Read shall do beside reading.
type ReadOptions struct {
	Visit  func(Entry) error // called for each entry in order; may keep it, unless Reuse
	Reuse  bool              // the entry that Visit gets is valid only during the call, and costs no allocation
	RootAt *uint64           // also compute the root of the first so many entries
	Known  note.Verifiers    // also check that each volume's opening is signed by one of these
}

// Read reads the whole ledger from its start. It takes no lock, so it may run beside the owner; then it sees a prefix of
// what the owner writes. Damage is no error: it is reported in the summary's faults, and reading goes on behind it.
func Read(fsys FS, opts ReadOptions) (*Summary, error) {
	names, err := fsys.List()
	if err != nil {
		return nil, err
	}
	r := &reader{fsys: fsys, opts: opts, sum: &Summary{}}
	if err := r.read(slices.DeleteFunc(names, func(s string) bool { return !isVolume(s) })); err != nil {
		return nil, err
	}
	r.missing()
	return r.sum, nil
}

// VerifyOptions says what Verify compares the ledger with.
type VerifyOptions struct {
	Held  *weir.Checkpoint // a checkpoint that the caller holds
	Live  bool             // an owner is writing, so that an unfinished write at the end is no fault
	Known note.Verifiers   // the guard's key; without it no signature is checked
}

// Verify reads the ledger and compares it with a checkpoint that the caller holds, or with none (nil). live says that an
// owner is writing, so that an unfinished write at the end is no fault.
func Verify(fsys FS, held *weir.Checkpoint, live bool) (*Summary, error) {
	return VerifyOptions{Held: held, Live: live}.Verify(fsys)
}

// Verify reads the ledger and compares it with what the caller knows of it.
func (opts VerifyOptions) Verify(fsys FS) (*Summary, error) {
	held := opts.Held
	how := ReadOptions{Known: opts.Known}
	if held != nil {
		how.RootAt = &held.Size
	}
	sum, err := Read(fsys, how)
	if err != nil {
		return nil, err
	}
	if sum.Torn > 0 && !opts.Live {
		sum.Faults = append(sum.Faults, Fault{volumeName(sum.validIn), sum.valid, fmt.Sprintf("%d bytes are no whole frame: a write was cut off there, and the next start of the guard will seal it", sum.Torn)})
	}
	switch {
	case held == nil || len(sum.Faults) > 0:
	case held.Size < sum.Retired:
		sum.Faults = append(sum.Faults, Fault{volumeName(sum.begins), 0, fmt.Sprintf("the checkpoint's %d entries have been retired, the first %d are gone", held.Size, sum.Retired)})
	case !sum.RootAtOK:
		sum.Faults = append(sum.Faults, Fault{volumeName(sum.validIn), sum.valid, fmt.Sprintf("the ledger ends after %d entries, the checkpoint has %d", sum.Entries, held.Size)})
	case sum.RootAt != held.Root:
		sum.Faults = append(sum.Faults, Fault{volumeName(sum.begins), 0, fmt.Sprintf("the first %d entries are not those of the checkpoint", held.Size)})
	}
	return sum, nil
}

type reader struct {
	fsys    FS
	opts    ReadOptions
	sum     *Summary
	started func(*opening) error // called with the first volume's opening
	known   names
	outcome Outcome
	rest    []byte       // what follows the last whole frame, over all volumes since
	window  window       // on the volume being read
	hashing *hashing     // of what is being read
	spare   *hashing     // to use next
	proof   chan []Fault // what the hashes before show, once they are made; nil if there are none
	pending int          // faults that were found when the hashes began to wait
	mend    bool         // unsure is wanted
	unsure  []part       // what the last write may have left in memory only
	until   uint32       // of this volume only the opening is read; 0 for none
	stop    func() error // asked before each volume; may be nil
}

// part is some bytes of a file.
type part struct {
	name  string
	at    int64
	bytes []byte
}

func (r *reader) fault(volume string, offset int64, format string, args ...any) {
	r.sum.Faults = append(r.sum.Faults, Fault{volume, offset, fmt.Sprintf(format, args...)})
}

// read reads these volumes, of which the first is where the ledger begins or where reading is to begin.
func (r *reader) read(volumes []string) error {
	for _, name := range volumes {
		if r.stop != nil {
			if err := r.stop(); err != nil {
				return err
			}
		}
		n, _ := volumeNumber(name)
		if err := r.volume(n, name); err != nil {
			return err
		}
	}
	s := r.sum
	s.Root = s.tree.root()
	s.Last = time.UnixMilli(s.millis).UTC()
	return nil
}

// missing reports volumes that are gone from the ledger's start and were not retired.
func (r *reader) missing() {
	if s := r.sum; s.begins > 1 && s.retired < s.begins-1 {
		r.fault(volumeName(s.begins), 0, "the volumes before it are missing, and no entry says that they were retired")
	}
}

func (r *reader) volume(number uint32, name string) error {
	file, err := r.fsys.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	src, err := live(file)
	if err == nil {
		err = r.contents(number, name, src, src != file)
	}
	if errors.Is(err, errCompact) {
		r.broken(number, name)
		return nil
	}
	return err
}

// broken ends the reading of a compact volume that cannot be put together, or not to its end.
func (r *reader) broken(number uint32, name string) {
	r.settle(name)
	r.await()
	r.fault(name, 0, "%v", errCompact)
	if s := r.sum; s.volume != number {
		s.volume = number
		s.Volumes++
	}
	if r.sum.begins == 0 {
		r.sum.begins = number
	}
}

// contents reads what is in a volume.
func (r *reader) contents(number uint32, name string, src Source, compacted bool) error {
	if err := r.window.open(src); err != nil {
		return err
	}
	r.window.done = compacted
	s := r.sum
	if s.volume != 0 && number != s.volume+1 {
		r.fault(name, 0, "volume %s is missing before it", volumeName(s.volume+1))
	}
	at, whole, err := r.opening(number, name)
	if err != nil {
		return err
	}
	if number == r.until {
		return nil
	}
	s.Volumes++
	s.volume = number
	if whole {
		s.validIn, r.rest, r.unsure = number, nil, nil
	}
	r.known.routes, r.known.principals = r.known.routes[:0], r.known.principals[:0]
	last, at, err := r.frames(name, at)
	if err != nil {
		return err
	}
	if whole {
		s.valid = at
	}
	s.Bytes += r.window.size
	return r.behind(name, last, at, compacted)
}

// frames reads a volume's frames from at on. It returns where the last one begins and where it ends.
func (r *reader) frames(name string, at int64) (last, end int64, err error) {
	r.pending = len(r.sum.Faults)
	for {
		b, err := r.window.frame(at)
		if err != nil {
			return 0, 0, err
		}
		f, err := decodeFrame(b)
		if err != nil {
			skip, err := r.damaged(at)
			if err != nil {
				return 0, 0, err
			}
			if skip < 0 {
				r.settle(name)
				r.await()
				return last, at, nil // a torn tail, or zeros
			}
			if skip > 0 {
				r.fault(name, at, "%d bytes are damaged: whole frames follow", skip)
			}
			at += skip
			continue
		}
		if err := r.frame(name, at, b, &f); err != nil {
			return 0, 0, err
		}
		last = at
		at += int64(f.size)
	}
}

// damaged looks for the next whole frame, of which there is none at that place, and returns how far it is; -1 says that there
// is none. An owner may be writing: a read beside a write may see the end of what was written before its beginning, so that
// damage is only what a second one sees.
func (r *reader) damaged(at int64) (skip int64, err error) {
	for range 2 {
		b, err := r.window.rest(at)
		if err != nil {
			return 0, err
		}
		if skip = int64(nextFrame(b, 0)); skip <= 0 || r.window.done {
			break
		}
	}
	return skip, nil
}

// behind takes what is in a volume behind its last frame, which begins at last.
func (r *reader) behind(name string, last, at int64, compacted bool) error {
	s := r.sum
	b, err := r.window.from(at, int(r.window.size-at))
	if err != nil {
		return err
	}
	r.rest = append(r.rest, b...)
	s.rest, s.restID = int64(len(r.rest)), sha256.Sum256(r.rest)
	if s.Torn = int64(written(r.rest)); s.rest == 0 {
		s.restID = hash{}
	}
	if compacted || !r.mend {
		return nil // a compact one was written durably as a whole
	}
	if b, err = r.window.rest(last); err != nil {
		return err
	}
	r.unsure = append(r.unsure, part{name, last, slices.Clone(b)})
	return nil
}

// load reads a volume, a compact one in its live form, and says whether it is one.
func load(fsys FS, name string, buf []byte) (live []byte, compacted bool, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, false, err
	}
	buf = slices.Grow(buf[:0], int(size))[:size]
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if !isCompact(buf[:n]) {
		return buf[:n], false, nil
	}
	if live, err = expand(buf[:n]); err != nil {
		return buf[:0], true, nil // a volume without a whole opening, which what follows it contradicts
	}
	return live, true, nil
}

// opening checks a volume's opening against what was read before it. It returns where the volume's frames begin, and
// whether it has a whole opening: an owner that died before it was durable leaves a volume without one, and with nothing
// behind it.
func (r *reader) opening(number uint32, name string) (at int64, whole bool, err error) {
	s := r.sum
	b, err := r.window.opening()
	if err != nil {
		return 0, false, err
	}
	o, err := decodeOpening(b)
	if errors.Is(err, errTorn) {
		next, err := r.damaged(0)
		if err != nil {
			return 0, false, err
		}
		if next >= 0 {
			r.fault(name, 0, "the opening is damaged")
		}
		if s.begins == 0 {
			s.begins = number
		}
		return max(next, 0), next >= 0, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", name, err)
	}
	if err := o.check(r.opts.Known); err != nil {
		r.fault(name, 0, "%v", err)
	}
	s.retired = max(s.retired, o.retired)
	if s.begins == 0 || s.validIn == 0 && s.Entries == 0 {
		if err := r.first(number, name, o); err != nil {
			return 0, false, err
		}
	} else {
		r.follows(number, name, o)
	}
	if number != o.number {
		r.fault(name, 0, "the opening is that of volume %d", o.number)
	}
	s.Sealed += s.Torn
	s.KeyID, s.Entries, s.owner = o.keyID, o.first, o.owner
	s.chain = openingHash(o.raw)
	return int64(len(o.raw)), true, nil
}

// first begins the reading with an opening.
func (r *reader) first(number uint32, name string, o *opening) error {
	s := r.sum
	if s.begins == 0 {
		s.begins = number
	} else if o.rest != uint64(s.rest) || s.rest > 0 && o.restID != s.restID {
		r.fault(name, 0, "the sealed bytes before it are not those that the seal is of")
	}
	if s.begins == 1 && (o.first != 0 || o.prev != 0) {
		r.fault(name, 0, "the first volume begins with entry %d behind volume %d", o.first, o.prev)
	}
	s.Retired, s.tree, s.millis = o.first, o.state.tree.clone(), o.state.last
	r.noteRoot()
	if r.started != nil {
		return r.started(o)
	}
	return nil
}

// follows compares an opening with what was read before it.
func (r *reader) follows(number uint32, name string, o *opening) {
	s := r.sum
	switch {
	case o.keyID != s.KeyID && s.KeyID != [16]byte{}:
		r.fault(name, 0, "the opening names another key")
	case o.prev != s.validIn || o.valid != uint64(s.valid):
		r.fault(volumeName(s.validIn), s.valid, "the volume does not end where %s says (byte %d of volume %d)", name, o.valid, o.prev)
	case o.rest != uint64(s.rest) || o.restID != s.restID:
		r.fault(volumeName(s.validIn), s.valid, "the sealed bytes are not those that the seal is of")
	case o.chain != s.chain:
		r.fault(name, 0, "the hash chain does not continue that of the volume before")
	case o.first != s.Entries:
		r.fault(name, 0, "the volume begins with entry %d, want %d", o.first, s.Entries)
	case o.root != s.tree.root():
		r.fault(name, 0, "the opening's root is not that of the entries before it")
	case o.state.last != s.millis:
		r.fault(name, 0, "the opening's time is not that of the last entry before it")
	case o.owner < s.owner:
		r.fault(name, 0, "the opening is of an owner before the last")
	}
}

// frame checks a whole frame, at the start of raw, against what was read before it and visits its entries. Their hashes are
// made later, many together.
func (r *reader) frame(name string, at int64, raw []byte, f *frame) error {
	s := r.sum
	if r.hashing != nil && r.hashing.full() {
		r.settle(name)
	}
	if r.hashing == nil {
		r.hashing = &hashing{}
	}
	if f.first != s.Entries {
		r.fault(name, at, "the frame begins with entry %d, want %d", f.first, s.Entries)
	}
	if f.millis < s.millis {
		r.fault(name, at, "time goes back")
	}
	r.hashing.begin(at, &s.chain, raw, int(min(f.count, uint32(len(f.payload)/2))))
	r.hashing.end(&f.chain)
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
	if len(rest) > 0 || f.count == 0 {
		r.fault(name, at, "%d bytes follow the frame's last entry of %d", len(rest), f.count)
	}
	return nil
}

// settle has the hashes that wait made, while reading goes on, and reports what those before them showed.
func (r *reader) settle(name string) {
	r.await()
	h := r.hashing
	if h == nil || len(h.frames) == 0 {
		return
	}
	r.hashing, r.spare = r.spare, h
	proof := make(chan []Fault, 1)
	r.proof = proof
	go func() { proof <- r.prove(name, h) }()
}

// await waits until nothing but this goroutine touches the tree. The faults that the hashes show come to their place among
// those that were found in the same frames.
func (r *reader) await() {
	if r.proof == nil {
		return
	}
	found := <-r.proof
	r.proof = nil
	s := r.sum
	s.Faults = append(s.Faults, found...)
	slices.SortStableFunc(s.Faults[r.pending:], func(a, b Fault) int { return cmp.Compare(a.Offset, b.Offset) })
}

// prove makes hashes, says which frames do not have the chain hash that they claim, and adds the entries to the tree.
func (r *reader) prove(name string, h *hashing) (faults []Fault) {
	h.finish()
	for i := range h.frames {
		if f := &h.frames[i]; f.chain != f.claimed {
			faults = append(faults, Fault{name, f.at, "the hash chain is broken"})
		}
	}
	t, leaves := &r.sum.tree, h.leaves()
	if asked := r.opts.RootAt; asked != nil && *asked > t.size && *asked-t.size < uint64(h.entries()) {
		n := int(*asked-t.size) * sha256.Size
		t.addAll(leaves[:sha256.Size+n])
		r.noteRoot()
		leaves = leaves[n:]
	}
	t.addAll(leaves)
	r.noteRoot()
	h.reset()
	return faults
}

func (r *reader) entry(name string, at int64, raw []byte, millis int64) error {
	s := r.sum
	r.hashing.entry(s.Entries, millis, raw)
	body, err := r.body(raw)
	if err != nil {
		r.fault(name, at, "entry %d: %v", s.Entries, err)
	}
	r.known.learn(body)
	if x, ok := body.(*Retired); ok {
		s.retired = max(s.retired, x.Volume)
	}
	if millis < s.millis {
		r.fault(name, at, "time goes back at entry %d", s.Entries)
	}
	seq := s.Entries
	s.Entries, s.millis = seq+1, max(s.millis, millis)
	if err != nil || r.opts.Visit == nil {
		return nil
	}
	return r.opts.Visit(Entry{Seq: seq, Time: time.UnixMilli(millis).UTC(), Body: body})
}

// body decodes an entry; an outcome into the one that is reused, if nobody may keep it.
func (r *reader) body(raw []byte) (Body, error) {
	if r.opts.Visit != nil && !r.opts.Reuse {
		return decodeBody(raw, &r.known)
	}
	return decodeReusing(raw, &r.known, &r.outcome)
}

// decodeReusing is decodeBody with outcomes read into o.
func decodeReusing(raw []byte, known *names, o *Outcome) (Body, error) {
	if len(raw) == 0 || raw[0] != typeOutcome {
		return decodeBody(raw, known)
	}
	d := decoder{rest: raw[1:]}
	d.outcome(o, known)
	if d.bad || len(d.rest) != 0 {
		return nil, errBody
	}
	return o, nil
}

func (r *reader) noteRoot() {
	if at := r.opts.RootAt; at != nil && *at == r.sum.tree.size {
		r.sum.RootAt, r.sum.RootAtOK = r.sum.tree.root(), true
	}
}
