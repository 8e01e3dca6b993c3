package inspect

import (
	"bytes"
	"hash/maphash"
	"unicode/utf8"

	"weir"
	"weir/internal/classify"
)

// scanner walks a document once, from its first byte to its last. What it learned of a plan's documents, and its memory,
// serve for the next one.
type scanner struct {
	plan    *Plan
	places  map[where]*place
	learned int // members in all layouts

	doc    []byte
	res    *Result
	record *Record // the one that is open, or the last
	keys   []key   // of all open objects, outermost first: names that were not learned
	loose  []looseValue
	counts looseCounter
}

// key is a member's name, unescaped.
type key struct {
	hash uint64
	name []byte
}

// manyKeys is the number of keys in an object beyond which a map finds duplicates.
const manyKeys = 48

var hashSeed = maphash.MakeSeed()

// broken is where reading goes on after a document broke off: nowhere.
const broken = -1

// Read inspects a document. It never fails: what is wrong with the document is in the result.
func (p *Plan) Read(doc []byte, r *Result) {
	s, _ := p.scanners.Get().(*scanner)
	if s == nil || s.learned >= maxLearned { // an API with names without end would keep others from being learned
		s = newScanner(p)
	}
	s.read(doc, r)
	p.scanners.Put(s)
}

func newScanner(p *Plan) *scanner { return &scanner{plan: p, places: map[where]*place{}} }

func (s *scanner) read(doc []byte, r *Result) {
	s.doc, s.res = doc, r
	s.keys, s.loose = s.keys[:0], s.loose[:0]
	s.counts.reset()
	s.document()
	if n := len(r.Records); n > 0 && r.Records[n-1].End == 0 { // the document broke off in it
		s.closeRecord(len(doc))
	}
	r.WorstCase = s.counts.worst()
	s.doc, s.res, s.record = nil, nil, nil
}

// document reads the one value that a document is.
func (s *scanner) document() {
	d := s.doc
	if len(d) >= 2 && (d[0] == 0 || d[1] == 0 || d[0] == 0xfe && d[1] == 0xff || d[0] == 0xff && d[1] == 0xfe) {
		s.breakOff(Encoding, 0)
		return
	}
	i := 0
	if bytes.HasPrefix(d, []byte("\xef\xbb\xbf")) {
		s.irregular(ByteOrderMark)
		i = 3
	}
	top := where{}
	if s.plan.none {
		top.matched = -1
	}
	if i = s.value(i, s.at(top), 0); i == broken {
		return
	}
	if i = skipSpace(d, i); i < len(d) {
		s.breakOff(TrailingBytes, i)
	}
}

func (s *scanner) irregular(k Kind) { s.res.Irregular |= 1 << k }

// breakOff ends the reading at i.
func (s *scanner) breakOff(k Kind, i int) int {
	s.irregular(k)
	s.res.Broken, s.res.BrokenAt = true, i
	return broken
}

// value reads the value that begins at i or behind white space there, and all that is in it. It returns where it ends, as
// do the other methods that read something from i on; or broken.
func (s *scanner) value(i int, at *place, depth int) int {
	d := s.doc
	i = skipSpace(d, i)
	if i >= len(d) {
		return s.breakOff(NotJSON, i)
	}
	switch c := d[i]; {
	case c == '"':
		return s.text(i, at)
	case c == '{':
		return s.object(i, at, depth)
	case c == '[':
		return s.array(i, at, depth)
	case c == '-' || c >= '0' && c <= '9':
		end := s.number(i)
		if end != broken {
			s.leaf(at, d[i:end], false, false)
		}
		return end
	}
	return s.word(i, at)
}

// object reads an object from its opening brace on. The member that followed last time is tried first.
func (s *scanner) object(i int, at *place, depth int) int {
	d := s.doc
	if depth >= MaxDepth {
		return s.breakOff(TooDeep, i)
	}
	l := at.object
	if l == nil {
		l = s.objects(at)
	}
	if l.opens {
		s.openRecord(i, at.inArray)
	}
	own := names{outer: len(s.keys)}
	guess := &l.first
	i++
	for first := true; ; first = false {
		if i = skipSpace(d, i); i >= len(d) {
			return s.breakOff(NotJSON, i)
		}
		if d[i] == '}' {
			break
		}
		if !first {
			if d[i] != ',' {
				return s.breakOff(NotJSON, i)
			}
			i++
		}
		m, to := *guess, (*place)(nil)
		if n := m.guessed(d, i); n > 0 {
			i += n
			to = m.place
			if !own.seen.add(m.number) {
				s.irregular(DuplicateKey)
			}
		} else {
			if m, to, i = s.member(i, l, &own); i == broken {
				return broken
			}
			if m != nil {
				*guess = m
			}
		}
		if m != nil {
			guess = &m.next
		}
		if i < len(d) && d[i] == '"' {
			i = s.text(i, to)
		} else {
			i = s.value(i, to, depth+1)
		}
		if i == broken {
			return broken
		}
	}
	s.keys = s.keys[:own.outer]
	if l.opens {
		s.closeRecord(i + 1)
	}
	return i + 1
}

// names are the members that an open object has already.
type names struct {
	seen  memberSet           // of those that were learned
	outer int                 // where the others begin in scanner.keys
	many  map[string]struct{} // the others, once they are many
}

