package inspect

import (
	"bytes"
	"hash/maphash"
	"unicode/utf8"

	"weir"
	"weir/internal/classify"
)

// scanner walks a document once, from its first byte to its last, with a stack of its own. All memory is reused.
type scanner struct {
	plan *Plan
	doc  []byte
	res  *Result
	pos  int

	stack  []container
	keys   []key  // the keys of all open objects, outermost first
	text   []byte // unescaped strings that keys and records refer to
	loose  []looseValue
	names  map[string]weir.ClassSet // what names mean, remembered over documents
	counts looseCounter
}

// place is what is known about a value before it is read.
type place struct {
	matched int           // tokens of the records pointer that lead here; -1 for another way
	record  int           // the record that the value is in, or -1
	element bool          // the value is an element of the array of records
	node    *node         // where in a record it is, if pointers lead there
	mapped  weir.ClassSet // class of the nearest mapped ancestor or of itself
	named   weir.ClassSet // class that its own name or else the nearest named ancestor's means
	inArray bool
}

// container is an open object or array.
type container struct {
	place
	object bool
	opens  bool // it is the record
	list   bool // its elements are the records
	keys   int  // where its keys begin
	seen   map[string]struct{}
	index  int
}

// key is a member's name, unescaped.
type key struct {
	hash uint64
	name []byte
}

// manyKeys is the number of keys in an object beyond which a map finds duplicates.
const manyKeys = 48

// maxNames bounds how many names are remembered.
const maxNames = 2048

var hashSeed = maphash.MakeSeed()

// Read inspects a document. It never fails: what is wrong with the document is in the result.
func (p *Plan) Read(doc []byte, r *Result) {
	s := &r.scan
	s.plan, s.doc, s.res, s.pos = p, doc, r, 0
	s.stack, s.keys, s.text, s.loose = s.stack[:0], s.keys[:0], s.text[:0], s.loose[:0]
	s.counts.reset()
	if s.names == nil || len(s.names) > maxNames {
		s.names = map[string]weir.ClassSet{}
	}
	s.document()
	for i := range r.Records { // a document that breaks off leaves records open
		if r.Records[i].End == 0 {
			r.Records[i].End = len(doc)
			s.closeRecord(i)
		}
	}
	s.settle(-1, true)
	r.WorstCase = s.counts.worst()
	s.plan, s.doc, s.res = nil, nil, nil
}

// document reads the one value that a document is.
func (s *scanner) document() {
	d := s.doc
	if len(d) >= 2 && (d[0] == 0 || d[1] == 0 || d[0] == 0xfe && d[1] == 0xff || d[0] == 0xff && d[1] == 0xfe) {
		s.breakOff(Encoding)
		return
	}
	if bytes.HasPrefix(d, []byte("\xef\xbb\xbf")) {
		s.irregular(ByteOrderMark)
		s.pos = 3
	}
	top := place{record: -1}
	if s.plan.none {
		top.matched = -1
	}
	if !s.value(top) {
		return
	}
	if s.pos = skipSpace(d, s.pos); s.pos < len(d) {
		s.breakOff(TrailingBytes)
	}
}

func (s *scanner) irregular(k Kind) { s.res.Irregular |= 1 << k }

// breakOff ends the reading.
func (s *scanner) breakOff(k Kind) bool {
	s.irregular(k)
	s.res.Broken, s.res.BrokenAt = true, s.pos
	return false
}

// value reads a value and all that is in it. It reports false when the document broke off.
func (s *scanner) value(at place) bool {
	base := len(s.stack)
	for {
		if !s.one(at) {
			return false
		}
		// A leaf, or an empty container, or the beginning of one has been read. Go on to where the next value begins.
		var ok bool
		if at, ok = s.next(base); !ok {
			return !s.res.Broken
		}
	}
}

