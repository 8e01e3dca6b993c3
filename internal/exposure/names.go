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
//	names   a name's 32-bit hash times the number of pages is its page (upper half) and its place in there (lower half):
//	        u16 entries, u16 upper half of the place for each, in their order, u32 id less the base for each
//
// So a name is found with one page of each, and many names, sorted by hash, with one pass over both: names stand in the
// pages in the order of their hashes, and about where an even spread would put them. It takes 23.5 bytes for a person.
const (
	pageSize     = 4096
	namesPerPage = (pageSize - 4) / 16
	mostEntries  = (pageSize - 4 - 2) / 6
	aimEntries   = 560
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

// placeOf returns where among the pages a name with these upper 32 bits of its hash stands.
func placeOf(h uint64, pages int) (page int, place uint16) {
	at := h * uint64(pages)
	return int(at >> 32), uint16(at >> 16)
}

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

// name returns the pseudonym of an id, from a reader of the column.
func (b *book) name(column *pages, id uint32) (p weir.Pseudonym, err error) {
	at := int(id - b.base)
	page, err := column.get(at / namesPerPage)
	if err != nil {
		return p, err
	}
	copy(p[:], page[at%namesPerPage*len(p):])
	return p, nil
}

// namePage is a page of names.
type namePage struct{ places, ids []byte }

func (p *namePage) len() int           { return len(p.places) / 2 }
func (p *namePage) place(i int) uint16 { return binary.LittleEndian.Uint16(p.places[2*i:]) }
func (p *namePage) id(i int) uint32    { return binary.LittleEndian.Uint32(p.ids[4*i:]) }

// read takes the page out of its bytes.
func (p *namePage) read(b []byte) error {
	n := int(binary.LittleEndian.Uint16(b))
	if n > mostEntries {
		return doubt("a page of names has %d entries", n)
	}
	p.places, p.ids = b[2:2+2*n], b[2+2*n:2+6*n]
	return nil
}

// seek returns the first entry whose place is no lower. Hashes are spread evenly, so it is near where it is looked for.
func (p *namePage) seek(place uint16) int {
	n := p.len()
	i := int(place) * n >> 16
	for i > 0 && p.place(i-1) >= place {
		i--
	}
	for i < n && p.place(i) < place {
		i++
	}
	return i
}

// nobody is no person's id.
const nobody = math.MaxUint32

// names are sought in one book after another.
type names struct {
	all   []weir.Pseudonym
	ids   []uint32 // what was found; nobody for the rest
	order []uint64 // of the rest: upper half of the hash, then the place in all, by hash
}

func newNames(all []weir.Pseudonym) *names {
	n := &names{all: all, ids: make([]uint32, len(all)), order: make([]uint64, len(all))}
	for i := range all {
		n.ids[i] = nobody
		n.order[i] = hashOf(&all[i])>>32<<32 | uint64(i)
	}
	n.order = sortPairs(n.order, make([]uint64, len(all)))
	return n
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
	for _, c := range candidates {
		id, at := uint32(c>>32), uint32(c)
		p, err := b.name(column, id)
		if err != nil {
			return err
		}
		if p == n.all[at] {
			n.ids[at] = id
		}
	}
	n.order = slices.DeleteFunc(n.order, func(o uint64) bool { return n.ids[uint32(o)] != nobody })
	return nil
}

// candidates returns a pair of id and place in all for each name that a person of the book may have.
func (b *book) candidates(order []uint64) (pairs []uint64, err error) {
	pages := newPages(b.src, b.names, b.pages, aheadFor(len(order), b.pages))
	var page namePage
	now := -1
	for _, o := range order {
		at, place := placeOf(o>>32, b.pages)
		if at != now {
			raw, err := pages.get(at)
			if err == nil {
				err = page.read(raw)
			}
			if err != nil {
				return nil, err
			}
			now = at
		}
		for i := page.seek(place); i < page.len() && page.place(i) == place; i++ {
			id := page.id(i)
			if int64(id) >= int64(b.n) {
				return nil, doubt("a name has an id that nobody has")
			}
			pairs = append(pairs, uint64(b.base+id)<<32|o&math.MaxUint32)
		}
	}
	return pairs, nil
}

// aheadFor is how many pages are read at once where that many of all are about to be.
func aheadFor(wanted, all int) int {
	if wanted*4 > all {
		return 64
	}
	return 1
}

// hashesAtOnce bounds the memory of writeNames: the column is read once for each so many people.
const hashesAtOnce = 4 << 20

// writeNames writes the pages of names for n people whose column get reads; it returns how many pages it wrote.
func writeNames(w io.Writer, n, atOnce int, each func(func(i uint32, p *weir.Pseudonym)) error) (int, error) {
	for count := max(1, n/aimEntries); ; count += count/8 + 1 {
		fits, err := tryNames(io.Discard, n, count, atOnce, each, true)
		if err != nil {
			return 0, err
		}
		if fits {
			_, err := tryNames(w, n, count, atOnce, each, false)
			return count, err
		}
	}
}

// tryNames reports whether no page overflows; with countOnly it writes nothing.
func tryNames(w io.Writer, n, count, atOnce int, each func(func(i uint32, p *weir.Pseudonym)) error, countOnly bool) (bool, error) {
	if countOnly {
		fill := make([]uint16, count)
		fits := true
		err := each(func(_ uint32, p *weir.Pseudonym) {
			page, _ := placeOf(hashOf(p)>>32, count)
			if fill[page]++; fill[page] > mostEntries {
				fits, fill[page] = false, 0
			}
		})
		return fits, err
	}
	step := max(1, min(count, atOnce/(aimEntries+1)))
	page := make([]byte, pageSize)
	var entries []uint64
	for from := 0; from < count; from += step {
		to := min(count, from+step)
		entries = entries[:0]
		err := each(func(i uint32, p *weir.Pseudonym) {
			if at, place := placeOf(hashOf(p)>>32, count); at >= from && at < to {
				entries = append(entries, uint64(at-from)<<48|uint64(place)<<32|uint64(i))
			}
		})
		if err != nil {
			return false, err
		}
		slices.Sort(entries)
		for at := from; at < to; at++ {
			k := 0
			for k < len(entries) && int(entries[k]>>48) == at-from {
				k++
			}
			clear(page)
			binary.LittleEndian.PutUint16(page, uint16(k))
			for i, e := range entries[:k] {
				binary.LittleEndian.PutUint16(page[2+2*i:], uint16(e>>32))
				binary.LittleEndian.PutUint32(page[2+2*k+4*i:], uint32(e))
			}
			sealPage(page)
			if _, err := w.Write(page); err != nil {
				return false, err
			}
			entries = entries[k:]
		}
	}
	return true, nil
}
