package exposure

import (
	"encoding/binary"
	"io"
)

// nameCursor goes through a book's names in the order of their hashes.
type nameCursor struct {
	book  *book
	names *pages
	page  namePage
	next  int // page
	at    int // entry in page
}

func (b *book) cursor() *nameCursor {
	return &nameCursor{book: b, names: newPages(b.src, b.names, b.pages, pagesAhead)}
}

// below calls visit for each of the next names whose hash is below the limit, with hash and id less the book's base.
func (c *nameCursor) below(limit uint64, visit func(hash, id uint32)) (err error) {
	for {
		for ; c.at < c.page.len(); c.at++ {
			hash := c.page.hash(c.at)
			if uint64(hash) >= limit {
				return nil
			}
			visit(hash, c.page.id(c.at))
		}
		if c.next == c.book.pages || c.book.n == 0 {
			return nil
		}
		if c.page, err = c.book.namePage(c.names, c.next); err != nil {
			return err
		}
		c.next, c.at = c.next+1, 0
	}
}

// nameHashes visits the hashes of people's names: in any order, or in their order with the ids less the first one.
type nameHashes struct {
	all     func(visit func(hash uint32)) error
	inOrder func(visit func(hash, id uint32) error) error
}

// hashesOf are those of several books whose ids follow one another from base on.
func hashesOf(books []*book, base uint32, n int) nameHashes {
	const atOnce = 1 << 16
	step := uint64(1<<32)/(uint64(n)/atOnce+1) + 1
	return nameHashes{
		all: func(visit func(hash uint32)) error {
			for _, b := range books {
				if err := b.cursor().below(1<<32, func(hash, _ uint32) { visit(hash) }); err != nil {
					return err
				}
			}
			return nil
		},
		inOrder: func(visit func(hash, id uint32) error) error {
			cursors := make([]*nameCursor, len(books))
			for i, b := range books {
				cursors[i] = b.cursor()
			}
			windows := func(yield func(uint64) bool) {
				for from := uint64(0); from < 1<<32 && yield(from); from += step {
				}
			}
			collect := func(from uint64, to *idPairs) error {
				to.pairs = to.pairs[:0]
				for i, c := range cursors {
					offset := books[i].base - base
					err := c.below(from+step, func(hash, id uint32) { to.pairs = append(to.pairs, (uint64(hash)-from)<<32|uint64(id+offset)) })
					if err != nil {
						return err
					}
				}
				to.sort(from)
				return nil
			}
			for p, err := range ahead(2, windows, collect) {
				if err != nil {
					return err
				}
				for _, pair := range p.sorted {
					if err := visit(uint32(pair>>32), uint32(pair)); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// writeNames writes the pages of names for n people, with ids less the first one. It returns how many pages it wrote.
func writeNames(w io.Writer, n int, hashes nameHashes) (int, error) {
	count := max(1, n/aimEntries)
	for {
		seen, fits, fill := 0, true, make([]uint16, count)
		err := hashes.all(func(hash uint32) {
			seen++
			if at := pageOf(hash, count); fill[at] < mostEntries {
				fill[at]++
			} else {
				fits = false
			}
		})
		if err == nil && seen != n {
			err = doubt("%d people have %d names", n, seen)
		}
		if err != nil {
			return 0, err
		}
		if fits {
			break
		}
		count += count/8 + 1
	}
	page := make([]byte, pageSize)
	now, some, ids := 0, make([]uint32, 0, mostEntries), make([]uint32, 0, mostEntries)
	turn := func() error {
		b := binary.LittleEndian.AppendUint16(page[:0], uint16(len(some)))
		for _, list := range [][]uint32{some, ids} {
			for _, n := range list {
				b = binary.LittleEndian.AppendUint32(b, n)
			}
		}
		clear(page[len(b):])
		sealPage(page)
		now, some, ids = now+1, some[:0], ids[:0]
		_, err := w.Write(page)
		return err
	}
	err := hashes.inOrder(func(hash, id uint32) error {
		for now < pageOf(hash, count) {
			if err := turn(); err != nil {
				return err
			}
		}
		if len(some) == mostEntries {
			return doubt("names are not in the order of their hashes")
		}
		some, ids = append(some, hash), append(ids, id)
		return nil
	})
	for err == nil && now < count {
		err = turn()
	}
	return count, err
}
