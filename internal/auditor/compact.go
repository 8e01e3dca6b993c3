package auditor

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"
)

const compactLen = 104

var errCompact = errors.New("the compact volume cannot be put together")

// unpack returns the live bytes of a volume that has the compact form, and any other one as it is.
func unpack(b []byte) ([]byte, error) {
	if len(b) < compactLen || string(b[:8]) != "weircmp2" {
		return b, nil
	}
	field := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	short := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(b[at:])) }
	live, rest, opening, frames, people := field(8), field(16), short(24), short(28), short(32)
	sizes := []uint64{opening, field(40), field(48), field(56), field(64)}
	end := uint64(compactLen)
	var parts [][]byte
	for _, n := range sizes {
		if n > uint64(len(b)) || end+n > uint64(len(b)) {
			return nil, errCompact
		}
		parts = append(parts, b[end:end+n])
		end += n
	}
	if end+4 != uint64(len(b)) || checksum(b[:end]) != uint32(short(int(end))) || people > uint64(len(b)) {
		return nil, errCompact
	}
	u := &unpacker{ids: bitstream{b: parts[2]}, out: slices.Clone(parts[0])}
	o, err := readOpening(parts[0])
	if err != nil {
		return nil, err
	}
	u.number, u.chain = o.first, o.id
	u.readPeople(&bitstream{b: parts[1]}, int(people))
	meta, err := inflate(parts[3], 2*live+64)
	if err != nil {
		return nil, err
	}
	u.meta = cursor{b: meta}
	for range frames {
		u.frame()
		if u.meta.bad || u.ids.bad || uint64(len(u.out)) > live {
			return nil, errCompact
		}
	}
	tail, err := inflate(parts[4], rest)
	if err != nil || uint64(len(tail)) != rest || uint64(len(u.out)) != live || len(u.meta.b) > 0 || !bytes.Equal(u.chain[:], b[72:104]) {
		return nil, errCompact
	}
	return append(u.out, tail...), nil
}

func inflate(b []byte, most uint64) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), int64(min(most, 1<<40))+1))
	if err != nil {
		return nil, errCompact
	}
	return out, nil
}

// bitstream reads numbers whose lowest bit comes first.
type bitstream struct {
	b   []byte
	at  int
	bad bool
}

func (s *bitstream) bits(n int) (v uint64) {
	if s.at+n > 8*len(s.b) {
		s.bad = true
		return 0
	}
	for i := 0; i < n; {
		take := min(8-s.at%8, n-i)
		v |= uint64(s.b[s.at/8]>>(s.at%8)&(1<<take-1)) << i
		i += take
		s.at += take
	}
	return v
}

type unpacker struct {
	people []id
	ids    bitstream
	meta   cursor
	number uint64
	time   int64
	chain  [32]byte
	out    []byte
}

// readPeople reads the sorted list: of each one's first half the distance to the one before in a Rice code, then its second.
func (u *unpacker) readPeople(s *bitstream, n int) {
	low := 64 - bits.Len64(uint64(n))
	first := uint64(0)
	for range n {
		step := uint64(0)
		for s.bits(1) == 0 && !s.bad {
			step++
		}
		first += step<<low | s.bits(low)
		var p id
		binary.BigEndian.PutUint64(p[:], first)
		binary.BigEndian.PutUint64(p[8:], s.bits(64))
		u.people = append(u.people, p)
		if s.bad {
			u.ids.bad = true
			return
		}
	}
}

func (u *unpacker) frame() {
	count := u.meta.number()
	step, size := binary.Varint(u.meta.b)
	if size <= 0 || count > payloadMost {
		u.meta.bad = true
		return
	}
	u.meta.take(size)
	u.time += step
	var payload []byte
	link := u.chain[:]
	head := []byte("WFrm\x00\x00\x00\x00")
	head = binary.LittleEndian.AppendUint64(head, u.number)
	head = binary.LittleEndian.AppendUint32(head, uint32(count))
	head = binary.LittleEndian.AppendUint64(head, uint64(u.time))
	var leaves []byte
	for range count {
		delta, length := u.meta.number(), u.meta.number()
		body := slices.Clone(u.meta.take(int(min(length/2, payloadMost))))
		if length%2 == 1 {
			body = u.records(body)
		}
		if u.meta.bad || u.ids.bad {
			return
		}
		leaf := leafHash(u.number, u.time+int64(delta), body)
		leaves = append(leaves, leaf[:]...)
		u.number++
		payload = binary.AppendUvarint(payload, uint64(len(body)))
		payload = binary.AppendUvarint(payload, delta)
		payload = append(payload, body...)
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(len(payload)))
	u.chain = sha256.Sum256(slices.Concat(link, head, leaves))
	frame := slices.Concat(head, payload, u.chain[:])
	u.out = binary.LittleEndian.AppendUint32(append(u.out, frame...), checksum(frame))
}

// records appends an outcome's records, of which the last number of its head says how many there are.
func (u *unpacker) records(body []byte) []byte {
	head := cursor{b: body}
	head.take(4)
	n := uint64(0)
	for range 9 {
		n = head.number()
	}
	if head.bad || len(head.b) > 0 {
		u.meta.bad = true
		return nil
	}
	width := 0
	if len(u.people) > 1 {
		width = bits.Len(uint(len(u.people) - 1))
	}
	for range n {
		who, classes := u.ids.bits(width), u.meta.number()
		if u.ids.bad || u.meta.bad || who >= uint64(len(u.people)) {
			u.meta.bad = true
			return nil
		}
		body = append(body, u.people[who][:]...)
		body = binary.AppendUvarint(body, classes)
	}
	return body
}
