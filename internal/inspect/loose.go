package inspect

import (
	"hash/maphash"

	"weir"
)

// identifying are the classes whose distinct values tell people apart.
var identifying = weir.Set(weir.Name, weir.Email, weir.Phone, weir.AccountNumber, weir.SSN, weir.PaymentCard)

// looseValue is an identifying value of which it is not yet known whether a key attributes it.
type looseValue struct {
	text    []byte
	classes weir.ClassSet
}

// looseCounter counts distinct values, class by class.
type looseCounter struct {
	seen  [16]map[uint64]struct{}
	least int
}

func (c *looseCounter) reset() {
	c.least = 0
	for i := range c.seen {
		clear(c.seen[i])
	}
}

func (c *looseCounter) add(v looseValue) {
	h := maphash.Bytes(hashSeed, v.text)
	for class := weir.Class(0); v.classes>>class != 0; class++ {
		if !v.classes.Has(class) {
			continue
		}
		if c.seen[class] == nil {
			c.seen[class] = map[uint64]struct{}{}
		}
		c.seen[class][h] = struct{}{}
	}
}

func (c *looseCounter) atLeast(n int) { c.least += n }

func (c *looseCounter) worst() int {
	n := c.least
	for i := range c.seen {
		n = max(n, len(c.seen[i]))
	}
	return n
}