// member reads a name and its colon, from white space before the name on. The member that it returns is nil if it is none
// that was learned.
func (s *scanner) member(from int, l *layout, own *names) (m *member, to *place, i int) {
	d := s.doc
	i = skipSpace(d, from)
	if i >= len(d) || d[i] != '"' {
		return nil, nil, s.breakOff(NotJSON, i)
	}
	name, i, _ := s.str(i + 1)
	if i == broken {
		return nil, nil, broken
	}
	if i = skipSpace(d, i); i >= len(d) || d[i] != ':' {
		return nil, nil, s.breakOff(NotJSON, i)
	}
	i = skipSpace(d, i+1)
	if m = l.members[string(name)]; m == nil {
		m = s.learn(l, name)
	}
	if m == nil {
		s.noteKey(own, name)
		return nil, s.named(l, name), i
	}
	m.spell(d[from:i])
	if !own.seen.add(m.number) {
		s.irregular(DuplicateKey)
	}
	return m, m.place, i
}

// noteKey reports a key that the object already has.
func (s *scanner) noteKey(own *names, name []byte) {
	keys := s.keys[own.outer:]
	if own.many == nil && len(keys) >= manyKeys {
		own.many = make(map[string]struct{}, 4*manyKeys)
		for _, k := range keys {
			own.many[string(k.name)] = struct{}{}
		}
	}
	if own.many != nil {
		if _, twice := own.many[string(name)]; twice {
			s.irregular(DuplicateKey)
		}
		own.many[string(name)] = struct{}{}
		return
	}
	h := maphash.Bytes(hashSeed, name)
	for i := range keys {
		if keys[i].hash == h && bytes.Equal(keys[i].name, name) {
			s.irregular(DuplicateKey)
			return
		}
	}
	s.keys = append(s.keys, key{h, name})
}

// array reads an array from its opening bracket on.
func (s *scanner) array(i int, at *place, depth int) int {
	d := s.doc
	if depth >= MaxDepth {
		return s.breakOff(TooDeep, i)
	}
	l := at.array
	if l == nil {
		l = s.arrays(at)
	}
	i++
	for n := 0; ; n++ {
		if i = skipSpace(d, i); i >= len(d) {
			return s.breakOff(NotJSON, i)
		}
		if d[i] == ']' {
			return i + 1
		}
		if n > 0 {
			if d[i] != ',' {
				return s.breakOff(NotJSON, i)
			}
			if i = skipSpace(d, i+1); i < len(d) && d[i] == ']' {
				return s.breakOff(NotJSON, i)
			}
		}
		to := l.each
		if to == nil {
			to = s.element(l, n)
		}
		if i = s.value(i, to, depth+1); i == broken {
			return broken
		}
	}
}

func (s *scanner) openRecord(start int, inArray bool) {
	s.res.Records = append(s.res.Records, Record{Start: start, Element: inArray})
	s.record = &s.res.Records[len(s.res.Records)-1]
	s.loose = s.loose[:0]
}

// closeRecord decides whether what is in the record has a data subject. Two different keys are none.
func (s *scanner) closeRecord(end int) {
	rec := s.record
	rec.End = end
	if rec.subjects > 1 {
		rec.Key = nil
		s.irregular(SecondSubject)
		s.counts.atLeast(rec.subjects)
	}
	if rec.Key == nil {
		for _, v := range s.loose {
			s.counts.add(v)
		}
	}
}

// text reads a string that is a value. An empty one holds nothing.
func (s *scanner) text(i int, at *place) int {
	start := i + 1
	i, seen := run(s.doc, start)
	if i < len(s.doc) && s.doc[i] == '"' {
		if i > start {
			s.leaf(at, s.doc[start:i], seen&highs != 0, true)
		}
		return i + 1
	}
	text, end := s.rest(start, i)
	if end != broken && len(text) > 0 {
		s.leaf(at, text, true, true)
	}
	return end
}

// leaf takes account of a string or a number, which is not empty; sign says whether an at sign may be in it.
func (s *scanner) leaf(at *place, text []byte, sign, isString bool) {
	classes, loose := at.plain, at.loose
	if classify.MayShow(text, sign) {
		if shown := classify.ByForm(text, at.classes, sign); shown != 0 {
			classes = at.classes | shown
			loose = classes & identifying
		}
	}
	if !at.inRecord {
		s.res.Outside |= classes
		if loose != 0 {
			s.counts.add(looseValue{text, loose})
		}
		return
	}
	s.record.Classes |= classes
	if loose != 0 {
		s.loose = append(s.loose, looseValue{text, loose})
	}
	if at.subject {
		s.subject(s.record, text, isString)
	}
}

// subject takes a value as the key of the record's data subject.
func (s *scanner) subject(rec *Record, text []byte, isString bool) {
	canonical, ok := canonical(text, isString)
	if !ok || bytes.Equal(canonical, rec.Key) && rec.Key != nil {
		return
	}
	rec.Key = canonical
	rec.subjects++
}

// canonical returns the canonical form of a key; as a rule that is the value itself, without a copy.
func canonical(text []byte, isString bool) ([]byte, bool) {
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
