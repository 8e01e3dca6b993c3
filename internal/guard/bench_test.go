package guard

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkAnswer is what a guard itself does for an answer: it begins, inspects, names, admits and records. With the tag
// weir_ledger_off it does not record. Each answer is another list of another 1,000 people than the one before.
func BenchmarkAnswer(b *testing.B) {
	for _, records := range []int{1, 50, 1000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			g := open(b, options(b, b.TempDir(), 1<<30))
			var answers []Answer
			for n := range 64 {
				answers = append(answers, Answer{Status: 200, ContentType: "application/json", Body: people(n, records)})
			}
			r := request("/v1/customers", "partner")
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				x, no := g.Begin(r)
				if no != nil {
					b.Fatal(no.Type)
				}
				if _, no = x.Answer(answers[n*31%64]); no != nil {
					b.Fatal(no.Type)
				}
			}
		})
	}
}

// people is a list of records of about 600 bytes.
func people(n, records int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"9%08d","name":"Sample Person %d","email":"sample.%d@example.com","phone":"+1 212 555 01%02d",`+
			`"billing_address":{"street":"%d Sample Street","city":"Sampletown","state":"WA","zip":"98%03d"},"plan":"Sample Unlimited",`+
			`"lines":[{"number":"+1 206 555 01%02d","device":"sample phone","since":"2019-03-11"},`+
			`{"number":"+1 206 555 01%02d","device":"sample tablet","since":"2021-04-02"}],"status":"active","autopay":true,`+
			`"balance":%d.%02d,"notes":"an invented customer of an invented carrier, for measuring"}`,
			n*1000+i, i, i, i%100, i%9999, i%1000, i%100, (i+1)%100, i%300, i%100)
	}
	b.WriteString(`],"next":null}`)
	return b.Bytes()
}
