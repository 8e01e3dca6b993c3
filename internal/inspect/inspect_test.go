package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir"
	"weir/internal/classify"
)

func plan(t testing.TB, m Mapping) *Plan {
	t.Helper()
	p, err := Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var customers = Mapping{
	Records: "/items/*", Subject: "/account_number",
	Classes: map[string]weir.Class{"/name": weir.Name, "/email": weir.Email, "/billing_address": weir.PostalAddress, "/plan": weir.Plan},
}

// lines prints a result: one line for each record and one for the rest.
func lines(r *Result) (out []string) {
	for i := range r.Records {
		key := "-"
		if r.Records[i].Key != nil {
			key = string(r.Records[i].Key)
		}
		out = append(out, key+": "+r.Records[i].Classes.String())
	}
	rest := fmt.Sprintf("outside %q worst %d", r.Outside, r.WorstCase)
	for _, k := range r.Kinds() {
		rest += " " + k.String()
	}
	if r.Broken {
		rest += fmt.Sprintf(" broken at %d", r.BrokenAt)
	}
	return append(out, rest)
}

func TestRead(t *testing.T) {
	whole := Mapping{Records: "", Subject: "/id", Classes: map[string]weir.Class{"/owner": weir.Name}}
	for _, tt := range []struct {
		what    string
		mapping Mapping
		doc     string
		want    []string
	}{
		{"list", customers, `{"items":[{"account_number":"0017","name":"Kim","billing_address":{"street":"1 Sample St","x":1}},{"account_number":18,"email":null,"plan":[]}],"next":"18"}`,
			[]string{`0017: account_number,name,postal_address`, `18: account_number`, `outside "" worst 0`}},
		{"document is the record", whole, `{"id":7,"owner":"Kim","note":"x"}`, []string{`7: name,other`, `outside "" worst 0`}},
		{"document is the list", whole, `[{"id":7},{"id":"8","owner":""}]`, []string{`7: other`, `8: other`, `outside "" worst 0`}},
		{"escaped names", whole, `{"\u0069d":"\u0037","own\u0065r":"K"}`, []string{`7: name,other`, `outside "" worst 0`}},
		{"name inherited by a list", whole, `{"id":7,"emails":["kim@example.com"],"contact":{"Phone-Number":"5550142"}}`, []string{`7: email,other,phone`, `outside "" worst 0`}},
		{"value tells though the name does not", whole, `{"id":7,"note":"123-45-6789","x":4111111111111111}`, []string{`7: other,payment_card,ssn`, `outside "" worst 0`}},
		{"mapping does not hide a value", whole, `{"id":7,"owner":"kim@example.com"}`, []string{`7: email,name,other`, `outside "" worst 0`}},
		{"no key", whole, `[{"owner":"Kim"},{"owner":"Lee"},{"id":null,"owner":"Kim"}]`, []string{`-: name`, `-: name`, `-: name`, `outside "" worst 2`}},
		{"key that is none", whole, `[{"id":1.5},{"id":true},{"id":{"id":3}},{"id":" "}]`, []string{`-: other`, `-: other`, `-: other`, `-: other`, `outside "" worst 0`}},
		{"outside", customers, `{"support":{"email":"help@example.com","phone":"x"},"items":[],"total":3,"ok":true}`, []string{`outside "email,phone" worst 1`}},
		{"no mapping", Mapping{}, `[{"email":"a@example.com"},{"email":"b@example.com","n":1}]`, []string{`outside "email" worst 2`}},
		{"subject in the path", Mapping{FromPath: true}, `{"name":"Kim"}`, []string{`-: name`, `outside "" worst 1`}},
		{"a list where none is expected", customers, `{"items":{"a":{"account_number":1}}}`, []string{`1: account_number`, `outside "" worst 0`}},
		{"nested array is no record", whole, `[[{"id":1,"email":"a@example.com"}]]`, []string{`outside "email" worst 1`}},

		{"duplicate key", whole, `{"id":7,"owner":"","owner":"Kim"}`, []string{`7: name,other`, `outside "" worst 0 duplicate_key`}},
		{"duplicate key after unescape", whole, `{"id":7,"a":1,"\u0061":2}`, []string{`7: other`, `outside "" worst 0 duplicate_key`}},
		{"two subjects", whole, `{"id":7,"id":8}`, []string{`-: other`, `outside "" worst 2 duplicate_key second_subject`}},
		{"the same subject twice", whole, `{"id":7,"id":"7"}`, []string{`7: other`, `outside "" worst 0 duplicate_key`}},
		{"bad UTF-8", whole, "{\"id\":\"\xff\"}", []string{"\ufffd: other", `outside "" worst 0 invalid_utf8`}},
		{"lone surrogate", whole, `{"id":"\ud800x"}`, []string{"\ufffdx: other", `outside "" worst 0 lone_surrogate`}},
		{"surrogate pair", whole, `{"id":"\ud83d\ude00"}`, []string{"😀: other", `outside "" worst 0`}},
		{"byte order mark", whole, "\xef\xbb\xbf{\"id\":7}", []string{`7: other`, `outside "" worst 0 byte_order_mark`}},
		{"control character", whole, "{\"id\":\"a\nb\"}", []string{"a\nb: other", `outside "" worst 0 control_char`}},
		{"not finite", whole, `{"id":7,"x":NaN,"y":-Infinity}`, []string{`7: other`, `outside "" worst 0 not_finite`}},
		{"second document", whole, `{"id":7} {"id":8}`, []string{`7: other`, `outside "" worst 0 trailing_bytes broken at 9`}},
		{"cut off", whole, `[{"id":7},{"owner":"Kim`, []string{`7: other`, `-: `, `outside "" worst 0 not_json broken at 23`}},
		{"trailing comma", whole, `{"id":7,}`, []string{`7: other`, `outside "" worst 0 not_json broken at 8`}},
		{"comment", whole, `{"id":7/**/}`, []string{`7: other`, `outside "" worst 0 not_json broken at 7`}},
		{"single quotes", whole, `{'id':7}`, []string{`-: `, `outside "" worst 0 not_json broken at 1`}},
		{"UTF-16", whole, "{\x00\"\x00", []string{`outside "" worst 0 encoding broken at 0`}},
		{"empty", whole, ``, []string{`outside "" worst 0 not_json broken at 0`}},
		{"too deep", whole, strings.Repeat("[", MaxDepth+1), []string{`outside "" worst 0 too_deep broken at 10000`}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			var r Result
			plan(t, tt.mapping).Read([]byte(tt.doc), &r)
			if got := lines(&r); !slices.Equal(got, tt.want) {
				t.Errorf("%.80s\n got %q\nwant %q", tt.doc, got, tt.want)
			}
		})
	}
}

