package exposure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir"
	"weir/internal/ledger"
)

// world is a ledger and an index of it that a test drives; it draws what happens.
type world struct {
	rt    *rapid.T
	dir   string
	led   *memLedger
	log   *ledger.Log
	now   time.Time
	sizes sizes
	index *Index
	plain bool // outcomes differ in principal, time, bytes and people only

	disk countdown
}

var errCrash = errors.New("crash")

func newWorld(rt *rapid.T, dir string) *world {
	pick := func(name string, choices ...int) int { return rapid.SampledFrom(choices).Draw(rt, name) }
	w := &world{rt: rt, dir: dir, led: newMemLedger(), now: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)}
	w.sizes = sizes{
		chunk: pick("chunk", 1, 2, 5, 4096), bucket: pick("bucket", 1, 2, 4, 1000), batch: pick("batch", 1, 3, 10, 1000),
		live: pick("live", 1, 2, 6, 1000), list: pick("list", 1, 3, 1000), part: pick("part", 0, 2, 15),
	}
	w.plain = rapid.IntRange(0, 3).Draw(rt, "plain") == 0
	w.openLog()
	w.openIndex()
	return w
}

// A countdown is a disk on which some changes of files work, and none after them.
type countdown struct {
	mu   sync.Mutex
	runs bool
	left int // until the crash
}

// set begins the countdown; below 0 there is none.
func (c *countdown) set(left int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs, c.left = left >= 0, left
}

func (c *countdown) fault(string, string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs && c.left == 0 {
		return errCrash
	}
	c.left--
	return nil
}

func (w *world) openLog() {
	log, err := ledger.Open(w.led, ledger.Options{VolumeSize: rapid.SampledFrom([]int64{1, 300, 1 << 20}).Draw(w.rt, "volume size"), Now: func() time.Time { return w.now }})
	if err != nil {
		w.rt.Fatal(err)
	}
	w.log = log
}

func (w *world) openIndex() {
	x, err := Open(Options{Ledger: w.led, Dir: w.dir, sizes: w.sizes, fault: w.disk.fault})
	if err != nil {
		w.rt.Fatal(err)
	}
	w.index = x
}

var (
	testRoutes  = []string{"GET /a", "GET /b", "GET /c"}
	testClasses = []weir.ClassSet{weir.Set(weir.Name), weir.Set(weir.Name, weir.Email), weir.Set(weir.SSN), 0}
)

// person is invented from a number; their hashes are spread as a keyring's pseudonyms are.
func somebody(n int) weir.Pseudonym {
	k, err := weir.NewKeyring(make([]byte, weir.SeedSize))
	if err != nil {
		panic(err)
	}
	return k.DataSubject("account", string(rune('a'+n)))
}

func (w *world) body() ledger.Body {
	rt := w.rt
	who := principal(rapid.IntRange(1, 3).Draw(rt, "who"))
	if w.plain {
		o := disclosed(1, "GET /a", weir.Set(weir.Name))
		o.Principal, o.Bytes = who, rapid.Int64Range(0, 5000).Draw(rt, "bytes")
		for range rapid.SampledFrom([]int{1, 1, 1, 4}).Draw(rt, "records") {
			o.Released = append(o.Released, weir.Record{DataSubject: somebody(rapid.IntRange(0, 40).Draw(rt, "person")), Classes: weir.Set(weir.Name)})
		}
		return o
	}
	switch rapid.IntRange(0, 11).Draw(rt, "kind") {
	case 0:
		return &ledger.Block{Principal: who, Cause: ledger.ByQuota, People: 3, Quota: 3, Window: time.Hour}
	case 1:
		return &ledger.Unblock{Principal: who}
	case 2:
		return &ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Refused, Reason: weir.Blocked, Principal: who, Route: "GET /a", Unit: "account"}}
	}
	o := &ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Disclosed, Principal: who, Route: rapid.SampledFrom(testRoutes).Draw(rt, "route"), Unit: "account", Status: 200}}
	if o.Route == "GET /c" {
		o.Unit = "line"
	}
	o.Bytes = rapid.Int64Range(0, 5000).Draw(rt, "bytes")
	switch rapid.IntRange(0, 5).Draw(rt, "what") {
	case 0:
		o.Kind, o.Reason = weir.Gap, rapid.SampledFrom([]weir.Reason{weir.NotJSON, weir.TooLarge}).Draw(rt, "reason")
	case 1:
		o.Unattached = weir.Unattributed{People: rapid.IntRange(0, 3).Draw(rt, "loose"), Classes: rapid.SampledFrom(testClasses).Draw(rt, "loose classes")}
	}
	if rapid.IntRange(0, 5).Draw(rt, "empty") > 0 {
		for range rapid.SampledFrom([]int{1, 1, 1, 2, 6}).Draw(rt, "records") {
			o.Released = append(o.Released, weir.Record{DataSubject: somebody(rapid.IntRange(0, 40).Draw(rt, "person")), Classes: rapid.SampledFrom(testClasses).Draw(rt, "classes")})
		}
	}
	return o
}

