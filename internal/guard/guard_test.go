package guard

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/ledger"
	"weir/internal/quota"
)

func testKeyring(t testing.TB) *weir.Keyring {
	t.Helper()
	k, err := weir.NewKeyring(bytes.Repeat([]byte{3}, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keyList(t testing.TB, names ...string) *KeyList {
	t.Helper()
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%x %s\n", sha256.Sum256([]byte("key of "+n)), n)
	}
	l, err := ReadKeyList(strings.NewReader(b.String()), "x-api-key")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const (
	one  = "GET /v1/customers/{id}"
	list = "GET /v1/customers"
)

func options(t testing.TB, path string, quotaOf int) Options {
	return Options{
		Ledger: ledger.Dir(path), Keyring: testKeyring(t), Keys: []*KeyList{keyList(t, "partner", "other")},
		Routes: []*Route{
			{Match: one, Subject: "/id", Classes: map[string]weir.Class{"/id": weir.AccountNumber}},
			{Match: list, Records: "/items/*", Subject: "/id", Classes: map[string]weir.Class{"/id": weir.AccountNumber}, Cut: true},
			{Match: "GET /v1/by-path/{id}", SubjectIn: "id"},
			{Match: "GET /v1/files/{id}", Subject: "/id", PassOther: true},
			{Match: "GET /v1/watched/{id}", Subject: "/id", Observe: true},
			{Match: "GET /v1/loose/{id}", Subject: "/id", Irregular: true},
		},
		Quotas: quota.Rules{{Principal: quota.Everyone, Limit: quota.Limit{Subjects: quotaOf, Window: time.Hour}}},
	}
}

func open(t testing.TB, o Options) *Guard {
	t.Helper()
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func request(path, caller string) *http.Request {
	r := httptest.NewRequest("GET", path, nil)
	if caller != "" {
		r.Header.Set("X-Api-Key", "key of "+caller)
	}
	return r
}

// ask runs a whole exchange.
func ask(g *Guard, path, caller string, a Answer) (Released, *Refusal) {
	x, no := g.Begin(request(path, caller))
	if no != nil {
		return Released{}, no
	}
	if a.Status == 0 {
		a.Status = 200
	}
	if a.ContentType == "" {
		a.ContentType = "application/json"
	}
	return x.Answer(a)
}

func jsonBody(s string) Answer { return Answer{Body: []byte(s)} }

// outcomes reads the ledger's outcomes.
func outcomes(t testing.TB, path string) (out []weir.Outcome, blocks int) {
	t.Helper()
	sum, err := ledger.Read(ledger.Dir(path), ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		switch b := e.Body.(type) {
		case *ledger.Outcome:
			out = append(out, b.Outcome)
		case *ledger.Block:
			blocks++
		}
		return nil
	}})
	if err != nil || len(sum.Faults) > 0 {
		t.Fatal(err, sum.Faults)
	}
	return out, blocks
}

// P1: every exchange, however it ends, leaves exactly one outcome; nothing ends as passed and not written down.
func TestEveryExchangeHasOneOutcome(t *testing.T) {
	for _, tt := range []struct {
		what, path string
		answer     Answer
		kind       weir.OutcomeKind
		reason     weir.Reason
		people     int // attributed
		loose      int // unattributed
		refused    bool
	}{
		{"one person", "/v1/customers/1", jsonBody(`{"id":1,"name":"Kim"}`), weir.Disclosed, 0, 1, 0, false},
		{"list", "/v1/customers", jsonBody(`{"items":[{"id":1},{"id":2},{"id":"1"}]}`), weir.Disclosed, 0, 2, 0, false},
		{"subject in the path", "/v1/by-path/0042", jsonBody(`{"name":"Kim"}`), weir.Disclosed, 0, 1, 0, false},
		{"two records for one in the path", "/v1/by-path/42", jsonBody(`[{"name":"Kim"},{"name":"Lee"}]`), weir.Disclosed, 0, 0, 2, false},
		{"record without a key", "/v1/customers", jsonBody(`{"items":[{"name":"Kim"},{"name":"Lee"},{"x":1}]}`), weir.Disclosed, 0, 0, 3, false},
		{"nobody", "/v1/customers", jsonBody(`{"items":[]}`), weir.NoneFound, 0, 0, 0, false},
		{"empty body", "/v1/customers", Answer{Status: 204}, weir.NoneFound, 0, 0, 0, false},
		{"error text", "/v1/customers/1", Answer{Status: 404, Body: []byte(`{"title":"no such account","id":null}`)}, weir.NoneFound, 0, 0, 0, false},
		{"error text that holds somebody's data", "/v1/customers/1", Answer{Status: 500, Body: []byte(`{"detail":"kim@example.com"}`)}, weir.Disclosed, 0, 0, 1, false},
		{"error with a whole record", "/v1/customers/1", Answer{Status: 500, Body: []byte(`{"id":1,"name":"Kim"}`)}, weir.Disclosed, 0, 1, 0, false},
		{"no route", "/elsewhere", jsonBody(`[{"email":"kim@example.com"},{"email":"lee@example.com"}]`), weir.Disclosed, 0, 0, 2, false},
		{"not JSON", "/v1/customers/1", Answer{ContentType: "text/html", Body: []byte("<p>Kim")}, weir.Refused, weir.NotJSON, 0, 0, true},
		{"JSON in disguise", "/v1/customers/1", Answer{ContentType: "image/png", Body: []byte(` {"id":1}`)}, weir.Disclosed, 0, 1, 0, false},
		{"not JSON, and allowed", "/v1/files/1", Answer{ContentType: "image/png", Body: []byte("\x89PNG")}, weir.Gap, weir.NotJSON, 0, 0, false},
		{"irregular", "/v1/customers/1", jsonBody(`{"id":1,"id":1}`), weir.Refused, weir.Irregular, 0, 0, true},
		{"irregular, and allowed", "/v1/loose/1", jsonBody(`{"id":1,"id":1}`), weir.Disclosed, 0, 1, 0, false},
		{"foreign charset", "/v1/customers/1", Answer{ContentType: "application/json; charset=utf-7", Body: []byte(`{"id":1}`)}, weir.Refused, weir.Irregular, 0, 0, true},
		{"broken", "/v1/customers/1", jsonBody(`{"id":1`), weir.Refused, weir.Unreadable, 0, 0, true},
		{"broken, though irregular ones are allowed", "/v1/loose/1", jsonBody(`{"id":1`), weir.Refused, weir.Unreadable, 0, 0, true},
		{"unknown coding", "/v1/customers/1", Answer{Coded: true, Body: []byte("\x28\xb5\x2f\xfd")}, weir.Refused, weir.Coding, 0, 0, true},
		{"observed: irregular", "/v1/watched/1", jsonBody(`{"id":1,"id":1}`), weir.Disclosed, weir.Irregular, 1, 0, false},
		{"observed: broken", "/v1/watched/1", jsonBody(`{"id":1,"email":"kim@example.com"`), weir.Gap, weir.Unreadable, 0, 1, false},
		{"observed: not JSON", "/v1/watched/1", Answer{ContentType: "text/html", Body: []byte("<p>Kim")}, weir.Gap, weir.NotJSON, 0, 0, false},
		{"ambiguous path", "/v1/x/../customers/1", jsonBody(`{"id":1}`), weir.Refused, weir.Protocol, 0, 0, true},
		{"encoded slash", "/v1/customers%2f1", jsonBody(`{"id":1}`), weir.Refused, weir.Protocol, 0, 0, true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			path := t.TempDir()
			g := open(t, options(t, path, 10))
			out, no := ask(g, tt.path, "partner", tt.answer)
			if (no != nil) != tt.refused {
				t.Fatalf("refused: %v", no)
			}
			if no == nil && !bytes.Equal(out.Body, tt.answer.Body) {
				t.Errorf("released %s", out.Body)
			}
			got, _ := outcomes(t, path)
			if len(got) != 1 {
				t.Fatalf("%d outcomes", len(got))
			}
			o := got[0]
			if o.Kind != tt.kind || o.Reason != tt.reason || len(o.Released) != tt.people || o.Unattached.People != tt.loose {
				t.Errorf("%s, %s, %d people, %d unattributed; want %s, %s, %d, %d", o.Kind, o.Reason, len(o.Released), o.Unattached.People, tt.kind, tt.reason, tt.people, tt.loose)
			}
			if released := int64(len(out.Body)); o.Bytes != released {
				t.Errorf("%d bytes recorded, %d released", o.Bytes, released)
			}
		})
	}
}

// P2 under concurrency: 64 requests at once race for the last of a quota, single records and lists; then again after a
// restart, which must remember. Never one person too many, and nobody refused who fits.
func TestQuotaRace(t *testing.T) {
	for name, ask64 := range map[string]func(g *Guard, i int) (people []string, no *Refusal){
		"single records": func(g *Guard, i int) ([]string, *Refusal) {
			_, no := ask(g, "/v1/customers/1", "partner", jsonBody(fmt.Sprintf(`{"id":%d}`, i)))
			return []string{fmt.Sprint(i)}, no
		},
		"lists": func(g *Guard, i int) ([]string, *Refusal) {
			out, no := ask(g, "/v1/customers", "partner", jsonBody(fmt.Sprintf(`{"items":[{"id":%d},{"id":%d},{"id":%d}]}`, i, i+1, i+2)))
			var people []string
			for n := i; n < i+3; n++ {
				if bytes.Contains(out.Body, fmt.Appendf(nil, `{"id":%d}`, n)) {
					people = append(people, fmt.Sprint(n))
				}
			}
			return people, no
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			const limit, before = 50, 20
			o := options(t, path, limit)
			g := open(t, o)
			for i := range before { // part of the quota is used before the restart
				if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(fmt.Sprintf(`{"id":%d}`, 1000+i))); no != nil {
					t.Fatal(no)
				}
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
			g = open(t, options(t, path, limit))
			var mu sync.Mutex
			released := map[string]bool{}
			var wg sync.WaitGroup
			gate := make(chan struct{})
			for i := range 64 {
				wg.Go(func() {
					<-gate
					people, no := ask64(g, i)
					mu.Lock()
					defer mu.Unlock()
					if no == nil {
						for _, p := range people {
							released[p] = true
						}
					}
				})
			}
			close(gate)
			wg.Wait()
			if len(released) != limit-before {
				t.Errorf("%d people were released beside the %d before, limit %d", len(released), before, limit)
			}
			people := map[weir.Pseudonym]bool{}
			all, blocks := outcomes(t, path)
			for _, o := range all {
				for _, r := range o.Released {
					people[r.DataSubject] = true
				}
			}
			if len(people) != limit || blocks != 1 {
				t.Errorf("the ledger holds %d people and %d blocks", len(people), blocks)
			}
			// The block outlives another restart, and holds for people who were released before.
			g.Close()
			g = open(t, options(t, path, limit))
			if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":1000}`)); no == nil || no.Reason != weir.Blocked {
				t.Errorf("after a restart the blocked principal gets %v", no)
			}
			if _, no := ask(g, "/v1/customers/1", "other", jsonBody(`{"id":1000}`)); no != nil {
				t.Errorf("another principal is refused: %+v", no)
			}
		})
	}
}

