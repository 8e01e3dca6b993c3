package ledger

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"time"

	"weir"
)

// State is the live state at the start of a volume: what a guard must know of all entries before it. So a block or a quota
// of a year outlives the volumes that it began in, and a restart reads one volume.
type State struct {
	// Since says how far back Principals are complete: every release after it is in them. The zero time says that they hold
	// all there ever was.
	Since      time.Time
	Modes      []Mode           // of the routes, by pattern
	Principals []PrincipalState // by pseudonym

	last int64 // time of the last entry before, Unix ms
	tree tree
}

// PrincipalState is what counts for one principal. Times are ledger time.
type PrincipalState struct {
	ID      weir.Pseudonym
	Since   time.Time // since when it is blocked
	Blocked *Block    // nil if it is not
	Members []Member  // people by their last release, the longest ago first
	Charges []Charge  // unattributed people, the longest ago first
	Grants  []Grant   // those that have not expired, as they were entered
}

// Member is a person that a principal received, and when last.
type Member struct {
	DataSubject weir.Pseudonym
	Seen        time.Time
}

// Charge is a worst case for people who could not be named.
type Charge struct {
	At     time.Time
	People int
}

const stateVersion = 1

// farBack stands for the zero Since.
const farBack = -1 << 62

func (s *State) encode() []byte {
	le := binary.LittleEndian
	since := int64(farBack)
	if !s.Since.IsZero() {
		since = s.Since.UnixMilli()
	}
	b := []byte{stateVersion}
	b = le.AppendUint64(b, uint64(s.last))
	b = le.AppendUint64(b, uint64(since))
	for _, r := range s.tree.roots {
		b = append(b, r[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Modes)))
	for i := range s.Modes {
		b = appendSized(b, s.Modes[i].append(nil))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Principals)))
	for i := range s.Principals {
		b = s.Principals[i].append(b, s.last)
	}
	return b
}

func appendSized(b, body []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}

func (p *PrincipalState) append(b []byte, last int64) []byte {
	age := func(t time.Time) { b = binary.AppendUvarint(b, uint64(max(0, last-t.UnixMilli()))) }
	b = append(b, p.ID[:]...)
	if p.Blocked == nil {
		b = append(b, 0)
	} else {
		b = appendSized(b, p.Blocked.append(nil))
		age(p.Since)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Members)))
	for i := range p.Members {
		b = append(b, p.Members[i].DataSubject[:]...)
		age(p.Members[i].Seen)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Charges)))
	for _, c := range p.Charges {
		age(c.At)
		b = binary.AppendUvarint(b, uint64(c.People))
	}
	b = binary.AppendUvarint(b, uint64(len(p.Grants)))
	for i := range p.Grants {
		b = appendSized(b, p.Grants[i].append(nil))
	}
	return b
}

var errState = errors.New("snapshot cannot be read")

// decodeState reads what encode wrote, of a volume that begins with entry first.
func decodeState(b []byte, first uint64) (*State, error) {
	d := decoder{rest: b}
	s := &State{}
	if d.byteUpTo(stateVersion) != stateVersion {
		return nil, errState
	}
	s.last = int64(d.uint64())
	if since := int64(d.uint64()); since != farBack {
		s.Since = time.UnixMilli(since).UTC()
	}
	s.tree.size = first
	for range bits.OnesCount64(first) {
		s.tree.roots = append(s.tree.roots, hash(d.bytes(32)))
	}
	for range d.length(3) {
		m, ok := d.sized().(*Mode)
		if !ok {
			return nil, errState
		}
		s.Modes = append(s.Modes, *m)
	}
	for range d.length(20) {
		p := d.principal(s.last)
		if n := len(s.Principals); d.bad || n > 0 && slices.Compare(s.Principals[n-1].ID[:], p.ID[:]) >= 0 {
			return nil, errState
		}
		s.Principals = append(s.Principals, p)
	}
	if d.bad || len(d.rest) > 0 {
		return nil, errState
	}
	return s, nil
}

func (d *decoder) principal(last int64) (p PrincipalState) {
	age := func() time.Time { return time.UnixMilli(last - int64(d.count())).UTC() }
	p.ID = d.pseudonym()
	if len(d.rest) > 0 && d.rest[0] == 0 {
		d.rest = d.rest[1:]
	} else if block, ok := d.sized().(*Block); ok {
		p.Blocked = block
		p.Since = age()
	} else {
		d.bad = true
	}
	p.Members = make([]Member, d.length(17))
	for i := range p.Members {
		p.Members[i] = Member{d.pseudonym(), age()}
		d.bad = d.bad || i > 0 && p.Members[i].Seen.Before(p.Members[i-1].Seen)
	}
	p.Charges = make([]Charge, d.length(2))
	for i := range p.Charges {
		p.Charges[i] = Charge{age(), d.count()}
	}
	for range d.length(2) {
		g, ok := d.sized().(*Grant)
		if !ok {
			d.bad = true
			return p
		}
		p.Grants = append(p.Grants, *g)
	}
	return p
}

// length is the number of things that follow, each of which takes at least that many bytes.
func (d *decoder) length(each int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/each) {
		d.bad = true
		return 0
	}
	return int(n)
}

// sized is a body with its length before it; nil if it cannot be read.
func (d *decoder) sized() Body {
	raw := d.bytes(d.length(1))
	if d.bad {
		return nil
	}
	body, err := decodeBody(raw, nil)
	if err != nil {
		d.bad = true
		return nil
	}
	return body
}

func (d *decoder) uint64() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

// bytes is the next n bytes, or zeros if there are fewer.
func (d *decoder) bytes(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}
