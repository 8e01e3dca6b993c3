package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/examples/carrier"
	"weir/internal/exposure"
	"weir/internal/ledger"
)

const testKey = "sample-key-partner"

// weirRun runs a command as main would, and returns what it left.
func weirRun(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// must runs a command that is to end well.
func must(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := weirRun(t, "", args...)
	if status != 0 {
		t.Fatalf("weir %s: status %d, %s", strings.Join(args, " "), status, errs)
	}
	return out
}

// workplace is a folder with a config, and a carrier to put the guard before.
type workplace struct {
	t      *testing.T
	dir    string
	config string
}

const testConfig = `data: data
guard:
  name: guard.example.com
  listen: 127.0.0.1:0
  upstream: UPSTREAM
  principal:
    - {header: X-Api-Key, keys: keys.txt}
  routes:
    - match: GET /v1/customers/{account}
      subject: /account_number
      unit: account
      classes: {/name: name, /billing_address: postal_address}
    - match: GET /v1/customers
      records: /items/*
      subject: /account_number
      unit: account
      over: cut
  unmatched: refuse
  quotas:
    - {principal: "*", subjects: 1000000, per: 24h}
register:
  listen: 127.0.0.1:0
`

func newWorkplace(t *testing.T) *workplace {
	t.Helper()
	upstream := httptest.NewServer(carrier.Handler([]string{testKey}))
	t.Cleanup(upstream.Close)
	w := &workplace{t, t.TempDir(), ""}
	w.config = filepath.Join(w.dir, "weir.yaml")
	w.write("weir.yaml", strings.Replace(testConfig, "UPSTREAM", upstream.URL, 1))
	w.write("keys.txt", fmt.Sprintf("%x partner\n", sha256.Sum256([]byte(testKey))))
	t.Cleanup(w.recount)
	return w
}

// recount compares, after every test of a guard, the index with a plain count of the ledger that the test left (P5).
func (w *workplace) recount() {
	dir := filepath.Join(w.dir, "data", "guard")
	if fresh, err := withoutLedger(dir); fresh || err != nil || w.t.Failed() {
		return
	}
	type count struct {
		classes weir.ClassSet
		n       int
	}
	want := map[string]count{}
	sum, err := ledger.Read(ledger.Dir(dir), ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		if o, ok := e.Body.(*ledger.Outcome); ok {
			for _, r := range o.Released {
				c := want[r.DataSubject.String()]
				want[r.DataSubject.String()] = count{c.classes | r.Classes, c.n + 1}
			}
		}
		return nil
	}})
	if err != nil {
		w.t.Error(err)
		return
	}
	for _, index := range []string{indexDir(dir), ""} { // the one that the test left, and one made anew
		x, err := exposure.Open(exposure.Options{Ledger: ledger.Dir(dir), Dir: index})
		if err != nil {
			w.t.Error(err)
			return
		}
		got := map[string]count{}
		err = errors.Join(x.Refresh(context.Background()), x.People(exposure.Query{}, func(p *exposure.Person) error {
			got[p.DataSubject.String()] = count{p.Classes, p.Count}
			return nil
		}), x.Close())
		if err != nil || !maps.Equal(got, want) {
			w.t.Errorf("index %q: %d people, %v; the ledger has %d (faults: %v)", index, len(got), err, len(want), sum.Faults)
		}
	}
}

func (w *workplace) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// change replaces a part of the config.
func (w *workplace) change(old, with string) {
	w.t.Helper()
	text, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		w.t.Fatalf("the config holds no %q", old)
	}
	w.write("weir.yaml", strings.Replace(string(text), old, with, 1))
}

// serving is weir serve, running in this process.
type serving struct {
	guard, register string // addresses
	stop            func() (status int, stderr string)
}

var listening = regexp.MustCompile(`weir: (guard|register) on (http://\S+)`)