func TestCutAnswer(t *testing.T) {
	path := t.TempDir()
	g := open(t, options(t, path, 2))
	out, no := ask(g, "/v1/customers", "partner", jsonBody(`{"items":[{"id":1},{"id":2},{"id":3},{"id":1}],"next":"x"}`))
	if want := `{"items":[{"id":1},{"id":2},{"id":1}],"next":"x"}`; no != nil || string(out.Body) != want || out.Withheld != 1 {
		t.Errorf("%s, %d withheld, %v", out.Body, out.Withheld, no)
	}
	got, blocks := outcomes(t, path)
	if len(got) != 1 || len(got[0].Released) != 2 || got[0].Withheld != 1 || got[0].Reason != weir.QuotaExceeded || blocks != 1 {
		t.Errorf("%+v, %d blocks", got, blocks)
	}
	// A list with somebody who cannot be named cannot be cut: it is refused.
	if _, no := ask(g, "/v1/customers", "other", jsonBody(`{"items":[{"id":1},{"id":2},{"name":"Kim"}]}`)); no == nil || no.Reason != weir.QuotaExceeded {
		t.Errorf("a list that cannot be cut: %+v", no)
	}
}

func TestObserveRecordsAndRefusesNothing(t *testing.T) {
	path := t.TempDir()
	g := open(t, options(t, path, 2))
	for i := range 4 {
		if _, no := ask(g, "/v1/watched/1", "partner", jsonBody(fmt.Sprintf(`{"id":%d}`, i))); no != nil {
			t.Fatal(no)
		}
	}
	got, blocks := outcomes(t, path)
	if len(got) != 4 || !got[3].Observed || got[3].Reason != weir.QuotaExceeded || got[1].Reason != weir.NoReason || blocks != 0 {
		t.Errorf("%+v, %d blocks", got, blocks)
	}
	// What was observed counts where the route is enforced.
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":99}`)); no == nil {
		t.Error("the observed people were not charged")
	}
}