// Each violates one rule of RFC 8259's grammar, in the manner of the published parsing test suites.
func TestNotJSON(t *testing.T) {
	p := plan(t, customers)
	for _, doc := range []string{
		`[1,]`, `[,1]`, `[1 2]`, `[1:2]`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":1,,"b":2}`, `{1:1}`, `[`, `]`, `{`, `}`, `[}`, `{]`, `"`, `"\`, `"\x"`,
		`"\u12"`, `"\u12g4"`, `01`, `-`, `-01`, `1.`, `.5`, `+1`, `1e`, `1e+`, `0x1`, `tru`, `TRUE`, `nul`, `None`, `[1]]`, `1 1`, `'a'`, `/**/1`, `#`, "\u00a01", "[\v1]", "\f1",
	} {
		var r Result
		p.Read([]byte(doc), &r)
		if !r.Broken || r.Irregular == 0 {
			t.Errorf("%s was read to its end", doc)
		}
	}
}

func TestManyKeys(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"id":1`)
	for i := range 100_000 {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	p := plan(t, Mapping{Subject: "/id"})
	var r Result
	p.Read([]byte(b.String()+"}"), &r)
	if r.Irregular != 0 {
		t.Errorf("regular document with many keys: %v", r.Kinds())
	}
	r.Reset()
	p.Read([]byte(b.String()+`,"k77":1}`), &r)
	if !slices.Equal(r.Kinds(), []Kind{DuplicateKey}) {
		t.Errorf("one duplicate among many keys: %v", r.Kinds())
	}
}

func TestCut(t *testing.T) {
	p := plan(t, customers)
	for _, tt := range []struct {
		doc, keep, want string
	}{
		{`{"items":[{"account_number":1},{"account_number":2},{"account_number":3}],"n":3}`, "110", `{"items":[{"account_number":1},{"account_number":2}],"n":3}`},
		{`{"items":[{"account_number":1} , {"account_number":2},{"account_number":3} ]}`, "010", `{"items":[{"account_number":2}]}`},
		{`{"items":[ {"account_number":1}, null, {"account_number":2} ]}`, "00", `{"items":[ null]}`},
		{`{"items":[{"account_number":1}]}`, "0", `{"items":[]}`},
		{`{"items":[{"account_number":1},{"account_number":2}]}`, "11", `{"items":[{"account_number":1},{"account_number":2}]}`},
	} {
		var r Result
		p.Read([]byte(tt.doc), &r)
		got, err := Cut(nil, []byte(tt.doc), &r, func(i int) bool { return tt.keep[i] == '1' })
		if err != nil || string(got) != tt.want {
			t.Errorf("%s without %s: %s, %v; want %s", tt.doc, tt.keep, got, err, tt.want)
		}
	}
	var r Result
	doc := []byte(`{"account_number":1}`)
	plan(t, Mapping{Subject: "/account_number"}).Read(doc, &r)
	if got, err := Cut(nil, doc, &r, func(int) bool { return false }); err == nil {
		t.Errorf("the document itself was cut: %s", got)
	}
}

func TestCompileRefuses(t *testing.T) {
	for what, m := range map[string]Mapping{
		"items":  {Records: "items", Subject: "/id"},
		"id~":    {Subject: "/id~"},
		"id~2":   {Subject: "/id~2"},
		"class":  {Subject: "/id", Classes: map[string]weir.Class{"class": weir.Name}},
		"no sub": {Records: "/items"},
	} {
		if _, err := Compile(m); err == nil {
			t.Errorf("%s: compiled", what)
		}
	}
}

func TestWarmReadDoesNotAllocate(t *testing.T) {
	doc := sampleList(50)
	s := newScanner(plan(t, customers)) // not from the plan's pool, which forgets at times
	var r Result
	s.read(doc, &r)
	if n := testing.AllocsPerRun(50, func() { r.Reset(); s.read(doc, &r) }); n != 0 {
		t.Errorf("%v allocations for 50 records", n)
	}
	if len(r.Records) != 50 {
		t.Errorf("%d records", len(r.Records))
	}
}

func sampleList(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"account_number":"98%08d","name":"Sample Person %d","email":"person%d@example.com","phone":"+1 201 555 0142 x%06d","birth_date":"1980-01-02",`+
			`"billing_address":{"street":"%d Sample Street","city":"Exampleton","state":"NJ","postal_code":"07001"},"plan":{"name":"Sample 5G","lines":2,"features":["voicemail","roaming"]},"created":"2019-03-04T05:06:07Z"}`, i, i, i, i, i)
	}
	b.WriteString(`],"next":"x"}`)
	return b.Bytes()
}