func (w *workplace) serve() *serving {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, pipe := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "-config", w.config}, strings.NewReader(""), io.Discard, pipe)
		pipe.Close()
	}()
	s := &serving{}
	lines := newLines(r)
	for s.guard == "" || s.register == "" {
		line, ok := lines.next()
		if !ok {
			w.t.Fatalf("weir serve ended: %s", lines.all())
		}
		if m := listening.FindStringSubmatch(line); m != nil && m[1] == "guard" {
			s.guard = m[2]
		} else if m != nil {
			s.register = m[2]
		}
	}
	go lines.drain()
	stopped := false
	s.stop = func() (int, string) {
		stopped = true
		cancel()
		return <-done, lines.all()
	}
	w.t.Cleanup(func() {
		if !stopped {
			s.stop()
		}
	})
	return s
}

func get(t *testing.T, address, key string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// The demo's figures are what the issue of its own story says, and its pages are there for the public and for members.
func TestDemo(t *testing.T) {
	var r demoReport
	if err := json.Unmarshal([]byte(must(t, "demo", "-json")), &r); err != nil {
		t.Fatal(err)
	}
	if r.PeopleRequested != demoScrape || r.PeopleReleased != demoQuota || r.Quota != demoQuota || !r.Blocked || r.AffectedPeople != demoQuota ||
		r.Coverage != 1 || !r.ExposureEqualsReceive || !r.LedgerVerified || r.IncidentURL == "" || r.SecondsToContainment <= 0 {
		t.Errorf("%+v", r)
	}
	if n := r.AffectedByClass["email"]; n < 300 || n >= demoQuota || r.AffectedByClass["name"] != demoQuota || r.AffectedByClass["ssn"] != 0 {
		t.Errorf("classes: %v", r.AffectedByClass)
	}
	if !slices.Contains(r.NoneFound, "ssn") {
		t.Errorf("none found: %v", r.NoneFound)
	}
}

// The demo stays up until it is interrupted, shows the incident to everybody, and leaves nothing behind.
func TestDemoStaysUp(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(context.Background())
	r, pipe := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"demo", "-fast"}, strings.NewReader(""), pipe, io.Discard)
		pipe.Close()
	}()
	lines := newLines(r)
	for {
		line, ok := lines.next()
		if !ok {
			t.Fatalf("the demo ended: %s", lines.all())
		}
		if strings.Contains(line, "until you interrupt it") {
			break
		}
	}
	go lines.drain()
	story := lines.all()
	page := regexp.MustCompile(`http://\S+/incidents/guard-\S+`).FindString(story)
	if status, body := get(t, page, ""); status != 200 || !strings.Contains(body, "none found, at coverage 1") {
		t.Errorf("%s: status %d", page, status)
	}
	password := regexp.MustCompile(`password ([A-Z2-7]{12})`).FindStringSubmatch(story)[1]
	real := regexp.MustCompile(`http://\S+/incidents/t-mobile-us-2022-11`).FindString(story)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	login, _, _ := strings.Cut(real, "/incidents/")
	res, err := client.PostForm(login+"/login", url.Values{"name": {"member"}, "password": {password}, "next": {"/incidents/t-mobile-us-2022-11"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "T1190") {
		t.Errorf("a member does not see the technique: %v", err)
	}
	if _, body := get(t, real, ""); strings.Contains(body, "T1190") || !strings.Contains(body, "1 technique") {
		t.Error("the public does not see a count of techniques")
	}
	cancel()
	if status := <-done; status != 0 {
		t.Errorf("status %d", status)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Wrong configs get one line that names the place, status 2, and nothing is made.
func TestWrongConfig(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		name, old, with string
		want            string
	}{
		{"unknown key", "  unmatched: refuse", "  unmatchd: refuse", "unmatchd"},
		{"bad pointer", "subject: /account_number", "subject: account_number", "account_number"},
		{"pointer with a bad escape", "records: /items/*", "records: /ite~2ms/*", "~2"},
		{"missing key list", "keys: keys.txt", "keys: none.txt", "none.txt"},
		{"port taken", "listen: 127.0.0.1:0", "listen: " + taken.Addr().String(), "address already in use"},
		{"no such address", "listen: 127.0.0.1:0", "listen: nowhere", "nowhere"},
		{"no upstream", "upstream: http", "upstream: ftp", "upstream"},
		{"unknown class", "/name: name", "/name: nmae", "nmae"},
		{"unknown mode", "  unmatched: refuse", "  mode: watch\n  unmatched: refuse", "watch"},
		{"unknown over", "over: cut", "over: trim", "trim"},
		{"subjects of the wrong type", "subjects: 1000000", "subjects: many", "many"},
		{"no duration", "per: 24h", "per: day", "day"},
		{"bad match", "match: GET /v1/customers/{account}", "match: GET v1", "v1"},
		{"key of another type", "routes:", "routes: 7\n  other:", "line 8"},
		{"no YAML", "guard:", "guard: [", "weir.yaml"},
		{"register: bad guard key", "register:", "register:\n  guards: [abc]", "abc"},
		{"register: public_url without a scheme", "register:", "register:\n  public_url: register.example.com", "https://register.example.com"},
		{"register: public_url with a path", "register:", "register:\n  public_url: https://example.com/register", "host name of its own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorkplace(t)
			w.change(tt.old, tt.with)
			status, out, errs := weirRun(t, "", "serve", "-config", w.config)
			lines := strings.Split(strings.TrimSpace(errs), "\n")
			if last := lines[len(lines)-1]; status != 2 || out != "" || len(lines) != 1 || !strings.HasPrefix(last, "weir: ") || !strings.Contains(last, tt.want) {
				t.Errorf("status %d: %s%s", status, out, errs)
			}
			files, err := os.ReadDir(w.dir)
			if err != nil || len(files) != 2 {
				t.Errorf("files: %v, %v", files, err)
			}
		})
	}
}

func TestRegisterPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := newWorkplace(t)
	w.change("register:\n  listen: 127.0.0.1:0", "register:\n  listen: "+taken.Addr().String())
	if status, _, errs := weirRun(t, "", "serve", "-config", w.config); status != 2 || !strings.Contains(errs, "address already in use") {
		t.Errorf("status %d: %s", status, errs)
	}
	if files, err := os.ReadDir(w.dir); err != nil || len(files) != 2 {
		t.Errorf("files: %v, %v", files, err)
	}
}

func TestMissingConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"serve"}, {"exposure"}, {"ledger", "verify"}, {"register", "import"}} {
		if status, _, errs := weirRun(t, "", args...); status != 2 || !strings.Contains(errs, "-config") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	if status, _, errs := weirRun(t, "", "frobnicate"); status != 2 || !strings.Contains(errs, "weir help") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// A ledger is never continued with another key, nor by two at once.
func TestLedgerHasOneKeyAndOneOwner(t *testing.T) {
	w := newWorkplace(t)
	s := w.serve()
	status, _, errs := weirRun(t, "", "serve", "-config", w.config)
	if status != 2 || !strings.Contains(errs, fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(errs, strings.TrimPrefix(s.guard, "http://")) {
		t.Errorf("a second guard: status %d, %s", status, errs)
	}
	if status, _ := get(t, s.guard+"/v1/customers/"+carrier.At(0).AccountNumber, testKey); status != 200 {
		t.Errorf("the first guard answers %d", status)
	}
	if status, errs := s.stop(); status != 0 {
		t.Errorf("stopped with status %d: %s", status, errs)
	}
	key := filepath.Join(w.dir, "data.key")
	was, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	other := newWorkplace(t)
	other.serve().stop()
	text, err := os.ReadFile(filepath.Join(other.dir, "data.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"another ledger's key": func() error { return os.WriteFile(key, text, 0o600) },
		"no key":               func() error { return os.Remove(key) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if status, _, errs := weirRun(t, "", "serve", "-config", w.config); status != 2 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "key") {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
	}
	if err := os.WriteFile(key, was, 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve()
}

// Commands that ask the ledger agree with what the client received; block and unblock reach the running guard.
func TestCommands(t *testing.T) {
	w := newWorkplace(t)
	s := w.serve()
	first := carrier.At(7)
	for _, path := range []string{"/v1/customers/" + first.AccountNumber, "/v1/customers?limit=30"} {
		if status, body := get(t, s.guard+path, testKey); status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
	}
	var report exposureReport
	if err := json.Unmarshal([]byte(must(t, "exposure", "-config", w.config, "-format", "json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.People != 30 || report.Disclosures != 31 || report.Unit != "account" || report.Coverage != 1 || !slices.Equal(report.ByPrincipal, []string{"partner"}) {
		t.Errorf("%+v", report)
	}
	name := strings.TrimSpace(must(t, "pseudonym", "-config", w.config, first.AccountNumber))
	list := must(t, "exposure", "-config", w.config, "-list", "-format", "json")
	if n := strings.Count(list, "\n"); n != 30 || !strings.Contains(list, fmt.Sprintf(`{"data_subject":%q`, name)) {
		t.Errorf("%d lines: %s", n, list)
	}
	_, fromInput, _ := weirRun(t, first.AccountNumber+"\n", "pseudonym", "-config", w.config, "-")
	if strings.TrimSpace(fromInput) != name {
		t.Errorf("from standard input: %q", fromInput)
	}
	rows := strings.Split(strings.TrimSpace(must(t, "accounting", "-config", w.config, "-format", "csv", first.AccountNumber)), "\n")
	if len(rows) != 3 || !strings.Contains(rows[1], "partner") || !strings.Contains(rows[1], "GET /v1/customers/{account}") {
		t.Errorf("accounting: %q", rows)
	}
	if status, _, errs := weirRun(t, "", "exposure", "-config", w.config, "-principal", "nobody"); status != 2 || !strings.Contains(errs, "nobody") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := weirRun(t, "", "exposure", "-config", w.config, "-format", "xml"); status != 2 || !strings.Contains(errs, "xml") {
		t.Errorf("status %d: %s", status, errs)
	}

	must(t, "block", "-config", w.config, "partner")
	if status, _ := get(t, s.guard+"/v1/customers/"+first.AccountNumber, testKey); status != http.StatusForbidden {
		t.Errorf("blocked: status %d", status)
	}
	must(t, "unblock", "-config", w.config, "partner")
	if status, _, _ := weirRun(t, "", "unblock", "-config", w.config, "partner"); status != 1 {
		t.Errorf("unblocking twice: status %d", status)
	}
	if status, _ := get(t, s.guard+"/v1/customers/"+first.AccountNumber, testKey); status != 200 {
		t.Errorf("unblocked: status %d", status)
	}

	checkpoint := filepath.Join(w.dir, "checkpoint")
	w.write("checkpoint", must(t, "ledger", "checkpoint", "-config", w.config))
	if out := must(t, "ledger", "verify", "-config", w.config, "-checkpoint", checkpoint); !strings.HasSuffix(out, ", ok\n") {
		t.Errorf("verify: %s", out)
	}
	s.stop()
	volumes, err := filepath.Glob(filepath.Join(w.dir, "data", "guard", "*.weir"))
	if err != nil || len(volumes) == 0 {
		t.Fatal(err)
	}
	b, err := os.ReadFile(volumes[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(volumes[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := weirRun(t, "", "ledger", "verify", "-config", w.config); status != 1 || strings.HasSuffix(out, ", ok\n") || errs == "" {
		t.Errorf("a flipped bit: status %d, %s%s", status, out, errs)
	}
}

// The seam by hand: statement, import, sign-in. A statement of a guard that the register does not know is not taken.
func TestStatementAndImport(t *testing.T) {
	w := newWorkplace(t)
	s := w.serve()
	get(t, s.guard+"/v1/customers?limit=30", testKey)
	file := filepath.Join(w.dir, "statement")
	must(t, "statement", "-config", w.config, "-o", file)
	if status, out, errs := weirRun(t, "", "register", "import", "-config", w.config, file); status != 2 || out != "" || !strings.Contains(errs, "register.guards") {
		t.Errorf("an unknown guard's: status %d, %s%s", status, out, errs)
	}
	vkey := regexp.MustCompile(`guard\.example\.com\+\S+`).FindString(must(t, "ledger", "stat", "-config", w.config))
	w.change("register:", "register:\n  guards: [\""+vkey+"\"]")
	id := strings.TrimSpace(must(t, "register", "import", "-config", w.config, file))
	if status, _ := get(t, s.register+"/incidents/"+id, ""); status != http.StatusNotFound {
		t.Errorf("the public gets the draft with status %d", status)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("forged", strings.Replace(string(text), `"people": 30`, `"people": 29`, 1))
	if status, _, _ := weirRun(t, "", "register", "import", "-config", w.config, filepath.Join(w.dir, "forged")); status != 2 {
		t.Errorf("a changed statement: status %d", status)
	}
	if status, out, errs := weirRun(t, "", "register", "import", "-config", w.config, "../../records"); status != 0 || !strings.Contains(out, "t-mobile-us-2022-11") || !strings.Contains(errs, "0 new claims") {
		t.Errorf("a folder: status %d, %s%s", status, out, errs)
	}
	if status, out, _ := weirRun(t, "", "register", "import", "-config", w.config, "../../records/t-mobile-us-2018-08.yaml"); status != 0 || out != "t-mobile-us-2018-08\n" {
		t.Errorf("a record: status %d, %s", status, out)
	}
	if status, _, errs := weirRun(t, "", "register", "import", "-config", w.config, "weir_test.go", "nothing"); status != 2 || !strings.Contains(errs, "weir_test.go: no signed statement") || !strings.Contains(errs, "nothing: no such file") {
		t.Errorf("what is no import: status %d, %s", status, errs)
	}

	if status, _, errs := weirRun(t, "short\n", "register", "user", "add", "-config", w.config, "reader"); status != 2 || !strings.Contains(errs, "10 to 72") {
		t.Errorf("a short password: status %d, %s", status, errs)
	}
	add := func() (int, string) {
		status, _, errs := weirRun(t, "a long password\n", "register", "user", "add", "-tier", "responder", "-config", w.config, "reader")
		return status, errs
	}
	if status, errs := add(); status != 0 {
		t.Fatalf("status %d, %s", status, errs)
	}
	if status, errs := add(); status != 2 || !strings.Contains(errs, "already") {
		t.Errorf("the same name twice: status %d, %s", status, errs)
	}
	if status, _, errs := weirRun(t, "a long password\n", "register", "user", "add", "-tier", "public", "-config", w.config, "other"); status != 2 || !strings.Contains(errs, "public") {
		t.Errorf("tier public: status %d, %s", status, errs)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: time.Minute}
	draft := s.register + "/incidents/" + id
	sees := func(res *http.Response, err error) bool {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return err == nil && strings.Contains(string(body), "Draft.")
	}
	signIn := func(password string) bool {
		return sees(browser.PostForm(s.register+"/login", url.Values{"name": {"reader"}, "password": {password}, "next": {"/incidents/" + id}}))
	}
	if !signIn("a long password") {
		t.Error("a responder does not see the draft")
	}

	user := func(args ...string) (int, string, string) {
		return weirRun(t, "another password\n", append([]string{"register", "user", args[0], "-config", w.config}, args[1:]...)...)
	}
	if status, out, errs := user("list"); status != 0 || out != "responder reader\n" {
		t.Errorf("the list: status %d, %s%s", status, out, errs)
	}
	if status, _, errs := user("password", "reader"); status != 0 {
		t.Errorf("another password: status %d, %s", status, errs)
	}
	if sees(browser.Get(draft)) {
		t.Error("who signed in with the password before still reads drafts")
	}
	if signIn("a long password") || !signIn("another password") {
		t.Error("the password before signs in, or the new one does not")
	}
	if status, _, errs := user("tier", "reader", "member"); status != 0 || sees(browser.Get(draft)) || signIn("another password") {
		t.Errorf("a member reads drafts: status %d, %s", status, errs)
	}
	if status, _, errs := user("tier", "reader", "owner"); status != 2 || !strings.Contains(errs, "none of member") {
		t.Errorf("an unknown tier: status %d, %s", status, errs)
	}
	if status, _, errs := user("remove", "reader"); status != 0 || signIn("another password") {
		t.Errorf("who was removed signs in: status %d, %s", status, errs)
	}
	for _, args := range [][]string{{"remove", "reader"}, {"password", "reader"}, {"tier", "reader", "editor"}} {
		if status, _, errs := user(args...); status == 0 || !strings.Contains(errs, "user list shows all") {
			t.Errorf("%v of nobody: status %d, %s", args, status, errs)
		}
	}
}