func (w *world) write() {
	for range rapid.IntRange(1, 12).Draw(w.rt, "entries") {
		w.now = w.now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, 900 * time.Millisecond, time.Hour, 25 * time.Hour, 9 * 24 * time.Hour, 100 * 24 * time.Hour}).Draw(w.rt, "after"))
		b := w.body()
		if err := w.log.Append(func(time.Time) []ledger.Body { return []ledger.Body{b} }); err != nil {
			w.rt.Fatal(err)
		}
	}
}

func (w *world) query(entries []ledger.Entry) (q Query) {
	rt := w.rt
	if rapid.Bool().Draw(rt, "by principal") {
		p := principal(rapid.IntRange(1, 4).Draw(rt, "asked principal"))
		q.Principal = &p
	}
	q.Route = rapid.SampledFrom([]string{"", "", "GET /a", "GET /x"}).Draw(rt, "asked route")
	q.Classes = rapid.SampledFrom([]weir.ClassSet{0, 0, weir.Set(weir.Email), weir.Set(weir.Name, weir.SSN)}).Draw(rt, "asked classes")
	at := func(name string) time.Time {
		if len(entries) == 0 || rapid.IntRange(0, 2).Draw(rt, name+" open") == 0 {
			return time.Time{}
		}
		t := entries[rapid.IntRange(0, len(entries)-1).Draw(rt, name)].Time
		return t.Add(rapid.SampledFrom([]time.Duration{0, 0, 1, time.Millisecond, -time.Millisecond, -1, time.Hour}).Draw(rt, name+" near"))
	}
	q.From, q.To = at("from"), at("to")
	return q
}

// check refreshes the index and compares its answers with the recount.
func (w *world) check() {
	if err := w.index.Refresh(context.Background()); err != nil {
		w.rt.Fatal(err)
	}
	entries := allEntries(w.rt, w.led)
	for range 3 {
		if diff := differs(w.index, entries, w.query(entries), rapid.IntRange(0, 4).Draw(w.rt, "n")); diff != "" {
			w.rt.Fatal(diff)
		}
	}
	if diff := accountingDiffers(w.index, entries, somebody(rapid.IntRange(0, 41).Draw(w.rt, "subject"))); diff != "" {
		w.rt.Fatal(diff)
	}
}

// crash ends a refresh at one of its changes of files; what was being written may be there in part.
func (w *world) crash() {
	w.disk.set(rapid.IntRange(0, 12).Draw(w.rt, "crash after"))
	err := w.index.Refresh(context.Background())
	w.disk.set(-1)
	if err != nil && !errors.Is(err, errCrash) {
		w.rt.Fatal(err)
	}
	if rapid.Bool().Draw(w.rt, "goes on") { // as with a disk that was full for a while
		return
	}
	if err := w.index.Close(); err != nil {
		w.rt.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(w.dir, "*.tmp"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			os.Truncate(name, rapid.Int64Range(0, info.Size()).Draw(w.rt, "torn"))
		}
	}
	w.openIndex()
}

// spoil changes or cuts one of the index's files, under a running index or between two.
func (w *world) spoil() {
	names, err := filepath.Glob(filepath.Join(w.dir, "*"))
	if err != nil || len(names) == 0 {
		return
	}
	name := rapid.SampledFrom(names).Draw(w.rt, "file")
	open := rapid.Bool().Draw(w.rt, "running")
	if !open {
		if err := w.index.Close(); err != nil {
			w.rt.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		w.rt.Fatal(err)
	}
	switch what := rapid.IntRange(0, 3).Draw(w.rt, "damage"); {
	case len(b) == 0 || strings.HasSuffix(name, ".lock"):
	case what == 0 && !open:
		os.Remove(name)
	case what == 1:
		os.Truncate(name, rapid.Int64Range(0, int64(len(b)-1)).Draw(w.rt, "cut"))
	default:
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			w.rt.Fatal(err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(w.rt, "at")
		f.WriteAt([]byte{b[at] ^ 1<<rapid.IntRange(0, 7).Draw(w.rt, "bit")}, int64(at))
		f.Close()
	}
	if !open {
		w.openIndex()
	}
}

// P5: whatever was written, however it was cut into volumes and segments, whenever the index crashed, began anew or was
// damaged: every question's answer equals the recount. The long form is -rapid.checks=10000.
func TestAnswersEqualRecount(t *testing.T) {
	root := quickDir(t)
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "index")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWorld(rt, dir)
		defer func() { w.index.Close() }()
		w.write()
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0, 1, 2:
				w.write()
			case 3:
				if err := w.log.Close(); err != nil {
					rt.Fatal(err)
				}
				w.openLog()
			case 4:
				if err := w.index.Close(); err != nil {
					rt.Fatal(err)
				}
				w.openIndex()
			case 5:
				w.crash()
			case 6:
				w.spoil()
			default:
				w.check()
			}
		}
		w.check()
		w.log.Close()
	})
}
