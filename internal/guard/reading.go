package guard

import (
	"encoding/binary"
	"math/bits"
	"mime"
	"slices"
	"strings"

	"weir"
	"weir/internal/inspect"
)

// charsetBit marks in an outcome's irregularities a document that its header says is not UTF-8; the bits below it are those
// of package inspect.
const charsetBit = 1 << 31

// An Answer is what the upstream said, held whole.
type Answer struct {
	Status      int
	ContentType string
	Coded       bool // the body has a content coding that could not be decoded
	Body        []byte
}

// reading is what an answer holds, in the ledger's words.
type reading struct {
	reason     weir.Reason // why enforcing refuses it whoever asks; NoReason if it does not
	gap        bool        // the body was not read
	irregular  uint32
	people     []weir.Pseudonym  // distinct data subjects, in the order of their first record
	records    []weir.Record     // of each, the union of the classes
	personOf   []int             // for each record of the document, its place in people; -1 for none
	cuttable   bool              // records can be taken out of the document
	unattached weir.Unattributed // what belongs to nobody that could be named
	result     *inspect.Result

	namer *weir.Namer
	place places // of each of people
}

func newReading(k *weir.Keyring) *reading {
	return &reading{result: new(inspect.Result), namer: k.Namer()}
}

// reset empties a reading whose room is used again. Nothing that an answer's release still needs points into it: the ledger
// has written down the records, and a body that was cut is its own.
func (rd *reading) reset() {
	*rd = reading{
		people: rd.people[:0], records: rd.records[:0], personOf: rd.personOf[:0], result: rd.result, namer: rd.namer, place: rd.place,
	}
}

// places finds people among those of one answer: a hash table without deletion of which at most half is in use.
type places struct{ slots []int32 } // of a person the place and 1; 0 is free

// expect empties the table and makes room for so many people.
func (t *places) expect(n int) {
	size := 1 << bits.Len(uint(2*n))
	t.slots = slices.Grow(t.slots[:0], size)[:size]
	clear(t.slots)
}

// find returns the person's place in people. Of one that is not there it returns the next place, and expects it to be
// appended.
func (t *places) find(people []weir.Pseudonym, p weir.Pseudonym) (at int, known bool) {
	mask := uint64(len(t.slots) - 1)
	// A pseudonym is as good as random: the guard's key made it.
	for i := binary.LittleEndian.Uint64(p[:8]) & mask; ; i = (i + 1) & mask {
		switch at := int(t.slots[i]) - 1; {
		case at < 0:
			t.slots[i] = int32(len(people) + 1)
			return len(people), false
		case people[at] == p:
			return at, true
		}
	}
}

// read inspects an answer into an empty reading.
func (x *Exchange) read(a *Answer, rd *reading) {
	res := rd.result
	switch {
	case len(a.Body) == 0:
		return
	case x.route.access == passed:
		rd.gap = true
		rd.reason = weir.RoutePasses
		return
	case a.Coded:
		rd.gap = true
		rd.reason = weir.Coding
		return
	}
	media, params, err := mime.ParseMediaType(a.ContentType)
	if !isJSON(media, a.Body) {
		rd.gap = true
		rd.reason = weir.NotJSON
		return
	}
	res.Reset()
	x.route.plan.Read(a.Body, res)
	rd.irregular = res.IrregularBits()
	if err != nil && a.ContentType != "" || foreign(params["charset"]) {
		rd.irregular |= charsetBit
	}
	switch {
	case res.Broken:
		rd.reason = weir.Unreadable
	case rd.irregular != 0 && !x.route.Irregular:
		rd.reason = weir.Irregular
	}
	x.attribute(rd, a)
}

// attribute finds the data subject of each record. Records without one, and what lies outside records, are charged as a
// worst case. An answer that is no success (404, 500 and so on) often stands where a record would: there, values that no
// recogniser names are an error text and not somebody's data. Values that one does name count whatever the status.
func (x *Exchange) attribute(rd *reading, a *Answer) {
	res := rd.result
	rd.personOf = slices.Grow(rd.personOf, len(res.Records))[:len(res.Records)]
	rd.cuttable = true
	rd.place.expect(len(res.Records))
	rd.people, rd.records = slices.Grow(rd.people, len(res.Records)), slices.Grow(rd.records, len(res.Records))
	success := a.Status >= 200 && a.Status < 300
	loose := res.Outside
	for i := range res.Records {
		rec := &res.Records[i]
		key := rec.Key
		if x.route.SubjectIn != "" {
			key = nil
			if len(res.Records) == 1 {
				key = []byte(x.pathKey)
			}
		}
		rd.personOf[i] = -1
		rd.cuttable = rd.cuttable && rec.Element
		switch {
		case !success && rec.Classes&^weir.Set(weir.Other) == 0:
		case len(key) == 0:
			loose |= rec.Classes
			rd.cuttable = false
		default:
			p := rd.namer.DataSubject(x.route.Unit, key)
			at, known := rd.place.find(rd.people, p)
			if !known {
				rd.people = append(rd.people, p)
				rd.records = append(rd.records, weir.Record{DataSubject: p})
			}
			rd.records[at].Classes |= rec.Classes
			rd.personOf[i] = at
		}
	}
	if !success {
		loose &^= weir.Set(weir.Other)
	}
	switch {
	case res.Broken:
		rd.breakOff(loose)
	case loose != 0:
		rd.unattached = weir.Unattributed{People: max(res.WorstCase, x.keyless(rd), 1), Classes: loose}
	}
}

// breakOff turns the reading of a document that could not be read to its end into a gap. The people seen until then are
// charged as a worst case: who else is in the rest, nobody knows.
func (rd *reading) breakOff(seen weir.ClassSet) {
	for _, r := range rd.records {
		seen |= r.Classes
	}
	rd.unattached = weir.Unattributed{People: max(rd.result.WorstCase, len(rd.people), 1), Classes: seen | weir.Set(weir.Other)}
	rd.gap, rd.people, rd.records, rd.cuttable = true, nil, nil, false
}

// keyless counts the records that hold something and belong to nobody.
func (x *Exchange) keyless(rd *reading) (n int) {
	for i, at := range rd.personOf {
		if at < 0 && rd.result.Records[i].Classes != 0 {
			n++
		}
	}
	return n
}

// isJSON reports whether the body is to be read as JSON: its header says so, or it begins as a JSON object or array does.
// The header alone does not decide, because clients sniff.
func isJSON(media string, body []byte) bool {
	if media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json") {
		return true
	}
	for _, b := range body {
		switch b {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf: // white space, and a byte order mark
		case '{', '[':
			return true
		default:
			return false
		}
	}
	return false
}

// foreign reports whether a declared encoding is another than the one JSON has.
func foreign(charset string) bool {
	charset = strings.ToLower(charset)
	return charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii"
}