// P9: a switch of mode is itself an entry, and only a switch is.
func TestModeSwitchIsAnEntry(t *testing.T) {
	path := t.TempDir()
	modes := func() (n int) {
		if _, err := ledger.Read(ledger.Dir(path), ledger.ReadOptions{Visit: func(e ledger.Entry) error {
			if _, ok := e.Body.(*ledger.Mode); ok {
				n++
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var counts []int
	for _, observe := range []bool{false, false, true, true} {
		o := options(t, path, 5)
		o.Routes[0].Observe = observe
		open(t, o).Close()
		counts = append(counts, modes())
	}
	if counts[1] != counts[0] || counts[2] != counts[0]+1 || counts[3] != counts[2] {
		t.Errorf("mode entries after each start: %v", counts)
	}
}

func TestBlockByHand(t *testing.T) {
	path := t.TempDir()
	g := open(t, options(t, path, 5))
	who, err := g.Resolve("partner")
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := g.Block(who); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if changed, err := g.Block(who); changed || err != nil {
		t.Errorf("blocking twice: %t, %v", changed, err)
	}
	if _, no := g.Begin(request("/v1/customers/1", "partner")); no == nil || no.Reason != weir.Blocked {
		t.Errorf("the upstream would be asked for a blocked principal: %+v", no)
	}
	g.Close()
	g = open(t, options(t, path, 5))
	byID, err := g.Resolve(who.ID.String())
	if err != nil || byID.Name != "partner" {
		t.Fatalf("%+v, %v", byID, err)
	}
	if changed, err := g.Unblock(byID); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":1}`)); no != nil {
		t.Errorf("after unblock: %+v", no)
	}
	if _, err := g.Resolve("stranger"); err == nil {
		t.Error("an unknown name was resolved")
	}
}

// Callers without a credential that verifies share one quota, route by route; a header given twice verifies nobody.
func TestUnverifiedArePooled(t *testing.T) {
	o := options(t, t.TempDir(), 10)
	o.Quotas = append(o.Quotas, quota.Rule{Principal: weir.Unverified, Limit: quota.Limit{Subjects: 1, Window: time.Hour}})
	g := open(t, o)
	twice := request("/v1/customers/1", "partner")
	twice.Header.Add("X-Api-Key", "second")
	for _, r := range []*http.Request{request("/v1/customers/1", ""), request("/v1/customers/1", "stranger"), twice} {
		x, no := g.Begin(r)
		if no != nil {
			t.Fatal(no)
		}
		if p := x.Principal(); !p.Pooled || p.Name != "unverified "+one {
			t.Errorf("principal %+v", p)
		}
	}
	if _, no := ask(g, "/v1/customers/1", "", jsonBody(`{"id":1}`)); no != nil {
		t.Fatal(no)
	}
	if _, no := ask(g, "/v1/customers/1", "stranger", jsonBody(`{"id":2}`)); no == nil {
		t.Error("a second unverified caller has a quota of its own")
	}
	if _, no := ask(g, "/v1/by-path/1", "", jsonBody(`{"name":"Kim"}`)); no != nil {
		t.Error("the pool of one route was charged to that of another")
	}
}

// brokenFS fails every write once it is told to.
type brokenFS struct {
	ledger.FS
	broken *bool
}

type brokenFile struct {
	ledger.File
	broken *bool
}

func (b brokenFS) Create(name string) (ledger.File, error) {
	f, err := b.FS.Create(name)
	return brokenFile{f, b.broken}, err
}

func (f brokenFile) WriteAt(p []byte, off int64) (int, error) {
	if *f.broken {
		return 0, errors.New("no space left on device")
	}
	return f.File.WriteAt(p, off)
}

// P1 and P9: a ledger that cannot be written releases nothing, now and later.
func TestNothingLeavesWhenTheLedgerFails(t *testing.T) {
	broken := false
	o := options(t, t.TempDir(), 10)
	o.Ledger = brokenFS{o.Ledger, &broken}
	g := open(t, o)
	if _, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":1}`)); no != nil {
		t.Fatal(no)
	}
	broken = true
	for range 2 {
		out, no := ask(g, "/v1/customers/1", "partner", jsonBody(`{"id":2}`))
		if no == nil || no.Status != http.StatusServiceUnavailable || out.Body != nil {
			t.Errorf("released %s, %+v", out.Body, no)
		}
		broken = false // a disk that works again does not bring the log back: what it holds is not known
	}
	if g.Err() == nil {
		t.Error("the guard does not say that it has stopped")
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	for what, change := range map[string]func(*Options){
		"pattern":          func(o *Options) { o.Routes[0].Match = "/no/method" },
		"pattern syntax":   func(o *Options) { o.Routes[0].Match = "GET /a/{" },
		"trailing slash":   func(o *Options) { o.Routes[0].Match = "GET /a/" },
		"conflict":         func(o *Options) { o.Routes[0].Match = list },
		"pointer":          func(o *Options) { o.Routes[0].Subject = "id" },
		"no subject":       func(o *Options) { o.Routes[0].Subject = "" },
		"two subjects":     func(o *Options) { o.Routes[0].SubjectIn = "id" },
		"unknown wildcard": func(o *Options) { o.Routes[2].SubjectIn = "account" },
		"unit":             func(o *Options) { o.Routes[0].Unit = "The Account" },
		"unmatched":        func(o *Options) { o.Unmatched = "ignore" },
		"no quota":         func(o *Options) { o.Quotas = nil },
	} {
		path := t.TempDir()
		o := options(t, path, 5)
		change(&o)
		err := o.Check()
		if _, openErr := Open(o); err == nil || openErr == nil {
			t.Errorf("%s: Check says %v, Open %v", what, err, openErr)
		}
		if left, _ := os.ReadDir(path); len(left) != 0 {
			t.Errorf("%s: a refused start left %d files", what, len(left))
		}
	}
}

func TestKeyList(t *testing.T) {
	for what, text := range map[string]string{
		"empty":     "# nothing\n\n",
		"not hex":   "xyz partner\n",
		"no name":   strings.Repeat("a", 64) + "\n",
		"two words": strings.Repeat("a", 64) + " partner one\n",
		"reserved":  strings.Repeat("a", 64) + " unverified\n",
		"twice":     strings.Repeat("a", 64) + " a\n" + strings.Repeat("a", 64) + " b\n",
	} {
		if _, err := ReadKeyList(strings.NewReader(text), "X-Api-Key"); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guard.key")
	if _, err := LoadKey(path); !errors.Is(err, ErrNoKey) {
		t.Errorf("missing: %v", err)
	}
	made, err := CreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if loaded, err := LoadKey(path); err != nil || loaded.ID() != made.ID() {
		t.Errorf("loaded %v", err)
	}
	if _, err := CreateKey(path); err == nil {
		t.Error("a key was overwritten")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil {
		t.Error("a key that everybody may read was taken")
	}
	if err := os.WriteFile(path, []byte("weir guard key v2\n00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o600)
	if _, err := LoadKey(path); err == nil {
		t.Error("a key file of another version was taken")
	}
}