// one reads a leaf, or opens a container.
func (s *scanner) one(at place) bool {
	s.pos = skipSpace(s.doc, s.pos)
	if s.pos >= len(s.doc) {
		return s.breakOff(NotJSON)
	}
	start := s.pos
	switch c := s.doc[start]; {
	case c == '{' || c == '[':
		return s.open(at, c == '{')
	case c == '"':
		text, ok := s.str()
		if ok {
			s.leaf(at, start, text, true)
		}
		return ok
	case c == '-' || c >= '0' && c <= '9':
		ok := s.number()
		if ok {
			s.leaf(at, start, s.doc[start:s.pos], false)
		}
		return ok
	case c == 't':
		return s.literal("true") && s.leaf(at, start, s.doc[start:s.pos], false)
	case c == 'f':
		return s.literal("false") && s.leaf(at, start, s.doc[start:s.pos], false)
	case c == 'n':
		return s.literal("null")
	case c == 'N' || c == 'I':
		if s.hasWord("NaN") || s.hasWord("Infinity") {
			s.irregular(NotFinite)
			return true
		}
	}
	return s.breakOff(NotJSON)
}

// next goes from behind a value, or from behind an opening bracket, to the next value at this depth or below. It closes
// what is closed on the way, and reports false when nothing above base is open, or when the document broke off.
func (s *scanner) next(base int) (place, bool) {
	for len(s.stack) > base {
		top := &s.stack[len(s.stack)-1]
		s.pos = skipSpace(s.doc, s.pos)
		if s.pos >= len(s.doc) {
			return place{}, s.breakOff(NotJSON)
		}
		c := s.doc[s.pos]
		switch {
		case top.object && c == '}' || !top.object && c == ']':
			s.pos++
			s.close()
			continue
		case top.index > 0:
			if c != ',' {
				return place{}, s.breakOff(NotJSON)
			}
			s.pos = skipSpace(s.doc, s.pos+1)
		}
		if top.object {
			return s.member(top)
		}
		if s.pos < len(s.doc) && s.doc[s.pos] == ']' {
			return place{}, s.breakOff(NotJSON) // a comma before the bracket
		}
		return s.element(top), true
	}
	return place{}, false
}

func (s *scanner) open(at place, object bool) bool {
	if len(s.stack) >= MaxDepth {
		return s.breakOff(TooDeep)
	}
	c := container{place: at, object: object, keys: len(s.keys)}
	if at.record < 0 && at.matched == len(s.plan.records) {
		if object {
			c.opens = true
			c.record = len(s.res.Records)
			c.node = s.plan.inside
			c.mapped, c.named = c.node.class, 0
			s.res.Records = append(s.res.Records, Record{Start: s.pos, Element: at.inArray})
		} else if !at.element {
			c.list = true
		}
	}
	s.pos++
	s.stack = append(s.stack, c)
	return true
}

func (s *scanner) close() {
	top := &s.stack[len(s.stack)-1]
	if top.opens {
		s.res.Records[top.record].End = s.pos
		s.closeRecord(top.record)
	}
	s.keys = s.keys[:top.keys]
	top.seen = nil
	s.stack = s.stack[:len(s.stack)-1]
}

// closeRecord decides whether what is in the record has a data subject. Two different keys are none.
func (s *scanner) closeRecord(i int) {
	rec := &s.res.Records[i]
	if rec.subjects > 1 {
		rec.Key = nil
		s.irregular(SecondSubject)
		s.counts.atLeast(rec.subjects)
	}
	s.settle(i, rec.Key == nil)
}

// member reads a name and its colon.
func (s *scanner) member(top *container) (place, bool) {
	if s.pos >= len(s.doc) || s.doc[s.pos] != '"' {
		return place{}, s.breakOff(NotJSON)
	}
	name, ok := s.str()
	if !ok {
		return place{}, false
	}
	if s.pos = skipSpace(s.doc, s.pos); s.pos >= len(s.doc) || s.doc[s.pos] != ':' {
		return place{}, s.breakOff(NotJSON)
	}
	s.pos++
	s.noteKey(top, name)
	top.index++
	at := s.step(top, name)
	if class := s.meaning(name); class != 0 {
		at.named = class
	}
	return at, true
}

