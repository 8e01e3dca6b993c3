package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir"
)

// An Entry is one line of the log. Entries are numbered from 0 without holes.
type Entry struct {
	Seq  uint64
	Time time.Time // ledger time: whole milliseconds, UTC, never earlier than the entry before
	Body Body
}

// A Body is what an entry says: one of *Outcome, *Block, *Unblock, *Mode and *RouteName.
type Body interface {
	append(dst []byte) []byte
}

// Outcome is what became of one response.
type Outcome struct {
	weir.Outcome
	route uint64 // number of the route's name in its volume
}

// A Cause says who ordered a block.
type Cause uint8

// The causes. The numbers are in ledgers and stay.
const (
	ByQuota  Cause = 1 // the principal asked for more people than its quota had left
	ByHand   Cause = 2 // an operator ordered it
	maxCause       = ByHand
)

// Block bars a principal until an Unblock.
type Block struct {
	Principal weir.Pseudonym
	Cause     Cause
	People    int           // distinct data subjects that it had received in the window
	Quota     int           // the limit that it met; 0 when ordered by hand
	Window    time.Duration // the limit's window, in whole milliseconds
}

// Unblock lifts a principal's block. It gives back nothing of its quota.
type Unblock struct{ Principal weir.Pseudonym }

// Mode says which mode a route is in from now on.
type Mode struct {
	Route   string
	Observe bool
}

// RouteName gives a route's pattern and unit the next number, counted from 0 in each volume; outcomes refer to it.
type RouteName struct {
	Pattern string
	Unit    string // what one data subject of the route is; at most 255 bytes
}

// Types of bodies on disk. A number, once used, keeps its meaning.
const (
	typeOutcome   = 1
	typeRouteName = 2
	typeBlock     = 3
	typeUnblock   = 4
	typeMode      = 5
)

func (o *Outcome) append(b []byte) []byte {
	flags := byte(0)
	if o.Observed {
		flags = 1
	}
	b = append(b, typeOutcome, byte(o.Kind), byte(o.Reason), flags)
	b = append(b, o.Principal[:]...)
	for _, n := range [...]uint64{
		o.route, uint64(o.Status), uint64(o.Bytes), uint64(o.Irregular), uint64(o.Withheld),
		uint64(o.Unattached.People), uint64(o.Unattached.Classes), uint64(len(o.Released)),
	} {
		b = binary.AppendUvarint(b, n)
	}
	for i := range o.Released {
		b = append(b, o.Released[i].DataSubject[:]...)
		b = binary.AppendUvarint(b, uint64(o.Released[i].Classes))
	}
	return b
}

func (r *RouteName) append(b []byte) []byte {
	b = append(b, typeRouteName, byte(len(r.Unit)))
	return append(append(b, r.Unit...), r.Pattern...)
}

func (x *Block) append(b []byte) []byte {
	b = append(b, typeBlock, byte(x.Cause))
	b = append(b, x.Principal[:]...)
	b = binary.AppendUvarint(b, uint64(x.People))
	b = binary.AppendUvarint(b, uint64(x.Quota))
	return binary.AppendUvarint(b, uint64(x.Window.Milliseconds()))
}

func (x *Unblock) append(b []byte) []byte { return append(append(b, typeUnblock), x.Principal[:]...) }

func (m *Mode) append(b []byte) []byte {
	observe := byte(0)
	if m.Observe {
		observe = 1
	}
	return append(append(b, typeMode, observe), m.Route...)
}

var errBody = errors.New("entry cannot be read")

// decodeBody reads what append wrote; routes are the names that the volume has given so far.
func decodeBody(b []byte, routes []RouteName) (Body, error) {
	if len(b) == 0 {
		return nil, errBody
	}
	d := decoder{rest: b[1:]}
	var body Body
	switch b[0] {
	case typeOutcome:
		o := &Outcome{}
		d.outcome(o, routes)
		body = o
	case typeRouteName:
		body = &RouteName{Unit: d.textOf(int(d.byteUpTo(255))), Pattern: d.text()}
	case typeBlock:
		x := &Block{Cause: Cause(d.byteUpTo(byte(maxCause))), Principal: d.pseudonym(), People: d.count(), Quota: d.count()}
		x.Window = time.Duration(d.count()) * time.Millisecond
		body = x
	case typeUnblock:
		body = &Unblock{Principal: d.pseudonym()}
	case typeMode:
		body = &Mode{Observe: d.byteUpTo(1) == 1, Route: d.text()}
	default:
		return nil, fmt.Errorf("entry of type %d: written by a newer version, use that one", b[0])
	}
	if d.bad || len(d.rest) != 0 {
		return nil, errBody
	}
	return body, nil
}

// decoder reads fields off the front of rest; the first that does not fit sets bad, and all later ones read zero.
type decoder struct {
	rest []byte
	bad  bool
}

// outcome reads into o, whose records it overwrites.
func (d *decoder) outcome(o *Outcome, routes []RouteName) {
	o.Kind, o.Reason, o.Observed = weir.OutcomeKind(d.byteUpTo(255)), weir.Reason(d.byteUpTo(255)), d.byteUpTo(1) == 1
	o.Principal = d.pseudonym()
	o.route = d.uvarint()
	o.Status, o.Bytes, o.Irregular, o.Withheld = d.count(), int64(d.count()), uint32(d.uvarint()), d.count()
	o.Unattached = weir.Unattributed{People: d.count(), Classes: weir.ClassSet(d.uvarint())}
	n := d.uvarint()
	if n > uint64(len(d.rest))/17 || o.route >= uint64(len(routes)) { // a record takes 17 bytes or more
		d.bad = true
		return
	}
	o.Route, o.Unit = routes[o.route].Pattern, routes[o.route].Unit
	o.Released = slices.Grow(o.Released[:0], int(n))[:n]
	for i := range o.Released {
		o.Released[i] = weir.Record{DataSubject: d.pseudonym(), Classes: weir.ClassSet(d.uvarint())}
	}
}

func (d *decoder) byteUpTo(limit byte) byte {
	if d.bad || len(d.rest) == 0 || d.rest[0] > limit {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) pseudonym() (p weir.Pseudonym) {
	if d.bad || len(d.rest) < len(p) {
		d.bad = true
		return p
	}
	copy(p[:], d.rest)
	d.rest = d.rest[len(p):]
	return p
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if d.bad || size <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count is a uvarint that fits an int.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > 1<<62 {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) textOf(n int) string {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// text is all that is left.
func (d *decoder) text() string {
	s := string(d.rest)
	d.rest = nil
	return s
}
