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

// A Body is what an entry says: one of *Outcome, *Block, *Unblock, *Grant, *Mode, *Decision, *Retired, *RouteName and
// *PrincipalName.
type Body interface {
	append(dst []byte) []byte
}

// Outcome is what became of one response.
type Outcome struct {
	weir.Outcome
	route uint64 // number of the route's name in its volume
	who   uint64 // number of the principal in its volume
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

// PrincipalName gives a principal the next number, counted from 0 in each volume; outcomes refer to it.
type PrincipalName struct{ Principal weir.Pseudonym }

// Grant lets a principal receive more people than its quota, for a time. Who holds the guard's key has signed it.
type Grant struct {
	Principal weir.Pseudonym
	People    int       // how many more, in every window
	Until     time.Time // ledger time, whole milliseconds
	Issued    time.Time // by the clock of who signed
	Signature [64]byte  // Ed25519, of Text
}

// Text is what is signed; keyID is that of the ledger.
func (g *Grant) Text(keyID [16]byte) []byte {
	return fmt.Appendf(nil, "weir grant v1\n%x\n%s\n%d\n%s\n%s\n", keyID, g.Principal, g.People,
		g.Until.UTC().Format(time.RFC3339Nano), g.Issued.UTC().Format(time.RFC3339Nano))
}

// A Ruling is what an operator decided about a ledger that the program would not decide by itself.
type Ruling uint8

// The rulings. The numbers are in ledgers and stay.
const (
	AcceptRollback Ruling = 1 // go on though a checkpoint kept elsewhere has entries that the ledger has not
	AcceptClock    Ruling = 2 // believe the wall clock though it is far from ledger time
	maxRuling             = AcceptClock
)

// Decision records a ruling.
type Decision struct {
	Ruling Ruling
	Note   string // what the ruling is about
}

// Retired says that the volumes up to and including that one may be gone from now on.
type Retired struct {
	Volume  uint32
	Entries uint64 // their number; the next volume's opening has their root
}

// Types of bodies on disk. A number, once used, keeps its meaning.
const (
	typeOutcome       = 1
	typeRouteName     = 2
	typeBlock         = 3
	typeUnblock       = 4
	typeMode          = 5
	typePrincipalName = 6
	typeGrant         = 7
	typeDecision      = 8
	typeRetired       = 9
)

// names are the numbers that a volume has given so far.
type names struct {
	routes     []RouteName
	principals []weir.Pseudonym
}

// learn takes a number's meaning from an entry.
func (n *names) learn(body Body) {
	switch b := body.(type) {
	case *RouteName:
		n.routes = append(n.routes, *b)
	case *PrincipalName:
		n.principals = append(n.principals, b.Principal)
	}
}

// isName reports whether an encoded body gives a number a meaning.
func isName(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == typeRouteName || raw[0] == typePrincipalName)
}

func (o *Outcome) append(b []byte) []byte {
	flags := byte(0)
	if o.Observed {
		flags = 1
	}
	b = append(b, typeOutcome, byte(o.Kind), byte(o.Reason), flags)
	for _, n := range [...]uint64{
		o.who, o.route, uint64(o.Status), uint64(o.Bytes), uint64(o.Irregular), uint64(o.Withheld),
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

func (p *PrincipalName) append(b []byte) []byte {
	return append(append(b, typePrincipalName), p.Principal[:]...)
}

func (g *Grant) append(b []byte) []byte {
	b = append(append(b, typeGrant), g.Principal[:]...)
	b = binary.AppendUvarint(b, uint64(g.People))
	b = binary.LittleEndian.AppendUint64(b, uint64(g.Until.UnixMilli()))
	b = binary.LittleEndian.AppendUint64(b, uint64(g.Issued.UnixMilli()))
	return append(b, g.Signature[:]...)
}

func (d *Decision) append(b []byte) []byte {
	return append(append(b, typeDecision, byte(d.Ruling)), d.Note...)
}

func (r *Retired) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, typeRetired), uint64(r.Volume))
	return binary.AppendUvarint(b, r.Entries)
}

var errBody = errors.New("entry cannot be read")

// decodeBody reads what append wrote; known are the names that the volume has given so far.
func decodeBody(b []byte, known *names) (Body, error) {
	if len(b) == 0 {
		return nil, errBody
	}
	d := decoder{rest: b[1:]}
	var body Body
	switch b[0] {
	case typeOutcome:
		o := &Outcome{}
		d.outcome(o, known)
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
	case typePrincipalName:
		body = &PrincipalName{d.pseudonym()}
	case typeGrant:
		body = &Grant{d.pseudonym(), d.count(), d.time(), d.time(), [64]byte(d.bytes(64))}
	case typeDecision:
		body = &Decision{Ruling(d.byteUpTo(byte(maxRuling))), d.text()}
	case typeRetired:
		body = &Retired{uint32(min(d.uvarint(), 1<<32-1)), d.uvarint()}
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
func (d *decoder) outcome(o *Outcome, known *names) {
	o.Kind, o.Reason, o.Observed = weir.OutcomeKind(d.byteUpTo(255)), weir.Reason(d.byteUpTo(255)), d.byteUpTo(1) == 1
	var v [9]uint64
	d.uvarints(v[:])
	o.who, o.route, o.Status, o.Bytes, o.Irregular, o.Withheld = v[0], v[1], int(v[2]), int64(v[3]), uint32(v[4]), int(v[5])
	o.Unattached = weir.Unattributed{People: int(v[6]), Classes: weir.ClassSet(v[7])}
	n := v[8]
	// A record takes 17 bytes or more.
	if d.bad || max(v[2], v[3], v[5], v[6]) > maxCount || n > uint64(len(d.rest))/17 {
		d.bad = true
		return
	}
	if known == nil || o.route >= uint64(len(known.routes)) || o.who >= uint64(len(known.principals)) {
		d.bad = true
		return
	}
	o.Principal, o.Route, o.Unit = known.principals[o.who], known.routes[o.route].Pattern, known.routes[o.route].Unit
	o.Released = slices.Grow(o.Released[:0], int(n))[:n]
	rest := d.rest
	for i := range o.Released {
		if len(rest) < 17 {
			d.bad = true
			return
		}
		r := &o.Released[i]
		r.DataSubject = weir.Pseudonym(rest[:16])
		if c := rest[16]; c < 0x80 {
			r.Classes, rest = weir.ClassSet(c), rest[17:]
			continue
		}
		classes, after, ok := uvarint(rest[16:])
		if !ok {
			d.bad = true
			return
		}
		r.Classes, rest = weir.ClassSet(classes), after
	}
	d.rest = rest
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
	n, rest, ok := uvarint(d.rest)
	if d.bad || !ok {
		d.bad = true
		return 0
	}
	d.rest = rest
	return n
}

// uvarints reads as many as v has room for.
func (d *decoder) uvarints(v []uint64) {
	rest := d.rest
	for i := range v {
		if len(rest) > 0 && rest[0] < 0x80 {
			v[i], rest = uint64(rest[0]), rest[1:]
			continue
		}
		n, after, ok := uvarint(rest)
		if !ok {
			d.bad = true
			return
		}
		v[i], rest = n, after
	}
	d.rest = rest
}

func (d *decoder) time() time.Time { return time.UnixMilli(int64(d.uint64())).UTC() }

// maxCount is the largest number of anything that is counted.
const maxCount = 1 << 62

// count is a uvarint that fits an int.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > maxCount {
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
