package exposure

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"weir"
)

// A segment is a file of the index that covers a range of the ledger's entries. It is written once and never changed:
//
//	magic "weirexp4" | chunks, sets and buckets of each principal, principals in the order of their pseudonyms | pages of the
//	column | pages of names | blocks of the second order | meta | u64 where meta begins | u32 its size | u32 its CRC-32C | magic
//
// Each piece has its CRC-32C where its place is written, pages have it in themselves; every one is checked when it is read.
type segment struct {
	file *os.File
	name string

	from, to uint64 // the ledger's entries that it covers, to is exclusive
	book     book   // the people whom it met first
	tables   *tables
	cells    []cell
	who      []party
	chunks   []chunkInfo
	refs     []refBlock
	all      blob // the bucket over everything, if size is not 0
	events   int  // disclosures
	outcomes int
	first    int64 // of the outcomes' times
	last     int64
	blocks   []blockEntry
}

const (
	segmentMagic  = "weirexp4"
	segmentFooter = 8 + 4 + 4 + len(segmentMagic)
)

// cell is what is counted apart in buckets: disclosures of one shape and class set, or loose data of them.
type cell struct {
	shape, set int
	loose      bool
}

// party is one principal's part of a segment.
type party struct {
	name     weir.Pseudonym
	from, to int   // its chunks
	cells    []int // that it has something in
	buckets  blob
}

// chunkInfo is what is known of a chunk without reading it.
type chunkInfo struct {
	blob        blob
	first, last int64  // times of its outcomes
	least, most uint32 // ids of its people; meaningless without disclosures
	outcomes    uint32
	events      uint32
}

// blockEntry is an entry about a principal's block; it is rare, and kept whole.
type blockEntry struct {
	millis    int64
	principal weir.Pseudonym
	unblock   bool
	byHand    bool
	people    int
	quota     int
	window    int64 // milliseconds
}

// people is one more than the highest id that the segment can name.
func (s *segment) people() uint32 { return s.book.base + uint32(s.book.n) }

func (s *segment) limits() limits {
	return limits{s.people(), len(s.tables.shapes), len(s.tables.sets)}
}

// read reads a piece into buf, which it grows where it must, and checks it.
func (s *segment) read(b blob, buf []byte) ([]byte, error) {
	if cap(buf) < int(b.size) {
		buf = make([]byte, b.size)
	}
	buf = buf[:b.size]
	if _, err := s.file.ReadAt(buf, b.off); err != nil {
		return nil, doubt("%s: %v", s.name, err)
	}
	if crc32.Checksum(buf, castagnoli) != b.crc {
		return nil, doubt("%s: the piece at byte %d has another checksum", s.name, b.off)
	}
	return buf, nil
}

// chunkReader reads a segment's chunks, one at a time.
type chunkReader struct {
	raw   []byte
	chunk chunk
}

// readers are those that nobody uses, for their memory: a question about one person would spend more time on a new one's.
var readers = sync.Pool{New: func() any { return new(chunkReader) }}

func (r *chunkReader) read(s *segment, n int) (*chunk, error) {
	c, err := r.open(s, n)
	if err != nil {
		return nil, err
	}
	return c, errors.Join(c.loadTimes(), c.loadBytes())
}

// open reads the chunk without its times and bytes, which can be loaded until the next one is read.
func (r *chunkReader) open(s *segment, n int) (*chunk, error) {
	raw, err := s.read(s.chunks[n].blob, r.raw)
	if err != nil {
		return nil, err
	}
	r.raw = raw
	if err := r.chunk.open(raw, s.limits()); err != nil {
		return nil, err
	}
	r.chunk.last = s.chunks[n].last
	if int64(r.chunk.first) != s.chunks[n].first {
		return nil, doubt("%s: chunk %d begins at another time", s.name, n)
	}
	return &r.chunk, nil
}

// openSegment opens the file of that path.
func openSegment(path, name string) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f, name: name}
	if err := s.load(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *segment) load() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	foot := make([]byte, segmentFooter)
	if _, err := s.file.ReadAt(foot, info.Size()-int64(len(foot))); err != nil && err != io.EOF || info.Size() < int64(len(foot)) {
		return doubt("%s is cut off", s.name)
	}
	le := binary.LittleEndian
	meta := blob{int64(le.Uint64(foot)), le.Uint32(foot[8:]), le.Uint32(foot[12:])}
	if string(foot[16:]) != segmentMagic || meta.off < 0 || meta.off+int64(meta.size)+int64(len(foot)) != info.Size() {
		return doubt("%s is cut off", s.name)
	}
	raw, err := s.read(meta, nil)
	if err != nil {
		return err
	}
	return s.decodeMeta(raw, meta.off)
}

// The meta piece is made of uvarints but where it says otherwise; places of pieces are counted on from one to the next.
type metaWriter struct {
	b    []byte
	last int64 // end of the piece before
}

func (m *metaWriter) num(vals ...uint64) {
	for _, v := range vals {
		m.b = binary.AppendUvarint(m.b, v)
	}
}

func (m *metaWriter) int(vals ...int64) {
	for _, v := range vals {
		m.b = binary.AppendVarint(m.b, v)
	}
}

func (m *metaWriter) blob(b blob) {
	if b.size == 0 {
		m.num(0)
		return
	}
	m.num(uint64(b.size))
	m.int(b.off - m.last)
	m.b = binary.LittleEndian.AppendUint32(m.b, b.crc)
	m.last = b.off + int64(b.size)
}

type metaReader struct {
	decoder
	last int64
	end  int64 // where pieces must end
}

func (m *metaReader) int() int64 {
	n, size := binary.Varint(m.rest)
	if m.bad || size <= 0 {
		m.bad = true
		return 0
	}
	m.rest = m.rest[size:]
	return n
}

