package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"weir"
)

// carrier maps what carrierList writes.
var carrier = Mapping{
	Records: "/items/*", Subject: "/account_number",
	Classes: map[string]weir.Class{"/name": weir.Name, "/email": weir.Email, "/billing_address": weir.PostalAddress},
}

// carrierList is a page of n records of about 600 bytes. With gaps, two members are only in some of them.
func carrierList(n int, gaps bool) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"account_number":"9%08d","name":"Sample Person %d",`, i*7919, i)
		if !gaps || i%3 != 0 {
			fmt.Fprintf(&b, `"email":"sample.%d@example.com",`, i)
		}
		fmt.Fprintf(&b, `"phone":"+1 212 555 01%02d","billing_address":{"street":"%d Sample Street","city":"Sampletown","state":"WA","zip":"98%03d"},`+
			`"plan":"Sample Unlimited","lines":[{"number":"+1 206 555 01%02d","device":"sample phone","since":"2019-0%d-11"},`+
			`{"number":"+1 206 555 01%02d","device":"sample tablet","since":"2021-0%d-02"}],`, i%100, i*31%9999, i%1000, i%100, i%9+1, (i+1)%100, i%9+1)
		if !gaps || i%5 != 0 {
			b.WriteString(`"status":"active",`)
		}
		fmt.Fprintf(&b, `"autopay":%t,"balance":%d.%02d,"notes":"an invented customer of an invented carrier, for measuring"}`, i%2 == 0, i%300, i%100)
	}
	b.WriteString(`],"next":null}`)
	return b.Bytes()
}

// BenchmarkRead stands beside parsers that look at nothing in the same bytes: one that only checks them, and two that name
// each token.
func BenchmarkRead(b *testing.B) {
	compact := carrierList(1000, false)
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		b.Fatal(err)
	}
	p := plan(b, carrier)
	for name, doc := range map[string][]byte{
		"one": carrierList(1, false), "fifty": carrierList(50, false), "thousand": compact, "gaps": carrierList(1000, true), "indented": indented.Bytes(),
	} {
		b.Run("weir/"+name, func(b *testing.B) {
			var r Result
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset()
				p.Read(doc, &r)
			}
		})
	}
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(len(compact)))
		for b.Loop() {
			if !json.Valid(compact) {
				b.Fatal("not valid")
			}
		}
	})
	b.Run("json.Decoder.Token", func(b *testing.B) {
		b.SetBytes(int64(len(compact)))
		for b.Loop() {
			d := json.NewDecoder(bytes.NewReader(compact))
			for {
				if _, err := d.Token(); err != nil {
					break
				}
			}
		}
	})
	b.Run("jsontext.ReadToken", func(b *testing.B) {
		b.SetBytes(int64(len(compact)))
		d := jsontext.NewDecoder(bytes.NewReader(nil))
		for b.Loop() {
			d.Reset(bytes.NewReader(compact))
			for {
				if _, err := d.ReadToken(); err != nil {
					break
				}
			}
		}
	})
}
