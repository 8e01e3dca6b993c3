package exposure

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"

	"weir"
)

// The people whom a segment met first have the dense ids from its base on, in the order in which they were met. Two lists of
// pages hold their names, each page of pageSize bytes with a CRC-32C at its end:
//
//	column  namesPerPage pseudonyms in the order of ids
//	names   the page of hash h is the one at h*pages>>64: u16 entries, u16 low hash bits for each, in their order,
//	        u32 id less the base for each
//
// So a name is found with one page of each, and many names, sorted by hash, with one pass over both. It takes 23.5 bytes
// for a person.
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

func pageOf(h uint64, pages int) int {
	hi, _ := bits.Mul64(h, uint64(pages))
	return int(hi)
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

// matches calls found for each person of the book that may have that hash.
func (b *book) matches(names *pages, h uint64, found func(id uint32)) error {
	page, err := names.get(pageOf(h, b.pages))
	if err != nil {
		return err
	}
	n := int(binary.LittleEndian.Uint16(page))
	if n > mostEntries {
		return doubt("a page of names has %d entries", n)
	}
	prints, ids := page[2:2+2*n], page[2+2*n:2+6*n]
	want := uint16(h)
	low, high := 0, n
	for low < high {
		if mid := (low + high) / 2; binary.LittleEndian.Uint16(prints[2*mid:]) < want {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for ; low < n && binary.LittleEndian.Uint16(prints[2*low:]) == want; low++ {
		id := binary.LittleEndian.Uint32(ids[4*low:])
		if int64(id) >= int64(b.n) {
			return doubt("a name has an id that nobody has")
		}
		found(b.base + id)
	}
	return nil
}

// names are sought in a book: by place in all, in the order of their hashes' upper halves.
type names struct {
	all    []weir.Pseudonym
	hashes []uint64
	order  []uint64 // upper half of the hash, then the place in all
	spare  []uint64
}

func newNames(all []weir.Pseudonym) *names {
	n := &names{all: all, hashes: make([]uint64, len(all)), order: make([]uint64, len(all)), spare: make([]uint64, len(all))}
	for i := range all {
		h := hashOf(&all[i])
		n.hashes[i], n.order[i] = h, h>>32<<32|uint64(i)
	}
	if sorted := sortPairs(n.order, n.spare); len(sorted) > 0 && &sorted[0] != &n.order[0] {
		n.order, n.spare = n.spare, n.order
	}
	return n
}

// find reports the id of each name that is in the book, and drops those from the order.
func (b *book) find(n *names, found func(at, id uint32)) error {
	if b.n == 0 || len(n.order) == 0 {
		return nil
	}
	ahead := 1
	if len(n.order)*4 > b.pages {
		ahead = 64
	}
	var candidates []uint64 // id, place in all
	pages := newPages(b.src, b.names, b.pages, ahead)
	for _, o := range n.order {
		at := uint32(o)
		if err := b.matches(pages, n.hashes[at], func(id uint32) { candidates = append(candidates, uint64(id)<<32|uint64(at)) }); err != nil {
			return err
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	candidates = sortPairs(candidates, make([]uint64, len(candidates)))
	if ahead = 1; len(candidates)*4 > columnPages(b.n) {
		ahead = 64
	}
	column := b.reader(ahead)
	known := make([]bool, len(n.all))
	for _, c := range candidates {
		p, err := b.name(column, uint32(c>>32))
		if err != nil {
			return err
		}
		if at := uint32(c); p == n.all[at] {
			known[at] = true
			found(at, uint32(c>>32))
		}
	}
	rest := n.order[:0]
	for _, o := range n.order {
		if !known[uint32(o)] {
			rest = append(rest, o)
		}
	}
	n.order = rest
	return nil
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
			page := pageOf(hashOf(p), count)
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
			h := hashOf(p)
			if at := pageOf(h, count); at >= from && at < to {
				entries = append(entries, uint64(at-from)<<48|uint64(uint16(h))<<32|uint64(i))
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
