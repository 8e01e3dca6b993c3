package auditor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
)

type id [16]byte

// everything stands for a state that goes back to the first entry.
const everything = -1 << 62

// state is what the entries so far give: who is blocked, who received whom when, and so on.
type state struct {
	last, since int64
	modes       map[string]bool
	principals  map[id]*principal
}

type principal struct {
	block   []byte // the body; nil if there is none
	blocked int64
	seen    map[id]int64
	charges []charge
	grants  [][]byte // bodies
}

type charge struct {
	at     int64
	people uint64
}

func newState() *state {
	return &state{since: everything, modes: map[string]bool{}, principals: map[id]*principal{}}
}

func (s *state) of(who id) *principal {
	p := s.principals[who]
	if p == nil {
		p = &principal{seen: map[id]int64{}}
		s.principals[who] = p
	}
	return p
}

func (s *state) clone() *state {
	c := &state{s.last, s.since, maps.Clone(s.modes), map[id]*principal{}}
	for who, p := range s.principals {
		c.principals[who] = &principal{p.block, p.blocked, maps.Clone(p.seen), slices.Clone(p.charges), slices.Clone(p.grants)}
	}
	return c
}

// differs says what of a snapshot is not as counted. The snapshot must be complete from its since on; what it has from before
// must be right too.
func (s *state) differs(counted *state) string {
	if !maps.Equal(s.modes, counted.modes) {
		return "the modes of routes"
	}
	for who, want := range counted.principals {
		got := s.principals[who]
		if got == nil {
			got = &principal{}
		}
		if !bytes.Equal(got.block, want.block) || got.blocked != want.blocked {
			return fmt.Sprintf("the block of %x", who)
		}
		for person, at := range want.seen {
			if have, ok := got.seen[person]; at > s.since && at > counted.since && (!ok || have != at) {
				return fmt.Sprintf("a person that %x received", who)
			}
		}
		late := func(c charge) bool { return c.at <= s.since || c.at <= counted.since }
		if !slices.Equal(slices.DeleteFunc(slices.Clone(got.charges), late), slices.DeleteFunc(slices.Clone(want.charges), late)) {
			return fmt.Sprintf("what %x was charged for people without a name", who)
		}
		over := func(g []byte) bool { return grantUntil(g) <= s.last }
		if !slices.EqualFunc(slices.DeleteFunc(slices.Clone(got.grants), over), slices.DeleteFunc(slices.Clone(want.grants), over), bytes.Equal) {
			return fmt.Sprintf("the grants of %x", who)
		}
	}
	for who, got := range s.principals {
		want := counted.principals[who]
		if want == nil {
			return fmt.Sprintf("%x, whom no entry names", who)
		}
		for person, at := range got.seen {
			if have, ok := want.seen[person]; ok && have != at || !ok && at > counted.since {
				return fmt.Sprintf("a person that %x did not receive then", who)
			}
		}
	}
	return ""
}

// grantUntil is when the grant with that body ends.
func grantUntil(body []byte) int64 {
	_, rest, ok := shortest(body[17:])
	if !ok || len(rest) < 8 {
		return everything
	}
	return int64(binary.LittleEndian.Uint64(rest))
}

// names are the numbers that a volume has given.
type names struct {
	routes     int
	principals []id
}

// entry reads a body and counts it.
func (a *audit) entry(time int64, body []byte) error {
	if len(body) == 0 {
		return errors.New("it is empty")
	}
	c := &cursor{b: body[1:]}
	s := a.live
	s.last = time
	switch body[0] {
	case 1:
		a.outcome(c, time)
	case 2:
		c.take(int(c.byte(255)))
		c.b = nil
		a.names.routes++
	case 3:
		c.byte(2)
		who := c.id()
		c.number()
		c.number()
		c.number()
		if p := s.of(who); !c.bad && p.block == nil {
			p.block, p.blocked = slices.Clone(body), time
		}
	case 4:
		p := s.of(c.id())
		p.block, p.blocked = nil, 0
	case 5:
		observe := c.byte(1) == 1
		s.modes[string(c.b)] = observe
		c.b = nil
	case 6:
		a.names.principals = append(a.names.principals, c.id())
	case 7:
		who := c.id()
		c.number()
		c.take(8 + 8 + 64)
		if !c.bad {
			p := s.of(who)
			p.grants = append(p.grants, slices.Clone(body))
		}
	case 8:
		c.byte(2)
		c.b = nil
	case 9:
		volume := c.number()
		c.number()
		a.gone = max(a.gone, uint32(min(volume, 1<<32-1)))
	default:
		return fmt.Errorf("type %d is unknown", body[0])
	}
	if c.bad || len(c.b) > 0 {
		return errors.New("it cannot be read")
	}
	return nil
}