func (m *metaReader) blob() (b blob) {
	b.size = uint32(m.count(1<<32 - 1))
	if b.size == 0 {
		return blob{}
	}
	b.off = m.last + m.int()
	if raw := m.bytes(4); raw != nil {
		b.crc = binary.LittleEndian.Uint32(raw)
	}
	m.last = b.off + int64(b.size)
	if b.off < 0 || m.last > m.end {
		m.bad = true
	}
	return b
}

// pseudonym reads 16 bytes.
func (m *metaReader) pseudonym() (p weir.Pseudonym) {
	copy(p[:], m.bytes(len(p)))
	return p
}

func (s *segment) encodeMeta() []byte {
	m := &metaWriter{}
	m.num(s.from, s.to, uint64(s.book.base), uint64(s.book.n), uint64(s.book.column), uint64(s.book.names), uint64(s.book.pages))
	m.num(uint64(s.events), uint64(s.outcomes))
	m.int(s.first, s.last)
	m.b = s.tables.append(m.b)
	m.num(uint64(len(s.cells)))
	for _, c := range s.cells {
		loose := uint64(0)
		if c.loose {
			loose = 1
		}
		m.num(uint64(c.shape), uint64(c.set), loose)
	}
	m.num(uint64(len(s.chunks)))
	before := s.first
	for _, c := range s.chunks {
		m.blob(c.blob)
		m.int(c.first - before)
		m.num(uint64(c.last-c.first), uint64(c.least), uint64(c.most), uint64(c.outcomes), uint64(c.events))
		before = c.last
	}
	m.num(uint64(len(s.who)))
	for _, p := range s.who {
		m.b = append(m.b, p.name[:]...)
		m.num(uint64(p.to-p.from), uint64(len(p.cells)))
		for _, c := range p.cells {
			m.num(uint64(c))
		}
		m.blob(p.buckets)
	}
	m.num(uint64(len(s.refs)))
	id := uint32(0)
	for _, r := range s.refs {
		m.num(uint64(r.first - id))
		m.blob(r.blob)
		id = r.first
	}
	m.blob(s.all)
	m.num(uint64(len(s.blocks)))
	for _, b := range s.blocks {
		m.int(b.millis)
		m.b = append(m.b, b.principal[:]...)
		flags := uint64(0)
		if b.unblock {
			flags |= 1
		}
		if b.byHand {
			flags |= 2
		}
		m.num(flags, uint64(b.people), uint64(b.quota), uint64(b.window))
	}
	return m.b
}

func (s *segment) decodeMeta(raw []byte, end int64) error {
	m := &metaReader{decoder: decoder{rest: raw}, end: end}
	s.from, s.to = m.uvarint(), m.uvarint()
	s.book = book{src: s.file, base: uint32(m.count(1<<32 - 1)), n: m.count(1<<32 - 1)}
	s.book.column, s.book.names, s.book.pages = int64(m.count(1<<62)), int64(m.count(1<<62)), m.count(1<<32)
	s.events, s.outcomes = m.count(1<<62), m.count(1<<62)
	s.first, s.last = m.int(), m.int()
	s.tables = decodeTables(&m.decoder)
	for range m.count(len(m.rest)) {
		c := cell{m.count(len(s.tables.shapes)), m.count(len(s.tables.sets)), m.uvarint() == 1}
		if c.shape >= len(s.tables.shapes) || c.set >= len(s.tables.sets) {
			m.bad = true
		}
		s.cells = append(s.cells, c)
	}
	before := s.first
	s.chunks = make([]chunkInfo, 0, m.count(len(m.rest)))
	for range cap(s.chunks) {
		c := chunkInfo{blob: m.blob(), first: before + m.int()}
		c.last = c.first + int64(m.uvarint())
		c.least, c.most, c.outcomes, c.events = uint32(m.uvarint()), uint32(m.uvarint()), uint32(m.uvarint()), uint32(m.uvarint())
		before = c.last
		m.bad = m.bad || c.first < s.first || c.last < c.first || c.last > s.last
		s.chunks = append(s.chunks, c)
	}
	m.bad = m.bad || s.first < 0 || s.last > latest
	at := 0
	s.who = make([]party, 0, m.count(len(m.rest)/16))
	for range cap(s.who) {
		p := party{name: m.pseudonym(), from: at}
		at += m.count(len(s.chunks))
		p.to = at
		for range m.count(len(s.cells)) {
			c := m.count(len(s.cells))
			m.bad = m.bad || c >= len(s.cells)
			p.cells = append(p.cells, c)
		}
		p.buckets = m.blob()
		s.who = append(s.who, p)
	}
	s.refs = make([]refBlock, 0, m.count(len(m.rest)))
	id := uint64(0)
	for range cap(s.refs) {
		id += m.uvarint()
		s.refs = append(s.refs, refBlock{uint32(id), m.blob()})
	}
	s.all = m.blob()
	for range m.count(len(m.rest)) {
		b := blockEntry{millis: m.int(), principal: m.pseudonym()}
		flags := m.uvarint()
		b.unblock, b.byHand = flags&1 != 0, flags&2 != 0
		b.people, b.quota, b.window = m.count(1<<62), m.count(1<<62), int64(m.count(1<<62))
		s.blocks = append(s.blocks, b)
	}
	pagesEnd := max(s.book.column+int64(columnPages(s.book.n))*pageSize, s.book.names+int64(s.book.pages)*pageSize)
	if m.bad || len(m.rest) != 0 || at != len(s.chunks) || s.from > s.to || pagesEnd > end || s.book.n > 0 && s.book.pages == 0 {
		return doubt("%s: its meta piece cannot be read", s.name)
	}
	return nil
}
