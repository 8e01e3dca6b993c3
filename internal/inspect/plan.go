// Package inspect reads one response into records with their classes, naming what is irregular in it.
//
// It has a JSON scanner of its own (RFC 8259), for a guard must know what a lenient client could see in a document and not
// only what a strict one accepts: duplicate keys are read all, damaged text is read on, and each such irregularity is
// reported. A document without irregularities is exactly one that a strict parser takes.
package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"weir"
)

// A Mapping says where a route's answers hold people. Pointers are JSON Pointers (RFC 6901) with one addition: the token *
// stands for each element of an array or each member of an object.
//
// The zero Mapping finds no records: everything personal in the answer then is outside of any.
type Mapping struct {
	Records  string                // a record, or an array whose elements are records; "" is the whole document
	Subject  string                // within a record, the data subject's key; empty with FromPath
	FromPath bool                  // the key is not in the answer: the caller knows it from the request
	Classes  map[string]weir.Class // within a record: everything at and below the pointer is of that class
}

// A Plan is a compiled mapping. It is safe for concurrent use.
type Plan struct {
	records []token // the path of the records pointer
	inside  *node   // pointers within a record
	none    bool    // there are no records

	scanners sync.Pool // *scanner: what one learned makes it faster and changes nothing of what it finds
}

// token is one step of a pointer.
type token struct {
	name string
	any  bool
}

func (t token) matches(name []byte) bool { return t.any || t.name == string(name) }

// node is a place within a record that pointers lead through or to.
type node struct {
	children []child
	subject  bool
	class    weir.ClassSet // at most one
}

type child struct {
	token
	node *node
}

// Compile prepares a mapping. Its errors name the pointer that is wrong.
func Compile(m Mapping) (*Plan, error) {
	if m.Subject == "" && !m.FromPath {
		if m.Records != "" || len(m.Classes) > 0 {
			return nil, fmt.Errorf("mapping with records or classes has no subject")
		}
		return &Plan{none: true}, nil
	}
	records, err := parsePointer(m.Records)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	p := &Plan{records: records, inside: &node{}}
	if !m.FromPath {
		if err := p.inside.add(m.Subject, func(n *node) { n.subject = true }); err != nil {
			return nil, fmt.Errorf("subject: %w", err)
		}
	}
	for pointer, class := range m.Classes {
		if err := p.inside.add(pointer, func(n *node) { n.class = weir.Set(class) }); err != nil {
			return nil, fmt.Errorf("classes: %w", err)
		}
	}
	return p, nil
}

func (n *node) add(pointer string, set func(*node)) error {
	tokens, err := parsePointer(pointer)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		var next *node
		for _, c := range n.children {
			if c.token == t {
				next = c.node
			}
		}
		if next == nil {
			next = &node{}
			n.children = append(n.children, child{t, next})
		}
		n = next
	}
	set(n)
	return nil
}

// step returns the node that a member or an element leads to, or nil. A name of its own goes before the wildcard.
func (n *node) step(name []byte) *node {
	if n == nil {
		return nil
	}
	var found *node
	for i := range n.children {
		c := &n.children[i]
		if c.any {
			if found == nil {
				found = c.node
			}
		} else if c.name == string(name) {
			found = c.node
		}
	}
	return found
}

// numbered reports whether a pointer goes on from here by a name of its own, which may be an element's number.
func (n *node) numbered() bool {
	return slices.ContainsFunc(n.children, func(c child) bool { return !c.any })
}

func parsePointer(s string) ([]token, error) {
	if s == "" {
		return nil, nil
	}
	if s[0] != '/' {
		return nil, fmt.Errorf("pointer %q must be empty or begin with a slash, as in /account_number", s)
	}
	var tokens []token
	for part := range strings.SplitSeq(s[1:], "/") {
		for i := 0; i < len(part); i++ {
			if part[i] == '~' && (i+1 == len(part) || part[i+1] != '0' && part[i+1] != '1') {
				return nil, fmt.Errorf("pointer %q: a tilde must be followed by 0 (for ~) or 1 (for /)", s)
			}
		}
		name := strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		tokens = append(tokens, token{name, part == "*"})
	}
	return tokens, nil
}