func (a *audit) outcome(c *cursor, time int64) {
	c.byte(255)
	c.byte(255)
	c.byte(1)
	who, route := c.number(), c.number()
	for range 4 { // status, bytes, irregularities, withheld
		c.number()
	}
	people := c.number()
	c.number()
	n := c.number()
	if c.bad || who >= uint64(len(a.names.principals)) || route >= uint64(a.names.routes) || n > uint64(len(c.b)/17) {
		c.bad = true
		return
	}
	p := a.live.of(a.names.principals[who])
	for range n {
		person := c.id()
		c.number()
		p.seen[person] = time
		a.Records++
	}
	if people > 0 {
		p.charges = append(p.charges, charge{time, people})
	}
}

// cursor reads fields off the front of b; the first that does not fit sets bad.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return make([]byte, max(min(n, 1<<16), 0))
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) byte(most byte) byte {
	b := c.take(1)[0]
	c.bad = c.bad || b > most
	return b
}

func (c *cursor) id() id { return id(c.take(16)) }

func (c *cursor) number() uint64 {
	n, rest, ok := shortest(c.b)
	if c.bad || !ok {
		c.bad = true
		return 0
	}
	c.b = rest
	return n
}

// count is a number of things that take at least so many bytes each.
func (c *cursor) count(least int) int {
	n := c.number()
	if n > uint64(len(c.b)/least) {
		c.bad = true
		return 0
	}
	return int(n)
}

func (c *cursor) time() int64 { return int64(binary.LittleEndian.Uint64(c.take(8))) }

// snapshot reads the live state in an opening; the subtrees in it go to the opening.
func (c *cursor) snapshot(o *opening) *state {
	s := newState()
	c.bad = c.byte(1) != 1 || c.bad
	s.last, s.since = c.time(), c.time()
	o.tree.size = o.first
	for range bits.OnesCount64(o.first) {
		o.tree.peaks = append(o.tree.peaks, [32]byte(c.take(32)))
	}
	route := ""
	for i := range c.count(3) {
		body := c.take(c.count(1))
		if c.bad || len(body) < 2 || body[0] != 5 || body[1] > 1 || i > 0 && string(body[2:]) <= route {
			c.bad = true
			return s
		}
		route = string(body[2:])
		s.modes[route] = body[1] == 1
	}
	var before id
	for i := range c.count(20) {
		who := c.id()
		if c.bad || i > 0 && bytes.Compare(before[:], who[:]) >= 0 {
			c.bad = true
			return s
		}
		before = who
		s.principals[who] = c.principal(s.last)
	}
	return s
}

func (c *cursor) principal(last int64) *principal {
	p := &principal{seen: map[id]int64{}}
	age := func() int64 { return last - int64(min(c.number(), 1<<62)) }
	if n := c.count(1); n > 0 {
		p.block = c.take(n)
		p.blocked = age()
	}
	order := int64(everything)
	for range c.count(17) {
		person, at := c.id(), age()
		c.bad = c.bad || at < order
		order = at
		p.seen[person] = at
	}
	for range c.count(2) {
		p.charges = append(p.charges, charge{age(), c.number()})
	}
	for range c.count(2) {
		body := c.take(c.count(1))
		if c.bad || len(body) < 20 || body[0] != 7 {
			c.bad = true
			return p
		}
		p.grants = append(p.grants, body)
	}
	return p
}
