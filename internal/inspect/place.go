package inspect

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"weir"
	"weir/internal/classify"
)

// where is all that reading a value depends on, apart from its bytes. There are finitely many for a plan, whatever the
// documents are, so each is worked out once and kept as a place.
type where struct {
	matched  int           // tokens of the records pointer that lead here; -1 for another way
	element  bool          // the value is an element of the array of records
	inRecord bool          // it is in a record
	inArray  bool          // it is an element of some array
	node     *node         // where in a record it is, if pointers lead there
	mapped   weir.ClassSet // class of the nearest mapped ancestor or of itself
	named    weir.ClassSet // class that its own name or else the nearest named ancestor's means
}

// place is a where, with what was learned about the values there.
type place struct {
	where
	classes weir.ClassSet // of a value here, unless it shows more itself
	plain   weir.ClassSet // of a value here that shows nothing itself
	loose   weir.ClassSet // those of plain that tell people apart
	subject bool          // a value here is the key of the data subject
	object  *layout       // of the objects here; nil before the first
	array   *layout       // of the arrays here; nil before the first
}

// layout is what is known of all objects, or of all arrays, at one place.
type layout struct {
	where                      // what their members and elements begin from
	opens   bool               // such an object is a record
	list    bool               // such an array is the list of records
	members map[string]*member // those that were learned
	first   *member            // that the last object began with; nil if unknown
	each    *place             // of all elements; nil where pointers tell them apart by number
}

// member is a name that objects of a layout have.
type member struct {
	number int // of the members of its layout, from 0
	place  *place
	next   *member // that followed it last; nil if unknown

	// spelled is how the name was written last, from where a name may begin to where its value may: white space, the name
	// in quotes, white space, a colon, white space. It is a guess at what comes next that one comparison checks: the same
	// bytes are the same name, without anything irregular in it.
	spelled [maxSpelled]byte
	length  int    // of spelled; never 0
	words   int    // where its last word of eight bytes begins
	last    uint64 // mask of the part of that word which is spelled
}

// Bounds of what is learned, for an API may have names without end. What is beyond them is read just the same, more slowly.
const (
	maxSpelled = 64   // bytes of a name as it is written
	maxMembers = 256  // names in one layout
	maxLearned = 4096 // names in all layouts of a scanner
)

// memberSet holds the numbers of members.
type memberSet [maxMembers / 64]uint64

// add reports whether the number is new.
func (m *memberSet) add(number int) bool {
	word, bit := &m[number>>6&(len(m)-1)], uint64(1)<<(number&63)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

// guessed returns how many bytes of doc from i on are the member as it was spelled last; 0 if it is spelled in another way,
// and where the document ends too soon to compare eight bytes at a time.
func (m *member) guessed(doc []byte, i int) int {
	if m == nil || i+m.words+8 > len(doc) {
		return 0
	}
	le, at := binary.LittleEndian, 0
	for ; at < m.words; at += 8 {
		if le.Uint64(doc[i+at:]) != le.Uint64(m.spelled[at:]) {
			return 0
		}
	}
	if (le.Uint64(doc[i+at:])^le.Uint64(m.spelled[at:]))&m.last != 0 {
		return 0
	}
	return m.length
}

// spell remembers how the member was written. It must have been read as this member; what has an escape in it, is not
// regular, or is too long is not remembered.
func (m *member) spell(written []byte) {
	if len(written) <= maxSpelled && plain(written) {
		m.length = copy(m.spelled[:], written)
		m.words = (m.length - 1) &^ 7
		m.last = ^uint64(0) >> (8 * (m.words + 8 - m.length))
	}
}

// plain reports whether a name in its quotes, with what stands around it, means just the bytes that it is written with.
func plain(written []byte) bool {
	quotes := 0
	for _, c := range written {
		if c == '"' {
			quotes++
		}
		if c == '\\' || c < ' ' && quotes == 1 {
			return false
		}
	}
	return quotes == 2 && utf8.Valid(written)
}

// at returns the place, which is always the same one for the same where.
func (s *scanner) at(w where) *place {
	p := s.places[w]
	if p == nil {
		p = &place{where: w, classes: w.mapped, subject: w.node != nil && w.node.subject}
		if p.classes == 0 {
			p.classes = w.named
		}
		p.plain, p.loose = p.classes, p.classes&identifying
		if w.inRecord && p.plain == 0 {
			p.plain = weir.Set(weir.Other)
		}
		s.places[w] = p
	}
	return p
}

// objects returns the layout of the objects at a place.
func (s *scanner) objects(p *place) *layout {
	if p.object == nil {
		l := &layout{where: p.where, members: map[string]*member{}}
		if !p.inRecord && p.matched == len(s.plan.records) {
			l.opens, l.inRecord = true, true
			l.node = s.plan.inside
			l.mapped, l.named = l.node.class, 0
		}
		p.object = l
	}
	return p.object
}

// arrays returns the layout of the arrays at a place.
func (s *scanner) arrays(p *place) *layout {
	if p.array == nil {
		l := &layout{where: p.where}
		l.list = !p.inRecord && p.matched == len(s.plan.records) && !p.element
		if !s.plan.numbers(l) {
			l.each = s.element(l, 0)
		}
		p.array = l
	}
	return p.array
}

// numbers reports whether a pointer tells the elements of such arrays apart by their numbers.
func (p *Plan) numbers(l *layout) bool {
	switch {
	case l.inRecord:
		return l.node != nil && l.node.numbered()
	case l.list || l.matched < 0 || l.matched >= len(p.records):
		return false
	}
	return !p.records[l.matched].any
}

// element returns the place of the n-th element of an array.
func (s *scanner) element(l *layout, n int) *place {
	var scratch [20]byte
	w := s.plan.step(l, strconv.AppendInt(scratch[:0], int64(n), 10))
	w.inArray = true
	return s.at(w)
}

// learn returns the member of that name, or nil if it is not to be learned.
func (s *scanner) learn(l *layout, name []byte) *member {
	if len(l.members) >= maxMembers || s.learned >= maxLearned || len(name) > maxSpelled {
		return nil
	}
	m := &member{number: len(l.members)}
	var scratch [maxSpelled + 3]byte
	if m.spell(append(append(append(scratch[:0], '"'), name...), '"', ':')); m.length == 0 {
		return nil
	}
	m.place = s.named(l, name)
	l.members[string(name)] = m
	s.learned++
	return m
}

// named returns the place of a member.
func (s *scanner) named(l *layout, name []byte) *place {
	w := s.plan.step(l, name)
	if class, ok := classify.ByName(name); ok {
		w.named = weir.Set(class)
	}
	return s.at(w)
}

// step returns where a member or an element is.
func (p *Plan) step(l *layout, name []byte) where {
	w := where{matched: -1, inRecord: l.inRecord, mapped: l.mapped, named: l.named}
	switch {
	case l.inRecord:
		w.node = l.node.step(name)
		if w.node != nil && w.node.class != 0 {
			w.mapped = w.node.class
		}
	case l.list:
		w.matched, w.element = l.matched, true
	case l.matched >= 0 && l.matched < len(p.records) && p.records[l.matched].matches(name):
		w.matched = l.matched + 1
	}
	return w
}
