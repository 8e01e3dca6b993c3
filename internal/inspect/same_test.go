package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"weir"
)

// mappings lead to every kind of place: lists, single records, keyed records, numbered elements, wildcards, none at all.
var mappings = []Mapping{
	customers,
	{Subject: "/id", Classes: map[string]weir.Class{"/owner": weir.Name, "": weir.Plan}},
	{Records: "/*", Subject: "/a/id", Classes: map[string]weir.Class{"/a/*": weir.Email, "/a/b": weir.Phone, "/list/1": weir.Name}},
	{Records: "/1/0", Subject: "/0", Classes: map[string]weir.Class{"/x/*/1": weir.SSN}},
	{Records: "/items/*", FromPath: true},
	{},
}

// same compares what a scanner finds with what the slow one does.
func same(t *testing.T, s *scanner, doc []byte) {
	t.Helper()
	var got, want Result
	s.read(doc, &got)
	s.plan.slowRead(doc, &want)
	if g, w := details(&got), details(&want); g != w {
		t.Fatalf("mapping %v, document %.300q\n got %s\nwant %s", s.plan.records, doc, g, w)
	}
}

func details(r *Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "outside %s, irregular %b, broken %t at %d, worst %d\n", r.Outside, r.Irregular, r.Broken, r.BrokenAt, r.WorstCase)
	for _, rec := range r.Records {
		fmt.Fprintf(&b, "%d-%d key %q (%t) element %t subjects %d: %s\n", rec.Start, rec.End, rec.Key, rec.Key == nil, rec.Element, rec.subjects, rec.Classes)
	}
	return b.String()
}

// malformed are documents of which each has something wrong, or something that is easily taken for it.
var malformed = []string{
	`{"items":[{"account_number":1,"account_number":2},{"account_number":"1","name":"\ud800"}],"items":[]}`,
	`{"items":[{"account_number":"a\u0000b","na\u006de":"x","name":"y"},{ "account_number" : 5 , "name" : "z" }]} x`,
	`{"items":[{"account_number":1,"name":"K"},{"account_number":2,"name":"L",}]}`,
	`{"items":[{"account_number":1,"name":"K"},{"account_number":2 "name":"L"}]}`,
	`{"items":[{"account_number":1,"name":"K"},{"account_number":2,"name" "L"}]}`,
	`{"items":[{"account_number":1,"name":"K"},{"account_number":2,"name":`,
	`{"items":[{"account_number":1,"name":"K"},{"account_number":2,"na`,
	`{"items":[{"account_number":1,"name":"K"},{"account_number":2,,"name":"L"}]}`,
	`{"items":[{"account_number":1,"name":"K"},]}`, `{"items":[,{"account_number":1}]}`, `{"items":[{"account_number":1}}]`,
	"{\"items\":[{\"account_number\":1,\"name\":\"\xff\"},{\"account_number\":\"\xc3\x28\",\"n\x01\":\"a\nb\"}]}",
	"{\"n\xff\":1,\"n\xfe\":2,\"n\ufffd\":3,\"\\ud800\":1,\"\\udc00\":2}", "\xef\xbb\xbf[1]", "\x00[", "\xff\xfe", "[1]\x00",
	`{"\ud800":1}`, "{\"n\xff\":1}", "{\"n\x01\":1}", `{"a\"b":1}`, `{"a"b":1}`, "[\"\x80\"]", "[\"abc\x9fdef\"]", "[\"tab\there\"]", `"longname1@b.cd"`,
	`[NaN,-Infinity,Infinity,-Infinit,NaN]`, `{"id":-Infinity,"owner":NaN}`, `[-]`, `[1.]`, `[1e]`, `[-01]`, `[0x1]`, `[1e+5,-0.5E-7,0]`,
	`[tru]`, `[true,false,null,nul]`, `["\x"]`, `["\u12g4"]`, `["\`, `["\u`, `["ab`, `["abcdefgh`, `["abcdefghi\"jkl\\"]`, `{"id":"7","id":"7","id":8}`,
	`{"id":"id","owner":"owner"}`, `{"id":7,"owner":"a","\u006fwner":"b","x":{"owner":"c"}}`, `{"a\":1,\"b":1,"a":1,"b":2}`,
	`[[{"id":1}],{"id":2},3,"a@example.com",[4,"5550142 "]]`, `{"0":{"0":"k"},"1":[{"0":"5","x":[["a","123-45-6789"]]}]}`,
	`[0,[{"0":"k","x":{"a":["b","c"]}},{"0":"l"}]]`, `{"k1":{"a":{"id":1,"b":"c","d":"e"},"list":["x","y","z"]},"k2":{"a":{"id":"2"}},"k3":[{"a":{"id":3}}]}`,
	"[\n  {\n    \"id\": 1,\n    \"owner\": \"a\"\n  },\n  {\n    \"id\": 2,\n    \"owner\": \"b\"\n  }\n]\n", "\t[ \r\n]\v", ``, ` `, `{`, `{"`, `{"a"`, `{"a":`, `{"a":1`, `[`, `[1`, `[1,`,
}

// Whatever was learned, from whatever document, changes nothing of what is found.
func TestSame(t *testing.T) {
	docs := malformed
	for _, n := range []int{1, 3} {
		docs = append(docs, string(sampleList(n)))
	}
	for _, m := range mappings {
		all := newScanner(plan(t, m)) // learns from each after the others
		for _, first := range docs {
			s := newScanner(all.plan)
			same(t, s, []byte(first))
			for _, second := range docs {
				same(t, s, []byte(second))
				same(t, all, []byte(second))
			}
		}
		for _, doc := range docs {
			for n := range len(doc) { // broken off anywhere, after the whole
				same(t, all, []byte(doc)[:n])
			}
			for n := range 9 { // eight bytes are read at a time, as long as there are eight
				same(t, all, []byte(doc+strings.Repeat(" ", n)))
			}
		}
	}
}

// manyNames is an object with the names from k<from> to before k<to>, and the name k<again> at its end.
func manyNames(from, to, again int, value string) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `"k%d":%s,`, i, value)
	}
	return fmt.Sprintf(`{%s"k%d":%s}`, b.String(), again, value)
}

