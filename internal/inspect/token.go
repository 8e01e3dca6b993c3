package inspect

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101 // times a byte: that byte, eight times
	highs = 0x80 * ones
)

// special has a bit set if one of eight characters does not stand for itself in a string: a quote, a backslash, a control
// character, or one that is not ASCII. The lowest bit set is in the first such byte; those above it may be wrong. Quote and
// space change places, so that one difference finds the quote below the space with the control characters. (What is not ASCII
// keeps its high bit in one of the differences at least.)
func special(w uint64) uint64 {
	return (((w ^ ('"'^' ')*ones) - (' '+1)*ones) | ((w ^ '\\'*ones) - ones)) & highs
}

// signs has a high bit set if one of eight characters is an at sign; now and then it has one though none is.
func signs(w uint64) uint64 {
	w ^= '@' * ones
	return (w - ones) &^ w
}

// str reads a string from behind its opening quote to behind its closing one, and returns it unescaped. Text that is
// damaged is read on with the replacement character; text that never ends breaks the document off. Where sign is false, no
// at sign is in the text.
func (s *scanner) str(start int) (text []byte, end int, sign bool) {
	i, seen := run(s.doc, start)
	if i < len(s.doc) && s.doc[i] == '"' {
		return s.doc[start:i], i + 1, seen&highs != 0
	}
	text, end = s.rest(start, i)
	return text, end, true
}

// run steps over characters that stand for themselves, eight at a time. In seen a high bit is set if an at sign was among
// them. It is so short that the compiler puts it where it is called, and strings are half of what there is to read.
func run(d []byte, i int) (end int, seen uint64) {
	for ; i <= len(d)-8; i += 8 {
		w := binary.LittleEndian.Uint64(d[i : i+8 : i+8])
		seen |= signs(w)
		if bad := special(w); bad != 0 {
			return i + bits.TrailingZeros64(bad)>>3, seen
		}
	}
	return i, seen
}

// rest is str for a string that is plain from start up to i and goes on there.
func (s *scanner) rest(start, i int) (text []byte, end int) {
	d := s.doc
	ascii := true
	for ; i < len(d); i++ {
		switch c := d[i]; {
		case c == '"':
			text = d[start:i]
			if !ascii && !utf8.Valid(text) {
				s.irregular(InvalidUTF8)
				text = s.keep(bytes.ToValidUTF8(text, []byte("\ufffd")))
			}
			return text, i + 1
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			s.irregular(ControlChar)
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, s.breakOff(NotJSON, len(d))
}

// keep copies text to memory that lasts as long as the result.
func (s *scanner) keep(text []byte) []byte {
	at := len(s.res.text)
	s.res.text = append(s.res.text, text...)
	return s.res.text[at:len(s.res.text):len(s.res.text)]
}

// escaped reads a string that holds a backslash.
func (s *scanner) escaped(start int) (text []byte, end int) {
	d, out := s.doc, s.res.text
	at := len(out)
	for i := start; i < len(d); {
		c := d[i]
		switch {
		case c == '"':
			s.res.text = out
			text = out[at:len(out):len(out)]
			if !utf8.Valid(d[start:i]) {
				s.irregular(InvalidUTF8)
				text = bytes.ToValidUTF8(text, []byte("\ufffd"))
			}
			return text, i + 1
		case c != '\\':
			if c < ' ' {
				s.irregular(ControlChar)
			}
			out = append(out, c)
			i++
		default:
			r, n, ok := unescape(d[i:])
			if !ok {
				return nil, s.breakOff(NotJSON, i)
			}
			if utf16.IsSurrogate(r) {
				s.irregular(LoneSurrogate)
				r = utf8.RuneError
			}
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	return nil, s.breakOff(NotJSON, len(d))
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
func (s *scanner) number(i int) int {
	d := s.doc
	if d[i] == '-' {
		i++
		if hasWord(d[i:], "Infinity") {
			s.irregular(NotFinite)
			return i + len("Infinity")
		}
	}
	ok := true
	if i < len(d) && d[i] == '0' {
		i++
	} else {
		i, ok = digits(d, i)
	}
	if ok && i < len(d) && d[i] == '.' {
		i, ok = digits(d, i+1)
	}
	if ok && i < len(d) && d[i]|0x20 == 'e' {
		if i++; i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		i, ok = digits(d, i)
	}
	if !ok {
		return s.breakOff(NotJSON, i)
	}
	return i
}

// digits steps over digits, of which there must be one at least.
func digits(d []byte, from int) (i int, ok bool) {
	i = from
	for i < len(d) && d[i] >= '0' && d[i] <= '9' {
		i++
	}
	return i, i > from
}

func hasWord(d []byte, w string) bool { return len(d) >= len(w) && string(d[:len(w)]) == w }

// word reads a literal. A truth value within a record is something about the person; outside of any it is nobody's. NaN and
// Infinity hold nothing.
func (s *scanner) word(i int, at *place) int {
	d := s.doc[i:]
	switch {
	case hasWord(d, "null"):
		return i + len("null")
	case hasWord(d, "true"), hasWord(d, "false"):
		n := len("true")
		if d[0] == 'f' {
			n = len("false")
		}
		if at.inRecord {
			s.leaf(at, d[:n], false, false)
		}
		return i + n
	case hasWord(d, "NaN"):
		s.irregular(NotFinite)
		return i + len("NaN")
	case hasWord(d, "Infinity"):
		s.irregular(NotFinite)
		return i + len("Infinity")
	}
	return s.breakOff(NotJSON, i)
}