// A Kind is a way in which a document is irregular: readers may differ in what they see in it.
type Kind uint8

// The kinds. The numbers are bits in ledgers and stay; new ones are added at the end.
const (
	DuplicateKey  Kind = iota // an object has a key twice
	InvalidUTF8               // a string holds bytes that are not UTF-8
	LoneSurrogate             // an escaped half of a surrogate pair stands alone
	ByteOrderMark             // the document begins with one
	ControlChar               // a string holds an unescaped control character
	NotFinite                 // NaN or Infinity stands for a number
	TrailingBytes             // something follows the document
	TooDeep                   // more than MaxDepth levels
	NotJSON                   // anything else that is no JSON
	Encoding                  // UTF-16 or UTF-32
	SecondSubject             // a record has two different keys of its data subject

	numKinds
)

// MaxDepth is how many levels a document may have.
const MaxDepth = 10_000

var kindNames = [numKinds]string{
	"duplicate_key", "invalid_utf8", "lone_surrogate", "byte_order_mark", "control_char", "not_finite", "trailing_bytes",
	"too_deep", "not_json", "encoding", "second_subject",
}

// String returns the kind's name.
func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return "kind_" + strconv.Itoa(int(k))
}

// A Record is what belongs to one data subject.
type Record struct {
	Start, End int    // its bytes in the document
	Key        []byte // its data subject's canonical key; nil if there is none that can be used
	Classes    weir.ClassSet
	Element    bool // it is an element of an array, so that Cut can take it out

	subjects int // different keys seen
}

// A Result is what Read found. It is reused from document to document; it must not be used while it is being filled, and
// its records' keys may point into the document.
type Result struct {
	Records   []Record
	Outside   weir.ClassSet // classes recognised outside of records
	Irregular uint32        // a bit for each Kind
	Broken    bool          // the document could not be read to its end
	BrokenAt  int           // where
	// WorstCase is how many people may be in what no key attributes: the largest number of distinct values of any one
	// identifying class there, and of different keys within one record.
	WorstCase int

	text []byte // unescaped strings that keys refer to
}

// Reset empties the result and keeps its memory.
func (r *Result) Reset() {
	*r = Result{Records: r.Records[:0], text: r.text[:0]}
}

// IrregularBits returns the document's irregularities, a bit for each Kind.
func (r *Result) IrregularBits() uint32 { return r.Irregular }

// Kinds returns the document's irregularities.
func (r *Result) Kinds() (kinds []Kind) {
	for k := range numKinds {
		if r.Irregular&(1<<k) != 0 {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Cut appends to dst the document without the records that keep refuses, and returns it. It is valid JSON if doc is. A
// record that is no element of an array cannot be taken out; that is an error.
func Cut(dst, doc []byte, r *Result, keep func(i int) bool) ([]byte, error) {
	at := 0
	for i := range r.Records {
		rec := &r.Records[i]
		if keep(i) {
			continue
		}
		if !rec.Element || rec.Start < at {
			return nil, fmt.Errorf("record %d is no element of an array", i)
		}
		dst = append(dst, doc[at:rec.Start]...)
		at = skipSpace(doc, rec.End)
		if at < len(doc) && doc[at] == ',' {
			at = skipSpace(doc, at+1)
		} else if dst = bytes.TrimRight(dst, " \t\r\n"); len(dst) > 0 && dst[len(dst)-1] == ',' {
			dst = dst[:len(dst)-1] // the last element takes the comma before it along
		}
	}
	return append(dst, doc[at:]...), nil
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\r' || b[at] == '\t') {
		at++
	}
	return at
}
