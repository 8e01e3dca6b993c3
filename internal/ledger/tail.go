package ledger

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// A DamagedError says where a follower met bytes that are not what the ledger's owner wrote there.
type DamagedError struct{ Fault Fault }

func (e *DamagedError) Error() string {
	return fmt.Sprintf("ledger is damaged: %s: run weir ledger verify", e.Fault)
}

// A Tail follows a ledger: each call of Next reads what has been added since the last. It takes no lock and may run beside
// the owner, in its process or in another one. It checks frames by their CRC and their numbers; that the ledger is what it
// was, only [Verify] shows.
//
// A Tail may see an entry a moment before its write is durable. Such an entry can be gone after a power cut, and then its
// number is given to another one: who keeps what was read across restarts must keep it no safer than the ledger's folder,
// or read anew where the two disagree.
//
// A Tail is not safe for concurrent use.
type Tail struct {
	fsys FS
	next uint64 // number of the next entry to visit

	src    Source // the volume being read; nil before the first one is found
	name   string
	number uint32
	off    int64  // where the next frame begins
	at     uint64 // number of that frame's first entry
	known  names

	buf     []byte // bytes of the volume from bufOff on
	bufOff  int64
	outcome Outcome // visited again and again, so that a record costs no allocation
}

// tailChunk is how much of a volume is read at once; a larger frame is read whole.
const tailChunk = 1 << 20

