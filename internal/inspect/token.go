package inspect

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string, from its opening quote to behind its closing one, and returns it unescaped. Text that is damaged is
// read on with the replacement character; text that never ends breaks the document off.
func (s *scanner) str() ([]byte, bool) {
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
func (s *scanner) keep(text []byte) []byte {
	at := len(s.text)
	s.text = append(s.text, text...)
	return s.text[at:len(s.text):len(s.text)]
}

// escaped reads a string that holds a backslash; start is behind its opening quote.
func (s *scanner) escaped(start int) ([]byte, bool) {
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

// unescape reads the escape sequence that b begins with, of both halves of a surrogate pair at once; a half that stands
// alone is returned as it is.
func unescape(b []byte) (r rune, n int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2, true
	case 'b':
		return '\b', 2, true
	case 'f':
		return '\f', 2, true
	case 'n':
		return '\n', 2, true
	case 'r':
		return '\r', 2, true
	case 't':
		return '\t', 2, true
	case 'u':
		if r, ok = hex4(b[2:]); !ok {
			return 0, 0, false
		}
		if utf16.IsSurrogate(r) && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			if low, ok := hex4(b[8:]); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, 12, true
				}
			}
		}
		return r, 6, true
	}
	return 0, 0, false
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number by the grammar of RFC 8259 section 6.
func (s *scanner) number() bool {
	d, i := s.doc, s.pos
	if d[i] == '-' {
		i++
		if s.pos = i; s.hasWord("Infinity") {
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

// hasWord steps over the word, if it is next.
func (s *scanner) hasWord(w string) bool {
	if bytes.HasPrefix(s.doc[s.pos:], []byte(w)) {
		s.pos += len(w)
		return true
	}
	return false
}

func (s *scanner) literal(w string) bool {
	if s.hasWord(w) {
		return true
	}
	return s.breakOff(NotJSON)
}