func (s *scanner) element(top *container) place {
	var scratch [20]byte
	at := s.step(top, appendInt(scratch[:0], top.index))
	at.inArray = true
	top.index++
	return at
}

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// step returns the place of a member or an element.
func (s *scanner) step(top *container, name []byte) place {
	at := place{matched: -1, record: top.record, mapped: top.mapped, named: top.named}
	switch {
	case top.record >= 0:
		at.node = top.node.step(name)
		if at.node != nil && at.node.class != 0 {
			at.mapped = at.node.class
		}
	case top.list:
		at.matched, at.element = top.matched, true
	case top.matched >= 0 && top.matched < len(s.plan.records) && s.plan.records[top.matched].matches(name):
		at.matched = top.matched + 1
	}
	return at
}

// noteKey reports a key that the object already has.
func (s *scanner) noteKey(top *container, name []byte) {
	own := s.keys[top.keys:]
	if top.seen == nil && len(own) >= manyKeys {
		top.seen = make(map[string]struct{}, 4*manyKeys)
		for _, k := range own {
			top.seen[string(k.name)] = struct{}{}
		}
	}
	if top.seen != nil {
		if _, twice := top.seen[string(name)]; twice {
			s.irregular(DuplicateKey)
		}
		top.seen[string(name)] = struct{}{}
		return
	}
	h := maphash.Bytes(hashSeed, name)
	for i := range own {
		if own[i].hash == h && bytes.Equal(own[i].name, name) {
			s.irregular(DuplicateKey)
			return
		}
	}
	s.keys = append(s.keys, key{h, name})
}

// meaning is the class that a name means; 0 for none.
func (s *scanner) meaning(name []byte) weir.ClassSet {
	class, known := s.names[string(name)]
	if !known {
		if c, ok := classify.ByName(name); ok {
			class = weir.Set(c)
		}
		if len(s.names) <= maxNames && len(name) <= 64 {
			s.names[string(name)] = class
		}
	}
	return class
}

// leaf takes account of a string, a number or a boolean. An empty string holds nothing.
func (s *scanner) leaf(at place, start int, text []byte, isString bool) bool {
	if len(text) == 0 {
		return true
	}
	classes := at.mapped
	if classes == 0 {
		classes = at.named
	}
	classes |= classify.ByValue(text, classes)
	if at.record < 0 {
		if c := s.doc[start]; c != 't' && c != 'f' { // a flag outside of records is nobody's
			s.res.Outside |= classes
			s.addLoose(-1, text, classes)
		}
		return true
	}
	if classes == 0 {
		classes = weir.Set(weir.Other)
	}
	rec := &s.res.Records[at.record]
	rec.Classes |= classes
	s.addLoose(at.record, text, classes)
	if at.node != nil && at.node.subject {
		s.subject(rec, text, isString)
	}
	return true
}

// subject takes a value as the key of the record's data subject.
func (s *scanner) subject(rec *Record, text []byte, isString bool) {
	canonical, ok := s.canonical(text, isString)
	if !ok || bytes.Equal(canonical, rec.Key) && rec.Key != nil {
		return
	}
	rec.Key = canonical
	rec.subjects++
}

// canonical returns the canonical form of a key; as a rule that is the value itself, without a copy.
func (s *scanner) canonical(text []byte, isString bool) ([]byte, bool) {
	plain := len(text) <= weir.MaxKeyLen
	for _, b := range text {
		if b <= ' ' || b >= utf8.RuneSelf || !isString && (b < '0' || b > '9') {
			plain = false
			break
		}
	}
	if plain && (isString || text[0] != '0') {
		return text, true
	}
	form := weir.CanonicalNumber
	if isString {
		form = weir.CanonicalString
	}
	canonical, err := form(string(text))
	return []byte(canonical), err == nil
}