// strict is what a strict parser says, which rejects duplicate keys and bad UTF-8.
func strict(doc []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	if _, err := d.ReadValue(); err != nil {
		return false
	}
	_, err := d.ReadToken()
	return err == io.EOF
}

// reference reads a regular document slowly, from its decoded form.
type reference struct {
	mapping Mapping
	records []string
	outside weir.ClassSet
}

func (r *reference) walk(v any, path []string, named weir.ClassSet) {
	want, _ := parsePointer(r.mapping.Records)
	if r.mapping.Subject != "" && len(path) == len(want) {
		match := true
		for i, w := range want {
			match = match && (w.any || w.name == path[i])
		}
		obj, isObject := v.(map[string]any)
		list, isList := v.([]any)
		switch {
		case match && isObject:
			r.record(obj)
			return
		case match && isList:
			for i, e := range list {
				if obj, ok := e.(map[string]any); ok {
					r.record(obj)
				} else {
					r.walk(e, append(slices.Clone(path), fmt.Sprint(i), "not a record"), named)
				}
			}
			return
		}
	}
	each(v, named, func(name string, v any, named weir.ClassSet) {
		r.walk(v, append(slices.Clone(path), name), named)
	}, func(s string, flag bool) {
		if s != "" && !flag {
			r.outside |= named | classify.ByValue([]byte(s), named)
		}
	})
}

