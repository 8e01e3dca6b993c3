package exposure

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"math/bits"
	"slices"

	"weir"
)

// The people whom a segment met first have the dense ids from its base on, in the order in which they were met. Two lists of
// pages hold their names, each page of pageSize bytes with a CRC-32C at its end:
//
//	column  namesPerPage pseudonyms in the order of ids
//	names   a name's 32-bit hash times the number of pages, less its lower 32 bits, is its page: u16 entries, u32 hash of
//	        each in their order, u32 id less the base for each
//
// So a name is found with one page of each, and many names, sorted by hash, with one pass over both: names stand in the
// pages in the order of their hashes, and about where an even spread would put them. It takes some 26.3 bytes for a person.
const (
	pageSize     = 4096
	namesPerPage = (pageSize - 4) / 16
	mostEntries  = (pageSize - 4 - 2) / 8
	aimEntries   = 400 // five standard deviations below the most
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// hashOf spreads pseudonyms over all 64-bit numbers, even where they are not those of a keyring.
func hashOf(p *weir.Pseudonym) uint64 {
	a, b := binary.LittleEndian.Uint64(p[:8]), binary.LittleEndian.Uint64(p[8:])
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	h := hi ^ lo ^ a*0x94d049bb133111eb ^ bits.RotateLeft64(b, 23)*0xbf58476d1ce4e5b9
	h ^= h >> 29
	h *= 0xff51afd7ed558ccd
	return h ^ h>>32
}

// shortHash is the hash that pages of names go by.
func shortHash(p *weir.Pseudonym) uint32 { return uint32(hashOf(p) >> 32) }

// pageOf returns the page of names that a hash is in.
func pageOf(hash uint32, pages int) int { return int(uint64(hash) * uint64(pages) >> 32) }

// sealPage puts the CRC at the page's end.
func sealPage(page []byte) {
	binary.LittleEndian.PutUint32(page[pageSize-4:], crc32.Checksum(page[:pageSize-4], castagnoli))
}

// pages reads a list of pages, and several at once where it is told that the next will be asked for too.
type pages struct {
	src    io.ReaderAt
	off    int64
	n      int
	ahead  int // pages read at once
	buf    []byte
	first  int // page at the start of buf
	loaded int // pages in buf
	now    int // the page that get returned last, checked; -1 for none
}

func newPages(src io.ReaderAt, off int64, n, ahead int) *pages {
	return &pages{src: src, off: off, n: n, ahead: ahead, now: -1}
}

// get returns the page without its CRC; it is valid until the next call.
func (p *pages) get(page int) ([]byte, error) {
	if page < 0 || page >= p.n {
		return nil, doubt("page %d of %d is asked for", page, p.n)
	}
	if page < p.first || page >= p.first+p.loaded {
		p.first, p.loaded, p.now = page, min(p.ahead, p.n-page), -1
		if need := p.loaded * pageSize; cap(p.buf) < need {
			p.buf = make([]byte, need)
		}
		if _, err := p.src.ReadAt(p.buf[:p.loaded*pageSize], p.off+int64(page)*pageSize); err != nil {
			p.loaded = 0
			return nil, doubt("%v", err)
		}
	}
	b := p.buf[(page-p.first)*pageSize:][:pageSize]
	if p.now != page {
		if crc32.Checksum(b[:pageSize-4], castagnoli) != binary.LittleEndian.Uint32(b[pageSize-4:]) {
			return nil, doubt("a page of names has another checksum")
		}
		p.now = page
	}
	return b[:pageSize-4], nil
}

// book is the names of the people whom one segment met first.
type book struct {
	src    io.ReaderAt
	base   uint32 // the first one's id
	n      int
	column int64 // where the column begins
	names  int64 // where the pages of names begin
	pages  int   // how many those are
}

func columnPages(n int) int { return (n + namesPerPage - 1) / namesPerPage }

// reader returns the column's pages; ahead as for pages.
func (b *book) reader(ahead int) *pages {
	return newPages(b.src, b.column, columnPages(b.n), ahead)
}

// page returns the names on an id's page, and whose the first one is, from a reader of the column. They are valid until the
// next call.
func (b *book) page(column *pages, id uint32) (names []byte, first uint32, err error) {
	page := int(id-b.base) / namesPerPage
	if names, err = column.get(page); err != nil {
		return nil, 0, err
	}
	at := page * namesPerPage
	return names[:min(namesPerPage, b.n-at)*16], b.base + uint32(at), nil
}

// name returns the pseudonym of an id, from a reader of the column.
func (b *book) name(column *pages, id uint32) (p weir.Pseudonym, err error) {
	names, first, err := b.page(column, id)
	if err != nil {
		return p, err
	}
	return weir.Pseudonym(names[int(id-first)*len(p):]), nil
}

// namePage is a page of names.
type namePage struct{ hashes, ids []byte }

func (p *namePage) len() int          { return len(p.hashes) / 4 }
func (p *namePage) hash(i int) uint32 { return binary.LittleEndian.Uint32(p.hashes[4*i:]) }
func (p *namePage) id(i int) uint32   { return binary.LittleEndian.Uint32(p.ids[4*i:]) }

// namePage returns a page out of a reader of the book's names.
func (b *book) namePage(names *pages, number int) (p namePage, err error) {
	raw, err := names.get(number)
	if err != nil {
		return p, err
	}
	n := int(binary.LittleEndian.Uint16(raw))
	if n > mostEntries {
		return p, doubt("a page of names has %d entries", n)
	}
	return namePage{raw[2 : 2+4*n], raw[2+4*n : 2+8*n]}, nil
}

// seek returns the first entry whose hash is no lower. Hashes are spread evenly, so it is near where it is looked for.
func (p *namePage) seek(hash uint32, pages int) int {
	n := p.len()
	within := uint64(hash) * uint64(pages) & math.MaxUint32
	i := int(within * uint64(n) >> 32)
	for i > 0 && p.hash(i-1) >= hash {
		i--
	}
	for i < n && p.hash(i) < hash {
		i++
	}
	return i
}

// nobody is no person's id.
const nobody = math.MaxUint32

// names are sought in one book after another.
type names struct {
	all   []weir.Pseudonym // by hash
	place []uint32         // where each stood in the list that newNames was given
	ids   []uint32         // what was found; nobody for the rest
	order []uint64         // of the rest: hash and place in all, by hash
}

func newNames(list []weir.Pseudonym) *names {
	n := &names{all: make([]weir.Pseudonym, len(list)), place: make([]uint32, len(list)), ids: make([]uint32, len(list)), order: make([]uint64, len(list))}
	for i := range list {
		n.order[i] = uint64(shortHash(&list[i]))<<32 | uint64(i)
	}
	n.order = sortPairs(n.order, make([]uint64, len(list)))
	for i, o := range n.order {
		at := uint32(o)
		n.all[i], n.place[i], n.ids[i] = list[at], at, nobody
		n.order[i] = o - uint64(at) + uint64(i)
	}
	return n
}

// found returns the id of each name of newNames's list, or nobody.
func (n *names) found() []uint32 {
	ids := make([]uint32, len(n.ids))
	for i, id := range n.ids {
		ids[n.place[i]] = id
	}
	return ids
}

// find notes the id of each name that is in the book.
func (b *book) find(n *names) error {
	if b.n == 0 || len(n.order) == 0 {
		return nil
	}
	candidates, err := b.candidates(n.order)
	if err != nil || len(candidates) == 0 {
		return err
	}
	candidates = sortPairs(candidates, make([]uint64, len(candidates)))
	column := b.reader(aheadFor(len(candidates), columnPages(b.n)))
	for len(candidates) > 0 {
		page, first, err := b.page(column, uint32(candidates[0]>>32))
		if err != nil {
			return err
		}
		on := 0 // candidates on this page
		for ; on < len(candidates) && candidates[on]>>32 < uint64(first)+uint64(len(page)/16); on++ {
		}
		n.compare(candidates[:on], page, first)
		candidates = candidates[on:]
	}
	n.order = slices.DeleteFunc(n.order, func(o uint64) bool { return n.ids[uint32(o)] != nobody })
	return nil
}

// compare notes the ids of the candidates that are whom the page names, of which the first one has that id. The names that are
// sought lie anywhere in memory: they are fetched some at a time, and the waits for them overlap.
func (n *names) compare(candidates []uint64, page []byte, first uint32) {
	var fetched [16]weir.Pseudonym
	for some := range slices.Chunk(candidates, len(fetched)) {
		for i, c := range some {
			fetched[i] = n.all[uint32(c)]
		}
		for i, c := range some {
			if id := uint32(c >> 32); fetched[i] == weir.Pseudonym(page[int(id-first)*16:]) {
				n.ids[uint32(c)] = id
			}
		}
	}
}

// candidates returns a pair of id and place in all for each name that a person of the book may have.
func (b *book) candidates(order []uint64) (pairs []uint64, err error) {
	names := newPages(b.src, b.names, b.pages, aheadFor(len(order), b.pages))
	var page namePage
	now := -1
	for _, o := range order {
		hash := uint32(o >> 32)
		if at := pageOf(hash, b.pages); at != now {
			if page, err = b.namePage(names, at); err != nil {
				return nil, err
			}
			now = at
		}
		for i := page.seek(hash, b.pages); i < page.len() && page.hash(i) == hash; i++ {
			id := page.id(i)
			if int64(id) >= int64(b.n) {
				return nil, doubt("a name has an id that nobody has")
			}
			pairs = append(pairs, uint64(b.base+id)<<32|o&math.MaxUint32)
		}
	}
	return pairs, nil
}

// pagesAhead is how many pages are read at once where all are wanted: as much as stays in a small cache until it is used.
const pagesAhead = 16

// aheadFor is how many pages are read at once where that many of all are about to be.
func aheadFor(wanted, all int) int {
	if wanted*4 > all {
		return pagesAhead
	}
	return 1
}

// nameReader finds names by id, best in their order.
type nameReader struct {
	x      *Index
	ahead  int
	book   *book // whose column is open
	column *pages
	page   []byte // the names from the id first on
	first  uint32
}

// name puts the id's name into p.
func (r *nameReader) name(id uint32, p *weir.Pseudonym) (err error) {
	if t := r.x.tail; id >= t.base {
		*p = t.names[t.fresh[id-t.base]]
		return nil
	}
	if at := int(id - r.first); at >= len(r.page)/len(p) {
		if err := r.turn(id); err != nil {
			return err
		}
	}
	*p = weir.Pseudonym(r.page[int(id-r.first)*len(p):])
	return nil
}

// turn goes to the page that has the id's name.
func (r *nameReader) turn(id uint32) (err error) {
	if r.book == nil || id-r.book.base >= uint32(r.book.n) {
		n, _ := slices.BinarySearchFunc(r.x.segs, id, func(s *segment, id uint32) int {
			if s.people() <= id {
				return -1
			}
			return 1
		})
		if n == len(r.x.segs) || id < r.x.segs[n].book.base {
			return doubt("nobody has the id %d", id)
		}
		r.book = &r.x.segs[n].book
		r.column = r.book.reader(r.ahead)
	}
	r.page, r.first, err = r.book.page(r.column, id)
	return err
}
