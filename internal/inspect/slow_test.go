package inspect

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"weir"
	"weir/internal/classify"
)

// slowScanner reads a document the plain way: every place is worked out when it comes up, nothing is remembered, guessed or
// skipped. It is what the scanner was first, and what the scanner must still find, to the last bit: see FuzzSame.
type slowScanner struct {
	plan *Plan
	doc  []byte
	res  *Result
	pos  int

	stack    []slowContainer
	text     []byte // unescaped strings that keys and records refer to
	loose    []slowValue
	distinct [16]map[string]bool // values that no key attributes, class by class
	least    int
}

// slowPlace is what is known about a value before it is read.
type slowPlace struct {
	matched int           // tokens of the records pointer that lead here; -1 for another way
	record  int           // the record that the value is in, or -1
	element bool          // the value is an element of the array of records
	node    *node         // where in a record it is, if pointers lead there
	mapped  weir.ClassSet // class of the nearest mapped ancestor or of itself
	named   weir.ClassSet // class that its own name or else the nearest named ancestor's means
	inArray bool
}

// slowContainer is an open object or array.
type slowContainer struct {
	slowPlace
	object bool
	opens  bool // it is the record
	list   bool // its elements are the records
	seen   map[string]struct{}
	index  int
}

// slowRead is Plan.Read.
func (p *Plan) slowRead(doc []byte, r *Result) {
	s := &slowScanner{plan: p, doc: doc, res: r}
	s.document()
	for i := range r.Records { // a document that breaks off leaves records open
		if r.Records[i].End == 0 {
			r.Records[i].End = len(doc)
			s.closeRecord(i)
		}
	}
	s.settle(-1, true)
	r.WorstCase = s.least
	for _, values := range s.distinct {
		r.WorstCase = max(r.WorstCase, len(values))
	}
}