// The bounds of what is learned are crossed within a document, and so is the number of keys from which on a map finds
// duplicates.
func TestSameBeyondBounds(t *testing.T) {
	for _, m := range mappings {
		s := newScanner(plan(t, m))
		for _, again := range []int{0, 63, 64, maxMembers - 1, maxMembers, maxMembers + 1, maxMembers + manyKeys + 5, 9999} {
			same(t, s, []byte(manyNames(0, maxMembers+2*manyKeys, again, `"a@example.com"`)))
			same(t, s, []byte(manyNames(maxMembers-1, maxMembers+manyKeys/2, again, `"b@example.com"`)))
		}
		inner := manyNames(0, maxMembers+2, 9999, `{"k300":1}`) // names that the same layout has no more room for, in each other
		same(t, s, []byte(`{"x":`+inner+`}`))
		same(t, s, []byte(`{"x":`+strings.TrimSuffix(inner, "}")+`,"k300":1}}`))
		same(t, s, []byte(strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth)))
		same(t, s, []byte(strings.Repeat(`{"a":`, MaxDepth+1)))
		for _, long := range []int{maxSpelled - 4, maxSpelled - 3, maxSpelled - 2, maxSpelled, 500} {
			name := strings.Repeat("n", long)
			same(t, s, []byte(`[{"`+name+`":1,"`+name+`x":2},{"`+name+`":1,"`+name+`":2}]`))
		}
	}
	// Enough layouts for the bound of them all: each class that a name means is a place of its own.
	s := newScanner(plan(t, Mapping{Subject: "/id"}))
	for n := 0; s.learned < maxLearned; n++ {
		if n > 100 {
			t.Fatalf("learned %d names, and the bound of %d is not reached", s.learned, maxLearned)
		}
		above := []string{"email", "phone", "ssn", "name", "plan", "dob", "city", "cvv", "pin", "account", "x"}[n%11]
		doc := `{"` + above + `":` + manyNames(n, n+maxMembers, n, "1") + "}"
		if n%2 == 0 {
			doc = `{"id":3,"` + above + `":[` + doc + `]}`
		} else if n%3 == 0 {
			doc = "[[" + doc + "]]"
		}
		same(t, s, []byte(doc))
		same(t, s, []byte(doc))
	}
}

// Each byte, wherever it stands among eight plain ones.
func TestSpecial(t *testing.T) {
	for b := range 256 {
		for at := range 8 {
			eight := []byte("aaaaaaaa")
			eight[at] = byte(b)
			w := binary.LittleEndian.Uint64(eight)
			want := b == '"' || b == '\\' || b < ' ' || b >= 0x80
			if got := special(w); (got != 0) != want || got != 0 && bits.TrailingZeros64(got)>>3 != at {
				t.Errorf("byte %#x at %d: %#x", b, at, got)
			}
			if (signs(w)&highs != 0) != (b == '@') {
				t.Errorf("byte %#x at %d is an at sign: %#x", b, at, signs(w))
			}
		}
	}
}

// A name is guessed only as it stands in the document: had its white space or its escapes been taken for part of it, or its
// bytes for regular ones, the second document would read as the first.
func TestGuessIsTheSameBytes(t *testing.T) {
	s := newScanner(plan(t, Mapping{Subject: "/id"}))
	for _, doc := range []string{
		`{"id":1,"x":2}`, `{"id":1,"x" :2}`, `{"id":1, "x":2}`, `{"id":1,"\u0078":2}`, `{"id":1,"x":2}`, `{"id":1,"x";2}`, `{"id":1,"x\":2}`, `{"id":1,"y":2}`, `{"id":1,"x":`, `{"id":1,"x"`,
	} {
		same(t, s, []byte(doc))
	}
	// A name of each length, and then one that differs in one byte alone: taken for the same, it would stand there twice.
	for length := 1; length < maxSpelled; length++ {
		name := bytes.Repeat([]byte("n"), length)
		for at := range name {
			other := bytes.Clone(name)
			other[at] = 'o'
			same(t, s, fmt.Appendf(nil, `{"id":1,"%s":2}`, name))
			same(t, s, fmt.Appendf(nil, `{"id":1,"%s":2,"%s":3}`, other, name))
		}
	}
}

// FuzzSame reads two documents with one scanner, each against the slow one, and the second again.
func FuzzSame(f *testing.F) {
	for i, doc := range malformed {
		f.Add([]byte(doc), []byte(malformed[(i+1)%len(malformed)]), uint8(i))
	}
	f.Add(sampleList(2), sampleList(3), uint8(0))
	plans := make([]*Plan, len(mappings))
	for i, m := range mappings {
		plans[i] = plan(f, m)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, which uint8) {
		s := newScanner(plans[int(which)%len(plans)])
		same(t, s, first)
		same(t, s, second)
		same(t, s, second)
	})
}