// OpenTail returns a follower that begins with entry number from. Volumes that end before it are not read. It is no error
// if there are fewer entries yet, or no ledger at all.
func OpenTail(fsys FS, from uint64) (*Tail, error) {
	t := &Tail{fsys: fsys, next: from}
	if err := t.find(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Seq returns the number of the next entry that Next will visit.
func (t *Tail) Seq() uint64 { return t.next }

// Close closes the file that is being read.
func (t *Tail) Close() error {
	if t.src == nil {
		return nil
	}
	src := t.src
	t.src = nil
	return src.Close()
}

// Next visits all entries that are there, in order, and returns their number. The entry and all that it points to are valid
// only during the call of visit: an outcome's records are overwritten by the next one's. An unfinished write at the end is
// left for a later call. Damage is a *DamagedError, before which everything whole has been visited. An error of visit ends
// Next, which then begins with that entry again.
func (t *Tail) Next(visit func(Entry) error) (entries int, err error) {
	before := t.next
	if t.src == nil {
		if err := t.find(); err != nil || t.src == nil {
			return 0, err
		}
	}
	for {
		if err = t.frames(visit); err != nil {
			break
		}
		moved, moveErr := t.move(visit)
		if err = moveErr; err != nil || !moved {
			break
		}
	}
	return int(t.next - before), err
}

// find opens the volume that holds the next entry, or the last one if it is not there yet. It reads headers only, the
// newest first.
func (t *Tail) find() error {
	names, err := t.fsys.List()
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(names) {
		n, ok := volumeNumber(name)
		if !ok {
			continue
		}
		src, h, err := openVolume(t.fsys, name)
		if errors.Is(err, errTorn) {
			continue // an owner died before the header was durable, or is just writing it
		}
		if err != nil {
			return err
		}
		if h.first <= t.next || name == first(names) {
			t.begin(src, name, n, h)
			return nil
		}
		if err := src.Close(); err != nil {
			return err
		}
	}
	return nil
}

// first returns the first volume's name.
func first(names []string) string {
	return names[slices.IndexFunc(names, isVolume)]
}

// openVolume opens a volume and reads its header; errTorn says that it has no whole one.
func openVolume(fsys FS, name string) (Source, header, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, header{}, err
	}
	src, err := live(file)
	if err != nil {
		return nil, header{}, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	raw := make([]byte, headerSize)
	n, err := src.ReadAt(raw, 0)
	if err == nil || errors.Is(err, io.EOF) {
		var h header
		if h, err = decodeHeader(raw[:n]); err == nil {
			size, err := src.Size()
			if err == nil && size < int64(h.openingSize()) {
				err = errTorn
			}
			if err == nil {
				return src, h, nil
			}
			return nil, header{}, errors.Join(fmt.Errorf("%s: %w", name, err), src.Close())
		}
	}
	return nil, header{}, errors.Join(fmt.Errorf("%s: %w", name, err), src.Close())
}

func (t *Tail) begin(src Source, name string, number uint32, h header) {
	t.src, t.name, t.number, t.off, t.at = src, name, number, int64(h.openingSize()), h.first
	t.known, t.buf, t.bufOff = names{t.known.routes[:0], t.known.principals[:0]}, t.buf[:0], t.off
}

// frames visits the whole frames from the present place on.
func (t *Tail) frames(visit func(Entry) error) error {
	for {
		f, err := t.frame()
		if err == nil && f == nil && nextFrame(t.buf, 1) >= 0 {
			// A read beside a write may see the end of what was written before its beginning. A second one sees both.
			t.buf = t.buf[:0]
			if f, err = t.frame(); err == nil && f == nil && nextFrame(t.buf, 1) >= 0 {
				err = t.damaged("no whole frame, but whole ones follow")
			}
		}
		if err != nil || f == nil {
			return err
		}
		if f.first != t.at {
			return t.damaged("the frame begins with entry %d, want %d", f.first, t.at)
		}
		if err := t.entries(f, visit); err != nil {
			return err
		}
		t.off += int64(f.size)
		t.at += uint64(f.count)
	}
}

// frame returns the frame at the present place, or nil if there is no whole one yet.
func (t *Tail) frame() (*frame, error) {
	b := t.buf[min(int64(len(t.buf)), t.off-t.bufOff):]
	if f, err := decodeFrame(b); err == nil {
		return &f, nil
	}
	need := tailChunk
	if len(b) >= frameHeadSize && string(b[:4]) == frameMagic {
		need = max(need, frameSize(b))
	}
	for {
		size, err := t.src.Size()
		if err != nil {
			return nil, err
		}
		t.bufOff = t.off
		t.buf = slices.Grow(t.buf[:0], need)[:min(int64(need), max(size-t.off, 0))]
		n, err := t.src.ReadAt(t.buf, t.off)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		t.buf = t.buf[:n]
		if f, err := decodeFrame(t.buf); err == nil {
			return &f, nil
		}
		if n < frameHeadSize || string(t.buf[:4]) != frameMagic || frameSize(t.buf) <= need {
			return nil, nil
		}
		need = frameSize(t.buf)
	}
}

func (t *Tail) entries(f *frame, visit func(Entry) error) (err error) {
	before := t.known
	defer func() {
		if err != nil {
			t.known = before // the frame is read again
		}
	}()
	rest := f.payload
	for seq := f.first; seq < f.first+uint64(f.count); seq++ {
		raw, millis, after, ok := nextEntry(rest, f.millis)
		if !ok {
			return t.damaged("entry %d cannot be read", seq)
		}
		rest = after
		if seq < t.next && !isName(raw) {
			continue
		}
		body, err := decodeReusing(raw, &t.known, &t.outcome)
		if err != nil {
			return t.damaged("entry %d: %v", seq, err)
		}
		t.known.learn(body)
		if seq < t.next {
			continue
		}
		if err := visit(Entry{Seq: seq, Time: time.UnixMilli(millis).UTC(), Body: body}); err != nil {
			return err
		}
		t.next = seq + 1
	}
	return nil
}

// move goes on to the next volume, if there is one: then its header says where this one ends, and what lies between there
// and the last whole frame is damage.
func (t *Tail) move(visit func(Entry) error) (bool, error) {
	names, err := t.fsys.List()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		n, ok := volumeNumber(name)
		if !ok || n <= t.number {
			continue
		}
		src, h, err := openVolume(t.fsys, name)
		if errors.Is(err, errTorn) {
			continue
		}
		if err != nil {
			return false, err
		}
		// The owner may have written here between the last read and the listing.
		if err := t.frames(visit); err != nil {
			return false, errors.Join(err, src.Close())
		}
		switch {
		case h.prev != t.number:
			err = t.damaged("volume %s is missing behind it", volumeName(h.prev))
		case h.valid != uint64(t.off):
			err = t.damaged("no whole frame, but the volume goes on to byte %d", h.valid)
		case h.first != t.at:
			err = t.damaged("the next volume begins with entry %d, want %d", h.first, t.at)
		}
		if err != nil {
			return false, errors.Join(err, src.Close())
		}
		if err := t.src.Close(); err != nil {
			return false, errors.Join(err, src.Close())
		}
		t.begin(src, name, n, h)
		return true, nil
	}
	return false, nil
}

func (t *Tail) damaged(format string, args ...any) error {
	return &DamagedError{Fault{t.name, t.off, fmt.Sprintf(format, args...)}}
}
