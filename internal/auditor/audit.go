package auditor

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
)

// Options say what a ledger is compared with.
type Options struct {
	Key        string // the guard's verifier key (C2SP signed note); without it no signature is checked
	Checkpoint string // a checkpoint that the auditor holds, as text or as a signed note; may be empty
}

// A Fault is something that is not as the format demands.
type Fault struct {
	File   string
	Offset int
	What   string
}

func (f Fault) String() string { return fmt.Sprintf("%s at byte %d: %s", f.File, f.Offset, f.What) }

// Report is what an audit found.
type Report struct {
	Volumes  int
	Entries  uint64 // all there ever were, those that are gone included
	Gone     uint64 // entries in volumes that have been retired
	Bytes    int64
	Root     [32]byte
	Signed   int // volumes whose signature was checked
	Records  int // records of data subjects that were released
	Faults   []Fault
	keyID    []byte
	lastTime int64
}

var volumePattern = regexp.MustCompile(`^(\d{8})\.weir$`)

// audit is one run.
type audit struct {
	Report
	verifier *verifier
	held     *checkpoint
	heldSeen bool

	tree  tree
	chain [32]byte
	owner uint64
	live  *state

	file   string
	number uint32 // of the last file
	opened uint32 // the last volume with a whole opening
	whole  int    // bytes of that one up to the end of its last frame
	rest   []byte // everything behind there
	gone   uint32 // volumes that are said to be retired
	begun  uint32 // the first volume
	names  names
}

// Run audits the volumes in a folder. An error means that the audit could not be done; what it found is in the report.
func Run(folder fs.FS, opts Options) (*Report, error) {
	a := &audit{live: newState()}
	var err error
	if opts.Key != "" {
		if a.verifier, err = parseVerifier(opts.Key); err != nil {
			return nil, err
		}
	}
	if opts.Checkpoint != "" {
		if a.held, err = a.parseHeld(opts.Checkpoint); err != nil {
			return nil, err
		}
	}
	files, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		m := volumePattern.FindStringSubmatch(f.Name())
		if m == nil {
			continue
		}
		n, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			return nil, err
		}
		raw, err := fs.ReadFile(folder, f.Name())
		if err != nil {
			return nil, err
		}
		a.volume(f.Name(), uint32(n), raw)
	}
	if a.Volumes == 0 {
		return nil, fmt.Errorf("no volume here: name the folder that holds the .weir files")
	}
	a.finish()
	return &a.Report, nil
}

func (a *audit) fault(offset int, format string, args ...any) {
	a.Faults = append(a.Faults, Fault{a.file, offset, fmt.Sprintf(format, args...)})
}

func (a *audit) volume(name string, number uint32, raw []byte) {
	a.file = name
	if a.number != 0 && number != a.number+1 {
		a.fault(0, "volume %d is missing before it", a.number+1)
	}
	if a.begun == 0 {
		a.begun = number
	}
	a.number = number
	a.Volumes++
	a.Bytes += int64(len(raw))
	raw, err := unpack(raw)
	if err != nil {
		a.fault(0, "%v", err)
		return
	}
	o, err := readOpening(raw)
	if err != nil {
		a.unopened(raw, err)
		return
	}
	a.opening(o)
	a.opened, a.rest = number, nil
	a.names = names{}
	at := o.size
	for at < len(raw) {
		f := readFrame(raw[at:])
		if f == nil {
			next := findFrame(raw, at+1)
			if next < 0 {
				break
			}
			a.fault(at, "%d bytes are no frame, and whole frames follow", next-at)
			at = next
			continue
		}
		a.frame(at, f)
		at += f.size
	}
	a.whole = at
	a.rest = append(a.rest, raw[at:]...)
}

// unopened is a volume without a whole opening: nothing may be in it that is a frame.
func (a *audit) unopened(raw []byte, why error) {
	if at := findFrame(raw, 0); at >= 0 {
		a.fault(0, "the opening is damaged (%v), and frames follow", why)
	}
	a.rest = append(a.rest, raw...)
}

// opening compares what a volume says of those before it with what was read.
func (a *audit) opening(o *opening) {
	if o.number != a.number {
		a.fault(0, "it says that it is volume %d", o.number)
	}
	if o.tree.root() != o.root {
		a.fault(0, "its subtrees do not give its root")
	}
	if a.verifier != nil {
		if err := o.verify(a.verifier); err != nil {
			a.fault(0, "%v", err)
		} else {
			a.Signed++
		}
	}
	a.gone = max(a.gone, o.retired)
	if a.opened == 0 {
		a.begin(o)
	} else {
		a.compare(o)
	}
	a.chain, a.owner = o.id, o.owner
	// From here on the opening is believed, so that one fault does not give many.
	a.tree, a.Entries, a.lastTime = o.tree, o.first, o.state.last
	a.noteRoot()
}

