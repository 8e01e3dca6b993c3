// Package e2e puts the guard before an API server that knows nothing of it.
package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

const (
	people   = 5_000
	small    = 730 // the quota of the second client; no multiple of its page
	perPage  = 200
	readers  = 600 // how many people the first client reads one by one, besides the lists
	password = "an invented password"
	email    = "admin@example.com"
)

// pocketBase starts PocketBase and returns its address.
func pocketBase(t *testing.T) string {
	t.Helper()
	app := pocketbase.NewWithConfig(pocketbase.Config{DefaultDataDir: t.TempDir(), HideStartBanner: true})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	if err := app.RunAllMigrations(); err != nil {
		t.Fatal(err)
	}
	superusers, err := app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		t.Fatal(err)
	}
	admin := core.NewRecord(superusers)
	admin.SetEmail(email)
	admin.SetPassword(password)
	if err := app.Save(admin); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	go apis.Serve(app, apis.ServeConfig{HttpAddr: address})
	t.Cleanup(func() {
		if err := app.ResetBootstrapState(); err != nil {
			t.Log(err)
		}
	})
	for range 100 {
		if res, err := http.Get("http://" + address + "/api/health"); err == nil {
			res.Body.Close()
			return "http://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("PocketBase does not answer")
	return ""
}

// call sends a request and decodes the answer into into, unless that is nil. Several goroutines may call it.
func call(t *testing.T, method, address string, header http.Header, body, into any) int {
	t.Helper()
	status, raw, err := exchange(method, address, header, body)
	if err == nil && into != nil && status == http.StatusOK {
		err = json.Unmarshal(raw, into)
	} else if err == nil && method != "GET" && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		t.Errorf("%s %s: %v: %.300s", method, address, err, raw)
	}
	return status
}

func exchange(method, address string, header http.Header, body any) (status int, raw []byte, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequest(method, address, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if body == nil {
		req.Body, req.ContentLength = nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	raw, err = io.ReadAll(res.Body)
	return res.StatusCode, raw, err
}

// fill makes the collection and its people through PocketBase's API. Many have a part of the fields only.
func fill(t *testing.T, base string) {
	t.Helper()
	var token struct{ Token string }
	call(t, "POST", base+"/api/collections/_superusers/auth-with-password", nil, map[string]string{"identity": email, "password": password}, &token)
	header := http.Header{"Authorization": {token.Token}}
	field := func(name, kind string) map[string]any { return map[string]any{"name": name, "type": kind} }
	call(t, "POST", base+"/api/collections", header, map[string]any{
		"name": "people", "type": "base", "listRule": "", "viewRule": "",
		"fields": []any{
			field("full_name", "text"), field("email", "email"), field("mobile", "text"), field("birth_date", "date"), field("home", "json"),
			field("member_number", "text"), field("rate_plan", "text"), field("remark", "text"),
		},
	}, nil)
	var wg sync.WaitGroup
	work := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range work {
				p := map[string]any{"full_name": fmt.Sprintf("Sample Person %d", i), "member_number": fmt.Sprintf("M-%06d", i)}
				add := func(every int, name string, value any) {
					if i%every != 0 {
						p[name] = value
					}
				}
				add(7, "email", fmt.Sprintf("person%d@example.com", i))
				add(5, "mobile", fmt.Sprintf("+1 202 555 01%02d", i%100))
				add(3, "birth_date", fmt.Sprintf("19%02d-0%d-1%d", 40+i%60, 1+i%9, i%9))
				add(4, "home", map[string]string{"street": fmt.Sprintf("%d Sample Street", i), "city": "Exampleton", "postal_code": "00000"})
				add(2, "rate_plan", "Sample 5 GB")
				add(11, "remark", "likes a quiet line")
				call(t, "POST", base+"/api/collections/people/records", header, p, nil)
			}
		})
	}
	for i := range people {
		work <- i
	}
	close(work)
	wg.Wait()
}

const config = `data: data
guard:
  name: guard.example.com
  listen: 127.0.0.1:0
  upstream: %s
  principal:
    - {header: X-Api-Key, keys: keys.txt}
  routes:
    - match: GET /api/collections/people/records
      records: /items/*
      subject: /id
      unit: person
      classes: {/member_number: account_number, /home: postal_address}
      over: cut
    - match: GET /api/collections/people/records/{id}
      subject: /id
      unit: person
      classes: {/member_number: account_number, /home: postal_address}
  unmatched: refuse
  quotas:
    - {principal: "*", subjects: 10000, per: 24h}
    - {principal: small, subjects: %d, per: 24h}
    - {principal: unverified, subjects: 0, per: 24h}
`

// weir runs the real program.
type weir struct{ binary, config string }

func (w *weir) run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(w.binary, append(args, "-config", w.config)...)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("weir %v: %v: %s", args, err, errs.String())
	}
	return string(out)
}

// startGuard builds the program, and serves with it; the returned address is the guard's.
func startGuard(t *testing.T, upstream string) (*weir, string) {
	t.Helper()
	dir := t.TempDir()
	w := &weir{filepath.Join(dir, "weir"), filepath.Join(dir, "weir.yaml")}
	build := exec.Command("go", "build", "-o", w.binary, "./cmd/weir")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	keys := ""
	for _, name := range []string{"large", "small"} {
		keys += fmt.Sprintf("%x %s\n", sha256.Sum256([]byte("sample-key-"+name)), name)
	}
	for name, text := range map[string]string{"weir.yaml": fmt.Sprintf(config, upstream, small), "keys.txt": keys} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(w.binary, "serve", "-config", w.config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "guard on "); ok {
			go io.Copy(io.Discard, stderr)
			address, _, _ := strings.Cut(rest, " ")
			return w, address
		}
		t.Log(lines.Text())
	}
	t.Fatal("the guard does not start")
	return nil, ""
}