// document reads the one value that a document is.
func (s *slowScanner) document() {
	d := s.doc
	if len(d) >= 2 && (d[0] == 0 || d[1] == 0 || d[0] == 0xfe && d[1] == 0xff || d[0] == 0xff && d[1] == 0xfe) {
		s.breakOff(Encoding)
		return
	}
	if bytes.HasPrefix(d, []byte("\xef\xbb\xbf")) {
		s.irregular(ByteOrderMark)
		s.pos = 3
	}
	top := slowPlace{record: -1}
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

func (s *slowScanner) irregular(k Kind) { s.res.Irregular |= 1 << k }

// breakOff ends the reading.
func (s *slowScanner) breakOff(k Kind) bool {
	s.irregular(k)
	s.res.Broken, s.res.BrokenAt = true, s.pos
	return false
}

// value reads a value and all that is in it. It reports false when the document broke off.
func (s *slowScanner) value(at slowPlace) bool {
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
func (s *slowScanner) one(at slowPlace) bool {
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
		if s.at("NaN") || s.at("Infinity") {
			s.irregular(NotFinite)
			return true
		}
	}
	return s.breakOff(NotJSON)
}

// next goes from behind a value, or from behind an opening bracket, to the next value at this depth or below. It closes
// what is closed on the way, and reports false when nothing above base is open, or when the document broke off.
func (s *slowScanner) next(base int) (slowPlace, bool) {
	for len(s.stack) > base {
		top := &s.stack[len(s.stack)-1]
		s.pos = skipSpace(s.doc, s.pos)
		if s.pos >= len(s.doc) {
			return slowPlace{}, s.breakOff(NotJSON)
		}
		c := s.doc[s.pos]
		switch {
		case top.object && c == '}' || !top.object && c == ']':
			s.pos++
			s.close()
			continue
		case top.index > 0:
			if c != ',' {
				return slowPlace{}, s.breakOff(NotJSON)
			}
			s.pos = skipSpace(s.doc, s.pos+1)
		}
		if top.object {
			return s.member(top)
		}
		if s.pos < len(s.doc) && s.doc[s.pos] == ']' {
			return slowPlace{}, s.breakOff(NotJSON) // a comma before the bracket
		}
		return s.element(top), true
	}
	return slowPlace{}, false
}

func (s *slowScanner) open(at slowPlace, object bool) bool {
	if len(s.stack) >= MaxDepth {
		return s.breakOff(TooDeep)
	}
	c := slowContainer{slowPlace: at, object: object, seen: map[string]struct{}{}}
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

func (s *slowScanner) close() {
	top := &s.stack[len(s.stack)-1]
	if top.opens {
		s.res.Records[top.record].End = s.pos
		s.closeRecord(top.record)
	}
	s.stack = s.stack[:len(s.stack)-1]
}

// closeRecord decides whether what is in the record has a data subject. Two different keys are none.
func (s *slowScanner) closeRecord(i int) {
	rec := &s.res.Records[i]
	if rec.subjects > 1 {
		rec.Key = nil
		s.irregular(SecondSubject)
		s.least += rec.subjects
	}
	s.settle(i, rec.Key == nil)
}

// member reads a name and its colon.
func (s *slowScanner) member(top *slowContainer) (slowPlace, bool) {
	if s.pos >= len(s.doc) || s.doc[s.pos] != '"' {
		return slowPlace{}, s.breakOff(NotJSON)
	}
	name, ok := s.str()
	if !ok {
		return slowPlace{}, false
	}
	if s.pos = skipSpace(s.doc, s.pos); s.pos >= len(s.doc) || s.doc[s.pos] != ':' {
		return slowPlace{}, s.breakOff(NotJSON)
	}
	s.pos++
	s.noteKey(top, name)
	top.index++
	at := s.step(top, name)
	if class, ok := classify.ByName(name); ok {
		at.named = weir.Set(class)
	}
	return at, true
}

func (s *slowScanner) element(top *slowContainer) slowPlace {
	at := s.step(top, strconv.AppendInt(nil, int64(top.index), 10))
	at.inArray = true
	top.index++
	return at
}

// step returns the place of a member or an element.
func (s *slowScanner) step(top *slowContainer, name []byte) slowPlace {
	at := slowPlace{matched: -1, record: top.record, mapped: top.mapped, named: top.named}
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
func (s *slowScanner) noteKey(top *slowContainer, name []byte) {
	if _, twice := top.seen[string(name)]; twice {
		s.irregular(DuplicateKey)
	}
	top.seen[string(name)] = struct{}{}
}

// leaf takes account of a string, a number or a boolean. An empty string holds nothing.
func (s *slowScanner) leaf(at slowPlace, start int, text []byte, isString bool) bool {
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
func (s *slowScanner) subject(rec *Record, text []byte, isString bool) {
	canonical, ok := canonical(text, isString)
	if !ok || bytes.Equal(canonical, rec.Key) && rec.Key != nil {
		return
	}
	rec.Key = canonical
	rec.subjects++
}

// str reads a string, from its opening quote to behind its closing one, and returns it unescaped. Text that is damaged is
// read on with the replacement character; text that never ends breaks the document off.
func (s *slowScanner) str() ([]byte, bool) {
	d := s.doc
	start := s.pos + 1
	ascii := true
	for i := start; i < len(d); i++ {
		switch c := d[i]; {
		case c == '"':
			s.pos = i + 1
			text := d[start:i]
			if !ascii && !utf8.Valid(text) {
				s.irregular(InvalidUTF8)
				text = s.keep(bytes.ToValidUTF8(text, []byte("\ufffd")))
			}
			return text, true
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			s.irregular(ControlChar)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.pos = len(d)
	return nil, s.breakOff(NotJSON)
}

// keep copies text to memory that lasts as long as the result.
func (s *slowScanner) keep(text []byte) []byte {
	at := len(s.text)
	s.text = append(s.text, text...)
	return s.text[at:len(s.text):len(s.text)]
}

// escaped reads a string that holds a backslash; start is behind its opening quote.
func (s *slowScanner) escaped(start int) ([]byte, bool) {
	d := s.doc
	at := len(s.text)
	for i := start; i < len(d); {
		c := d[i]
		switch {
		case c == '"':
			s.pos = i + 1
			text := s.text[at:len(s.text):len(s.text)]
			if !utf8.Valid(d[start:i]) {
				s.irregular(InvalidUTF8)
				text = bytes.ToValidUTF8(text, []byte("\ufffd"))
			}
			return text, true
		case c != '\\':
			if c < ' ' {
				s.irregular(ControlChar)
			}
			s.text = append(s.text, c)
			i++
		default:
			r, n, ok := unescape(d[i:])
			if !ok {
				s.pos = i
				return nil, s.breakOff(NotJSON)
			}
			if utf16.IsSurrogate(r) {
				s.irregular(LoneSurrogate)
				r = utf8.RuneError
			}
			s.text = utf8.AppendRune(s.text, r)
			i += n
		}
	}
	s.pos = len(d)
	return nil, s.breakOff(NotJSON)
}

// number reads a number by the grammar of RFC 8259 section 6.
func (s *slowScanner) number() bool {
	d, i := s.doc, s.pos
	if d[i] == '-' {
		i++
		if s.pos = i; s.at("Infinity") {
			s.irregular(NotFinite)
			return true
		}
	}
	digits := func() bool {
		from := i
		for i < len(d) && d[i] >= '0' && d[i] <= '9' {
			i++
		}
		return i > from
	}
	ok := true
	if i < len(d) && d[i] == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && i < len(d) && d[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(d) && d[i]|0x20 == 'e' {
		if i++; i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		ok = digits()
	}
	s.pos = i
	if !ok {
		return s.breakOff(NotJSON)
	}
	return true
}

// at steps over the word, if it is next.
func (s *slowScanner) at(w string) bool {
	if bytes.HasPrefix(s.doc[s.pos:], []byte(w)) {
		s.pos += len(w)
		return true
	}
	return false
}

func (s *slowScanner) literal(w string) bool {
	if s.at(w) {
		return true
	}
	return s.breakOff(NotJSON)
}

// slowValue is an identifying value of which it is not yet known whether a key attributes it.
type slowValue struct {
	record  int
	text    []byte
	classes weir.ClassSet
}

func (s *slowScanner) addLoose(record int, text []byte, classes weir.ClassSet) {
	if classes&identifying != 0 {
		s.loose = append(s.loose, slowValue{record, text, classes & identifying})
	}
}

// settle ends the wait of the values of one record, or of those outside of records. Records do not nest and are settled as
// they close, so a record's values are the last ones.
func (s *slowScanner) settle(record int, unattributed bool) {
	if len(s.loose) == 0 {
		return
	}
	from := len(s.loose)
	for from > 0 && s.loose[from-1].record == record {
		from--
	}
	for _, v := range s.loose[from:] {
		if unattributed {
			for class := range s.distinct {
				if v.classes.Has(weir.Class(class)) {
					if s.distinct[class] == nil {
						s.distinct[class] = map[string]bool{}
					}
					s.distinct[class][string(v.text)] = true
				}
			}
		}
	}
	s.loose = s.loose[:from]
}
