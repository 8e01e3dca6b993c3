package inspect

import (
	"hash/maphash"

	"weir"
)

// identifying are the classes whose distinct values tell people apart.
var identifying = weir.Set(weir.Name, weir.Email, weir.Phone, weir.AccountNumber, weir.SSN, weir.PaymentCard)

// looseValue is an identifying value of which it is not yet known whether a key attributes it.
type looseValue struct {
	record  int
	text    []byte
	classes weir.ClassSet
}

func (s *scanner) addLoose(record int, text []byte, classes weir.ClassSet) {
	if classes&identifying != 0 {
		s.loose = append(s.loose, looseValue{record, text, classes & identifying})
	}
}

// settle ends the wait of the values of one record, or of those outside of records. Records do not nest and are settled as
// they close, so a record's values are the last ones.
func (s *scanner) settle(record int, unattributed bool) {
	if len(s.loose) == 0 {
		return
	}
	from := len(s.loose)
	for from > 0 && s.loose[from-1].record == record {
		from--
	}
	for _, v := range s.loose[from:] {
		if unattributed {
			s.counts.add(v)
		}
	}
	s.loose = s.loose[:from]
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