// client keeps what it receives: by person, the classes of what it can read of them.
type client struct {
	t        *testing.T
	base     string
	header   http.Header
	received map[string]map[string]bool
}

func newClient(t *testing.T, base, key string) *client {
	return &client{t, base + "/api/collections/people/records", http.Header{"X-Api-Key": {key}}, map[string]map[string]bool{}}
}

// see reads a record with the client's own eyes. A class is there where a member that means it holds something.
func (c *client) see(record map[string]any) {
	id := record["id"].(string)
	if c.received[id] == nil {
		c.received[id] = map[string]bool{}
	}
	for member, class := range map[string]string{
		"full_name": "name", "email": "email", "mobile": "phone", "birth_date": "birth_date", "home": "postal_address",
		"member_number": "account_number", "rate_plan": "plan", "remark": "other", "id": "other", // an id that means no class is other
	} {
		if v := record[member]; v != nil && v != "" {
			c.received[id][class] = true
		}
	}
}

// list reads a page; it returns how many people were on it.
func (c *client) list(page int) (n, status int) {
	var answer struct {
		Items []map[string]any `json:"items"`
	}
	status = call(c.t, "GET", fmt.Sprintf("%s?page=%d&perPage=%d&sort=%s", c.base, page, perPage, url.QueryEscape("member_number")), c.header, nil, &answer)
	for _, r := range answer.Items {
		c.see(r)
	}
	return len(answer.Items), status
}

func (c *client) read(id string) int {
	var record map[string]any
	status := call(c.t, "GET", c.base+"/"+id, c.header, nil, &record)
	if record != nil {
		c.see(record)
	}
	return status
}

// compare checks that the exposure says of a principal exactly what its client received: person by person, class by class.
func (c *client) compare(w *weir, principal string) {
	c.t.Helper()
	ids := slices.Sorted(maps.Keys(c.received))
	names := strings.Fields(w.run(c.t, strings.Join(ids, "\n")+"\n", "pseudonym", "-"))
	want := map[string]string{}
	for i, id := range ids {
		want[names[i]] = strings.Join(slices.Sorted(maps.Keys(c.received[id])), " ")
	}
	got := map[string]string{}
	byClass := map[string]int{}
	for line := range strings.Lines(w.run(c.t, "", "exposure", "-principal", principal, "-list", "-format", "json")) {
		var p struct {
			DataSubject string `json:"data_subject"`
			Classes     []string
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			c.t.Fatal(err)
		}
		got[p.DataSubject] = strings.Join(slices.Sorted(slices.Values(p.Classes)), " ")
		for _, class := range p.Classes {
			byClass[class]++
		}
	}
	if !maps.Equal(got, want) {
		shown := 0
		for name, classes := range want {
			if got[name] != classes && shown < 5 {
				shown++
				c.t.Errorf("%s: the client received %q, the exposure says %q", name, classes, got[name])
			}
		}
		c.t.Errorf("%s: the client received %d people, the exposure says %d", principal, len(want), len(got))
	}
	var report struct {
		People   int
		ByClass  map[string]int `json:"by_class"`
		Coverage float64
	}
	if err := json.Unmarshal([]byte(w.run(c.t, "", "exposure", "-principal", principal, "-format", "json")), &report); err != nil {
		c.t.Fatal(err)
	}
	if report.People != len(want) || !maps.Equal(report.ByClass, byClass) || report.Coverage != 1 {
		c.t.Errorf("%s: the figures %+v differ from the list's: %d people, %v", principal, report, len(got), byClass)
	}
	c.t.Logf("%s: %d people, %v", principal, len(got), byClass)
}

func TestPocketBase(t *testing.T) {
	upstream := pocketBase(t)
	fill(t, upstream)
	w, guard := startGuard(t, upstream)

	large := newClient(t, guard, "sample-key-large")
	for page := 1; ; page++ {
		n, status := large.list(page)
		if status != http.StatusOK {
			t.Fatalf("page %d: status %d", page, status)
		}
		if n == 0 {
			break
		}
	}
	if len(large.received) != people {
		t.Errorf("listed %d people", len(large.received))
	}
	for _, id := range slices.Sorted(maps.Keys(large.received))[:readers] {
		if status := large.read(id); status != http.StatusOK {
			t.Fatalf("%s: status %d", id, status)
		}
	}
	if status := large.read("no-such-person"); status != http.StatusNotFound {
		t.Errorf("nobody: status %d", status)
	}
	large.compare(w, "large")

	// The second client meets its quota in the middle of a page: it gets the rest of its quota and not one person more.
	limited := newClient(t, guard, "sample-key-small")
	refused := 0
	for page := 1; page <= people/perPage; page++ {
		if _, status := limited.list(page); status != http.StatusOK {
			refused++
		}
	}
	if len(limited.received) != small || refused == 0 {
		t.Errorf("with a quota of %d the client received %d people and was refused %d times", small, len(limited.received), refused)
	}
	limited.compare(w, "small")

	unknown := newClient(t, guard, "no such key")
	if _, status := unknown.list(1); status == http.StatusOK && len(unknown.received) > 0 {
		t.Errorf("without a known key: %d people", len(unknown.received))
	}
	if out := w.run(t, "", "ledger", "verify"); !strings.HasSuffix(out, ", ok\n") {
		t.Error(out)
	}
}
