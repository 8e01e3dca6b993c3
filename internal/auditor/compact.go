package auditor

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

const (
	compactLen  = 72
	liveMost    = 1 << 33
	growthMost  = 2048
	deflateMost = 1032 // bytes that a byte of DEFLATE can stand for
)

var errCompact = errors.New("the compact volume cannot be put together")

// unpack returns the live bytes of a volume that has the compact form, and any other one as it is.
func unpack(b []byte) ([]byte, error) {
	if len(b) < compactLen || string(b[:8]) != "weircmp3" {
		return b, nil
	}
	long := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	live, rest, opening, tail := long(8), long(16), uint64(binary.LittleEndian.Uint32(b[24:])), long(32)
	end := uint64(len(b) - 4)
	switch {
	case live > liveMost || rest > liveMost || live+rest > growthMost*end || binary.LittleEndian.Uint32(b[28:]) != 0:
		return nil, errCompact
	case opening > end || tail > end || compactLen+opening+tail > end || checksum(b[:end]) != binary.LittleEndian.Uint32(b[end:]):
		return nil, errCompact
	}
	body, last := b[compactLen:end-tail], b[end-tail:end]
	o, err := readOpening(body[:opening])
	if err != nil {
		return nil, errCompact
	}
	u := &unpacker{in: packed{cursor{b: body[opening:]}}, most: live, number: o.first, chain: o.id, out: slices.Clone(body[:opening])}
	for len(u.in.b) > 0 && !u.in.bad {
		u.chunk()
	}
	ending := packed{cursor{b: last}}
	behind := ending.inflated(rest)
	if u.in.bad || ending.bad || len(ending.b) > 0 || uint64(len(u.out)) != live || !bytes.Equal(u.chain[:], b[40:72]) {
		return nil, errCompact
	}
	return append(u.out, behind...), nil
}

// packed is what is still to be read of columns.
type packed struct{ cursor }

// inflated reads n bytes that were packed.
func (p *packed) inflated(n uint64) []byte {
	if n == 0 || p.bad {
		return nil
	}
	stream := bytes.NewReader(p.take(int(min(p.number(), liveMost))))
	if n > deflateMost*uint64(stream.Len()) {
		p.bad = true
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(stream), int64(n)+1))
	if err != nil || uint64(len(out)) != n || stream.Len() > 0 {
		p.bad = true
	}
	return out
}

// column is numbers by their planes: what stands in none is 0.
type column struct {
	n      uint64
	planes [][]byte
}

func (p *packed) column(n uint64) (c column) {
	c.n = n
	if n == 0 {
		return c
	}
	for range p.byte(8) {
		c.planes = append(c.planes, p.inflated(n))
	}
	if p.bad {
		return column{}
	}
	return c
}

func (c *column) at(i uint64) (v uint64) {
	for shift, plane := range c.planes {
		v += uint64(plane[i]) << (8 * shift)
	}
	return v
}

// total adds up what f makes of each number; more than most is bad.
func (p *packed) total(c *column, most uint64, f func(uint64) uint64) (sum uint64) {
	for i := range c.n {
		v := f(c.at(i))
		if v > most-sum {
			p.bad = true
			return 0
		}
		sum += v
	}
	return sum
}

type unpacker struct {
	in     packed
	most   uint64
	people []id
	met    uint64 // how many of them have had a record
	number uint64
	time   uint64
	chain  [32]byte
	out    []byte
}

// chunk is the columns of some frames, and where in them the next numbers are.
type chunk struct {
	after, kind           column
	fields                [12]column
	known, classes, place column
	bodies                []byte

	entry, outcome, record, again uint64
}

func (u *unpacker) chunk() {
	p := &u.in
	same := func(v uint64) uint64 { return v }
	frames := p.number()
	if p.bad = p.bad || frames == 0 || frames > u.most; p.bad {
		return
	}
	counts, steps := p.column(frames), p.column(frames)
	c := &chunk{}
	entries := p.total(&counts, u.most, same)
	c.after, c.kind = p.column(entries), p.column(entries)
	outcomes := p.total(&c.kind, u.most, func(v uint64) uint64 { return 1 - min(v, 1) })
	bodies := p.total(&c.kind, u.most, func(v uint64) uint64 { return max(v, 1) - 1 })
	for i := range c.fields {
		c.fields[i] = p.column(outcomes)
	}
	records := p.total(&c.fields[11], u.most, same)
	c.known, c.classes = p.column(records), p.column(records)
	again := p.total(&c.known, records, same)
	c.place = p.column(again)
	for range records - again {
		if p.bad {
			return
		}
		u.people = append(u.people, p.id())
	}
	c.bodies = p.inflated(bodies)
	for i := uint64(0); i < frames && !p.bad; i++ {
		u.time += steps.at(i)
		u.frame(c, counts.at(i))
	}
}

func (u *unpacker) frame(c *chunk, count uint64) {
	head := []byte("WFrm\x00\x00\x00\x00")
	head = binary.LittleEndian.AppendUint64(head, u.number)
	head = binary.LittleEndian.AppendUint32(head, uint32(count))
	head = binary.LittleEndian.AppendUint64(head, u.time)
	var payload, leaves []byte
	for range count {
		after := c.after.at(c.entry)
		body := u.body(c)
		payload = binary.AppendUvarint(payload, uint64(len(body)))
		payload = binary.AppendUvarint(payload, after)
		payload = append(payload, body...)
		if uint64(len(u.out)+len(payload)) > u.most || len(payload) > payloadMost || after > 1<<40 || u.in.bad {
			u.in.bad = true
			return
		}
		leaf := leafHash(u.number, int64(u.time+after), body)
		leaves = append(leaves, leaf[:]...)
		u.number++
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(len(payload)))
	u.chain = sha256.Sum256(slices.Concat(u.chain[:], head, leaves))
	frame := slices.Concat(head, payload, u.chain[:])
	u.out = binary.LittleEndian.AppendUint32(append(u.out, frame...), checksum(frame))
	u.in.bad = u.in.bad || uint64(len(u.out)) > u.most || count == 0
}

// body puts the next entry's body together.
func (u *unpacker) body(c *chunk) []byte {
	kind := c.kind.at(c.entry)
	c.entry++
	if kind > 0 {
		body := c.bodies[:kind-1]
		c.bodies = c.bodies[kind-1:]
		return body
	}
	body := []byte{1}
	for i := range 3 {
		v := c.fields[i].at(c.outcome)
		u.in.bad = u.in.bad || v > 255
		body = append(body, byte(v))
	}
	for i := 3; i < 12; i++ {
		body = binary.AppendUvarint(body, c.fields[i].at(c.outcome))
	}
	records := c.fields[11].at(c.outcome)
	c.outcome++
	for range records {
		who, classes, ok := u.person(c)
		if !ok {
			u.in.bad = true
			return nil
		}
		body = append(body, who[:]...)
		body = binary.AppendUvarint(body, classes)
	}
	return body
}

// person is whose the next record is, and its classes.
func (u *unpacker) person(c *chunk) (who id, classes uint64, ok bool) {
	known, classes := c.known.at(c.record), c.classes.at(c.record)
	c.record++
	at := u.met
	if known == 1 {
		at = c.place.at(c.again)
		c.again++
		ok = at < u.met
	} else {
		u.met++
		ok = known == 0 && at < uint64(len(u.people))
	}
	if !ok {
		return who, 0, false
	}
	return u.people[at], classes, true
}