func each(v any, named weir.ClassSet, member func(string, any, weir.ClassSet), leaf func(s string, flag bool)) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			own := named
			if c, ok := classify.ByName([]byte(name)); ok {
				own = weir.Set(c)
			}
			member(name, e, own)
		}
	case []any:
		for i, e := range v {
			member(fmt.Sprint(i), e, named)
		}
	case string:
		leaf(v, false)
	case json.Number:
		leaf(string(v), false)
	case bool:
		leaf(fmt.Sprint(v), true)
	}
}

func (r *reference) record(obj map[string]any) {
	key, found := "-", weir.ClassSet(0)
	var walk func(v any, path string, mapped, named weir.ClassSet)
	walk = func(v any, path string, mapped, named weir.ClassSet) {
		if c, ok := r.mapping.Classes[path]; ok {
			mapped = weir.Set(c)
		}
		each(v, named, func(name string, v any, named weir.ClassSet) { walk(v, path+"/"+name, mapped, named) }, func(s string, _ bool) {
			if s == "" {
				return
			}
			set := mapped
			if set == 0 {
				set = named
			}
			if set |= classify.ByValue([]byte(s), set); set == 0 {
				set = weir.Set(weir.Other)
			}
			found |= set
			if path == r.mapping.Subject {
				form := weir.CanonicalString
				if _, ok := v.(string); !ok {
					form = weir.CanonicalNumber
				}
				if k, err := form(s); err == nil {
					key = k
				}
			}
		})
	}
	walk(obj, "", 0, 0)
	r.records = append(r.records, key+": "+found.String())
}

// A document is regular exactly if a strict parser takes it; then records and classes are what a slow walk over the decoded
// document finds. Whatever it is, reading does not panic, twice gives the same, and a cut document reads as what was kept.
func FuzzRead(f *testing.F) {
	f.Add(sampleList(2), uint64(1))
	f.Add([]byte(`{"items":[{"account_number":"\u0031","name":null,"a":{"b":[1,2,{"email":"x@example.com"}]}},[],7,"a@example.com"],"e":1e5}`), uint64(0))
	f.Add([]byte(`[{"account_number":1},{"account_number":1,"account_number":2}]`), uint64(2))
	f.Add([]byte("\xef\xbb\xbf{\"items\":[\"\xff\",\"\\ud800\",NaN]}"), uint64(0))
	f.Fuzz(func(t *testing.T, doc []byte, keepBits uint64) {
		for _, m := range []Mapping{customers, {Subject: "/account_number"}, {}} {
			p := plan(t, m)
			var r Result
			p.Read(doc, &r)
			if regular := r.Irregular == 0; regular != strict(doc) {
				t.Fatalf("regular: %t (%v), a strict parser says %t", regular, r.Kinds(), strict(doc))
			} else if regular {
				d := json.NewDecoder(bytes.NewReader(doc))
				d.UseNumber()
				var v any
				if err := d.Decode(&v); err != nil {
					t.Fatal(err)
				}
				ref := reference{mapping: m}
				ref.walk(v, nil, 0)
				got := lines(&r)
				got = got[:len(got)-1]
				slices.Sort(got)
				slices.Sort(ref.records)
				if !slices.Equal(got, ref.records) || r.Outside != ref.outside {
					t.Fatalf("got %q outside %s, the reference %q outside %s", got, r.Outside, ref.records, ref.outside)
				}
			}
			before := lines(&r)
			r.Reset()
			p.Read(doc, &r)
			if after := lines(&r); !slices.Equal(before, after) {
				t.Fatalf("first %q, then %q", before, after)
			}
			keep := func(i int) bool { return !r.Records[i].Element || keepBits>>(i%64)&1 == 1 }
			short, err := Cut(nil, doc, &r, keep)
			if err != nil {
				t.Fatal(err)
			}
			if r.Irregular == 0 {
				var kept []string
				for i := range r.Records {
					if keep(i) {
						kept = append(kept, before[i])
					}
				}
				var s Result
				p.Read(short, &s)
				got := lines(&s)
				if s.Irregular != 0 || !slices.Equal(got[:len(got)-1], kept) {
					t.Fatalf("cut to %q, which reads %q, want %q", short, got, kept)
				}
			}
		}
	})
}