// begin takes the first opening for what it says; what was before it is gone.
func (a *audit) begin(o *opening) {
	if a.begun == 1 && a.number == 1 && (o.first != 0 || o.before != 0 || o.chain != [32]byte{}) {
		a.fault(0, "the first volume does not begin a ledger")
	}
	a.keyID, a.Gone, a.live = o.keyID, o.first, o.state.clone()
	if len(a.rest) > 0 {
		a.compareRest(o)
	}
}

func (a *audit) compare(o *opening) {
	switch {
	case !bytes.Equal(o.keyID, a.keyID):
		a.fault(0, "it is of another key")
	case o.before != a.opened:
		a.fault(0, "it says that volume %d is before it, which is %d", o.before, a.opened)
	case o.whole != uint64(a.whole):
		a.fault(0, "the volume before ends with byte %d, it says %d", a.whole, o.whole)
	case o.chain != a.chain:
		a.fault(0, "the hash chain does not go on")
	case o.first != a.Entries:
		a.fault(0, "it begins with entry %d, want %d", o.first, a.Entries)
	case o.root != a.tree.root():
		a.fault(0, "its root is not that of the entries before it")
	case o.state.last != a.lastTime:
		a.fault(0, "its time is not that of the last entry")
	case o.owner < a.owner:
		a.fault(0, "its owner is one before the last")
	}
	a.compareRest(o)
	if what := o.state.differs(a.live); what != "" {
		a.fault(headerLen, "its snapshot is not what the entries before it give: %s", what)
	}
}

func (a *audit) compareRest(o *opening) {
	sum := sha256.Sum256(a.rest)
	if len(a.rest) == 0 {
		sum = [32]byte{}
	}
	if o.rest != uint64(len(a.rest)) || o.restHash != sum {
		a.fault(0, "the %d bytes before it are not those that it seals", len(a.rest))
	}
}

func (a *audit) frame(at int, f *frame) {
	if f.first != a.Entries {
		a.fault(at, "the frame begins with entry %d, want %d", f.first, a.Entries)
	}
	link := append(append([]byte{}, a.chain[:]...), f.head...)
	a.Entries = f.first
	rest, time := f.payload, f.time
	for i := uint32(0); i < f.count; i++ {
		length, after, ok1 := shortest(rest)
		delta, after, ok2 := shortest(after)
		if !ok1 || !ok2 || length > uint64(len(after)) || delta > 1<<40 {
			a.fault(at, "entry %d of the frame cannot be split off", i)
			break
		}
		body := after[:length]
		rest = after[length:]
		if entryTime := f.time + int64(delta); entryTime < max(time, a.lastTime) {
			a.fault(at, "time goes back")
		} else {
			time = entryTime
		}
		leaf := leafHash(a.Entries, time, body)
		link = append(link, leaf[:]...)
		a.tree.add(leaf)
		a.Entries++
		a.lastTime = max(a.lastTime, time)
		a.noteRoot()
		if err := a.entry(time, body); err != nil {
			a.fault(at, "entry %d: %v", a.Entries-1, err)
		}
	}
	if f.count == 0 || len(rest) > 0 {
		a.fault(at, "the frame's entries and its length do not agree")
	}
	if sha256.Sum256(link) != f.chain {
		a.fault(at, "the hash chain is broken")
	}
	a.chain = f.chain
}

func (a *audit) noteRoot() {
	if a.held != nil && a.held.size == a.Entries {
		a.heldSeen = true
		if a.tree.root() != a.held.root {
			a.fault(0, "the first %d entries are not those of the checkpoint", a.held.size)
		}
	}
}

func (a *audit) finish() {
	a.Root = a.tree.root()
	if len(bytes.TrimRight(a.rest, "\x00")) > 0 {
		a.fault(a.whole, "it ends in a torn write")
	}
	if a.held != nil && !a.heldSeen {
		a.fault(a.whole, "the checkpoint's %d entries are not there: the ledger holds %d to %d", a.held.size, a.Gone, a.Entries)
	}
	if a.begun > 1 && a.gone < a.begun-1 {
		a.file = fmt.Sprintf("%08d.weir", a.begun)
		a.fault(0, "the volumes before %d are missing, and nothing says that they were retired", a.begun)
	}
}

// shortest reads a LEB128 number that is not longer than it must be.
func shortest(b []byte) (uint64, []byte, bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || size > 1 && b[size-1] == 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}
