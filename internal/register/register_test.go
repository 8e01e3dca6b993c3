package register

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"

	"weir"
	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
	"weir/records"
)

const password = "correct horse 0155"

var incident2022 = "t-mobile-us-2022-11"

// site is a running register with the built-in records, a draft, and an account for each tier that signs in.
type site struct {
	t     *testing.T
	url   string
	draft string
	actor string
	store *store.Store
}

var me = store.Who{Author: "editor", Reason: "because of the test"}

func builtIn(t *testing.T) *incident.Set {
	t.Helper()
	set, problems := incident.ReadRecords(records.Files)
	if len(problems) > 0 {
		t.Fatal(incident.Join(problems))
	}
	return set
}

// filled is a register's file with the built-in records, a draft and the accounts, and the draft's id: made once, copied for
// every test that changes it.
var filled = sync.OnceValue(func() (f struct {
	file  []byte
	draft string
	err   error
}) {
	dir, err := os.MkdirTemp("", "weir-register")
	if err != nil {
		f.err = err
		return f
	}
	defer os.RemoveAll(dir)
	f.draft, f.err = fill(filepath.Join(dir, "register.db"))
	if f.err == nil {
		f.file, f.err = os.ReadFile(filepath.Join(dir, "register.db"))
	}
	return f
})

func fill(path string) (draft string, err error) {
	ctx := context.Background()
	s, err := store.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	set, problems := incident.ReadRecords(records.Files)
	if len(problems) > 0 {
		return "", incident.Join(problems)
	}
	at := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	measured := incident.FromStatement(weir.Statement{
		Guard: "guard.example.com", Made: at, Unit: "account", People: 200, Disclosures: 200, ByClass: map[string]int{"email": 151},
		NoneFound: []string{"ssn"}, First: &at, Last: &at, Principals: 1, Coverage: 1, Checkpoint: "guard.example.com\n1\nx\n",
	}, []byte("raw"))
	for _, set := range []*incident.Set{set, measured} {
		if _, err := s.Import(ctx, set, me, false); err != nil {
			return "", err
		}
	}
	return measured.Records[0].ID, addAccounts(ctx, s)
}

// addAccounts opens an account for each tier that signs in, named as the tier.
func addAccounts(ctx context.Context, s *store.Store) error {
	for _, tier := range access.Tiers()[1:] {
		account, err := access.NewAccount(tier.String(), password, tier)
		if err != nil {
			return err
		}
		if err := s.AddAccount(ctx, account); err != nil {
			return err
		}
	}
	return nil
}

func newSite(t *testing.T) *site {
	t.Helper()
	from := filled()
	if from.err != nil {
		t.Fatal(from.err)
	}
	path := filepath.Join(t.TempDir(), "register.db")
	if err := os.WriteFile(path, from.file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	server := httptest.NewServer(New(Options{Store: s, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	return &site{t, server.URL, from.draft, builtIn(t).Actors[0].ID, s}
}

// visitor is a browser: it keeps cookies and says where its requests come from.
type visitor struct {
	*site
	client *http.Client
}

func (s *site) public() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &visitor{s, &http.Client{Jar: jar}}
}

func (s *site) as(tier access.Tier) *visitor {
	s.t.Helper()
	v := s.public()
	if status, body := v.post("/login", url.Values{"name": {tier.String()}, "password": {password}}); status != 200 {
		s.t.Fatalf("signing in: %d %s", status, body)
	}
	return v
}

func (v *visitor) do(method, path string, form url.Values, header ...string) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequest(method, v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res, string(body)
}

func (v *visitor) get(path string) (int, string) {
	v.t.Helper()
	res, body := v.do("GET", path, nil)
	return res.StatusCode, body
}

func (v *visitor) post(path string, form url.Values) (int, string) {
	v.t.Helper()
	res, body := v.do("POST", path, form)
	return res.StatusCode, body
}

// texts returns the texts of what a selector matches on a page, with white space made single.
func (v *visitor) texts(path, selector string) (out []string) {
	v.t.Helper()
	for _, raw := range match(v.t, v.page(path), selector) {
		out = append(out, strings.Join(strings.Fields(content(raw, " ")), " "))
	}
	return out
}

func (v *visitor) page(path string) string {
	v.t.Helper()
	status, body := v.get(path)
	if status != 200 {
		v.t.Fatalf("%s: status %d", path, status)
	}
	return body
}

func (v *visitor) raw(path, selector string) string {
	v.t.Helper()
	return text(v.t, v.page(path), selector)
}

func (v *visitor) attribute(path, selector, name string) string {
	v.t.Helper()
	return attribute(v.t, v.page(path), selector, name)
}

func match(t *testing.T, page, selector string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return cascadia.QueryAll(root, cascadia.MustCompile(selector))
}

// text is the text of the first match, as it stands.
func text(t *testing.T, page, selector string) string {
	t.Helper()
	found := match(t, page, selector)
	if len(found) == 0 {
		t.Fatalf("no %s on the page", selector)
	}
	return content(found[0], "")
}

func attribute(t *testing.T, page, selector, name string) string {
	t.Helper()
	for _, n := range match(t, page, selector) {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
	}
	t.Fatalf("no %s with %s on the page", selector, name)
	return ""
}

func content(n *html.Node, between string) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + between)
		}
	}
	return b.String()
}

// The page shows what the page of the seed register shows, in its order, and to the public counts where it shows members content.
func TestIncidentPage(t *testing.T) {
	s := newSite(t)
	const page = "/incidents/t-mobile-us-2022-11"
	tests := []struct {
		selector       string
		public, member string // a part of the first match
	}{
		{"h1", "Cyber Incident Victim: T-Mobile US", "Cyber Incident Victim: T-Mobile US"},
		{".incident-date", "25 November 2022", "25 November 2022"},
		{".facts", "United States of America", "United States of America"},
		{"#summary ~ p", "37 million", "37 million"},
		{"td.cia", "Available to members", "Confidentiality: "},
		{"td.motives", "1 motive", "Unknown assessed"},
		{"td.techniques", "1 technique", "assessed"},
		{"table.actors td:nth-child(1)", "0 actors", "0 actors"},
		{"table.actors td:nth-child(2)", "Available to members", "not said"},
		{"table.actors td:nth-child(3)", "Available to members", "not said"},
		{"#description ~ p", "25 November 2022", "25 November 2022"},
		{"section[aria-labelledby=status] table", "contained", "contained"},
		{".timeline", "on or about", "on or about"},
		{"#history ~ .counts > div", "eighth incidents that the organisation or the press disclosed", "eighth incidents that"},
		{"#history ~ .counts [aria-current]", "(this one)", "(this one)"},
		{"#disagreements", "Disagreements", "Disagreements"},
		{"#sources ~ ul", "SEC", "SEC"},
	}
	for _, reader := range []string{"public", "member"} {
		v := s.public()
		if reader == "member" {
			v = s.as(access.Member)
		}
		for _, tt := range tests {
			want := tt.public
			if reader == "member" {
				want = tt.member
			}
			if got := v.texts(page, tt.selector); len(got) == 0 || !strings.Contains(strings.ToLower(got[0]), strings.ToLower(want)) {
				t.Errorf("%s, %s: %q, want %q", reader, tt.selector, got, want)
			}
		}
		order := v.texts(page, "h1, h2, table.posture caption, table.actors caption")
		want := []string{"Cyber Incident Victim: T-Mobile US", "Summary", "Posture, motives and techniques", "Threat actors", "Description", "Status", "Timeline",
			"What was taken, and what was not"}
		if len(order) < len(want) || strings.Join(order[:len(want)], "|") != strings.Join(want, "|") {
			t.Errorf("%s: order %q", reader, order)
		}
		taken := strings.Join(v.texts(page, "table.taken tbody tr"), "\n")
		for _, want := range []string{"Birth date partly", "SSN none", "(victim's filing)"} {
			if !strings.Contains(strings.ToLower(taken), strings.ToLower(want)) {
				t.Errorf("%s: no %q in what was taken:\n%s", reader, want, taken)
			}
		}
	}
}

// What members see more than the public is in no page, no JSON and no search result of the public (P7).
func TestPublicSeesNothingOfMembers(t *testing.T) {
	s := newSite(t)
	set := builtIn(t)
	public := s.public()
	paths := []string{"/", "/incidents", "/members", "/api/v1/incidents", "/properties"}
	for _, o := range set.Organisations {
		paths = append(paths, "/organisations/"+o.ID)
	}
	for _, r := range set.Records {
		paths = append(paths, "/incidents/"+r.ID, "/api/v1/incidents/"+r.ID)
	}
	open := map[string]string{} // what public claims say, by source; "" has it all. Of other sources the public learns nothing
	for _, r := range set.Records {
		for _, c := range r.Claims {
			if p, _ := claim.Find(c.Property); p.Access.Level(access.Anybody()) == access.Value {
				open[c.Source] = c.Source
				open[""] += strings.Join([]string{c.Value, c.Who, c.Quote, c.Note, c.Reasoning, "\n"}, "\n")
			}
		}
	}
	for _, x := range set.Sources {
		if open[x.ID] == "" {
			continue
		}
		paths = append(paths, "/sources/"+x.ID)
	}
	var everything strings.Builder
	for _, p := range paths {
		status, body := public.get(p)
		if status != 200 {
			t.Errorf("%s: status %d", p, status)
		}
		if p != "/properties" { // which explains every property to everybody
			everything.WriteString(body)
		}
	}
	checked := 0
	for _, r := range set.Records {
		for _, c := range r.Claims {
			p, ok := claim.Find(c.Property)
			if !ok || p.Access.Level(access.Anybody()) == access.Value {
				continue
			}
			for _, secret := range []string{c.Reasoning, c.Note} {
				if secret == "" || strings.Contains(strings.Join(strings.Fields(open[""]), " "), secret) { // which is said in public too
					continue
				}
				checked++
				if strings.Contains(everything.String(), html.EscapeString(secret)) || strings.Contains(everything.String(), secret) {
					t.Errorf("%s: %q is public", r.ID, secret)
				}
			}
		}
	}
	for _, a := range set.Actors {
		checked++
		if status, body := public.get("/actors/" + a.ID); status != http.StatusForbidden || strings.Contains(text(t, body, "main"), a.Name) {
			t.Errorf("actor %s: status %d", a.ID, status)
		}
		if strings.Contains(everything.String(), `"/actors/`+a.ID) {
			t.Errorf("a public page leads to actor %s", a.ID)
		}
	}
	if checked < 10 {
		t.Fatalf("only %d texts checked", checked)
	}
	if hits := public.texts("/search?q=exploit_public_facing", ".incidents > li"); len(hits) != 0 {
		t.Errorf("the public finds a technique: %q", hits)
	}
}

func TestEveryPageForEveryTier(t *testing.T) {
	s := newSite(t)
	set := builtIn(t)
	for _, tier := range access.Tiers()[1:] {
		v := s.as(tier)
		for _, r := range set.Records {
			if got := v.texts("/incidents/"+r.ID, "h1"); len(got) != 1 {
				t.Errorf("%s as %s: %q", r.ID, tier, got)
			}
			var view incident.View
			if _, body := v.get("/api/v1/incidents/" + r.ID); json.Unmarshal([]byte(body), &view) != nil || view.ID != r.ID {
				t.Errorf("%s as %s: %s", r.ID, tier, body)
			}
		}
		for _, a := range set.Actors {
			if got := v.texts("/actors/"+a.ID, "h1"); len(got) != 1 || got[0] != a.Name {
				t.Errorf("actor %s as %s: %q", a.ID, tier, got)
			}
		}
	}
}

func TestSearchFinds(t *testing.T) {
	v := newSite(t).public()
	got := v.texts("/search?q=37+million+API", ".incidents > li > a")
	if len(got) == 0 || got[0] != "T-Mobile US" {
		t.Errorf("%q", got)
	}
	if got := v.texts("/search?q=%22)(*", ".incidents > li"); len(got) != 0 {
		t.Errorf("signs alone find %q", got)
	}
	if status, _ := v.get("/search?q=" + strings.Repeat("a", 300)); status != http.StatusBadRequest {
		t.Errorf("a long search: %d", status)
	}
}

// A draft is there for responders and editors; an editor publishes it, nobody else.
func TestDraft(t *testing.T) {
	s := newSite(t)
	page := "/incidents/" + s.draft
	for _, v := range []*visitor{s.public(), s.as(access.Member)} {
		if status, _ := v.get(page); status != http.StatusNotFound {
			t.Errorf("a draft: status %d", status)
		}
		if status, _ := v.get("/api/v1" + page); status != http.StatusNotFound {
			t.Errorf("a draft as JSON: status %d", status)
		}
	}
	responder := s.as(access.Responder)
	if got := responder.texts(page, ".notice"); len(got) != 1 || strings.Contains(got[0], "Publish") {
		t.Errorf("responder: %q", got)
	}
	if got := strings.Join(responder.texts(page, "table.taken tr"), "\n"); !strings.Contains(got, "none found, at coverage 1") || !strings.Contains(got, "measured") {
		t.Errorf("measured classes: %s", got)
	}
	if status, _ := responder.post(page+"/publish", url.Values{}); status != http.StatusForbidden {
		t.Errorf("a responder publishes: %d", status)
	}
	editor := s.as(access.Editor)
	if res, _ := editor.do("POST", page+"/publish", url.Values{}, "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site publishes through an editor's browser: %d", res.StatusCode)
	}
	if status, _ := editor.post(page+"/publish", url.Values{}); status != http.StatusOK {
		t.Errorf("an editor publishes: %d", status)
	}
	if status, _ := s.public().get(page); status != http.StatusOK {
		t.Errorf("published: %d", status)
	}
}

func TestSignIn(t *testing.T) {
	s := newSite(t)
	v := s.public()
	if status, body := v.post("/login", url.Values{"name": {"member"}, "password": {"wrong password"}}); status != http.StatusUnauthorized || !strings.Contains(body, "The name or the password is wrong.") {
		t.Errorf("wrong password: %d", status)
	}
	if status, body := v.post("/login", url.Values{"name": {"nobody"}, "password": {"wrong password"}}); status != http.StatusUnauthorized || !strings.Contains(body, "The name or the password is wrong.") {
		t.Errorf("no such account: %d", status)
	}
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for next, want := range map[string]string{"/incidents": "/incidents", "//example.com": "/", "https://example.com/": "/", `/\example.com`: "/"} {
		res, _ := v.do("POST", "/login", url.Values{"name": {"member"}, "password": {password}, "next": {next}})
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != want {
			t.Errorf("next %q: %d to %q", next, res.StatusCode, res.Header.Get("Location"))
		}
		if c := res.Cookies(); len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %v", c)
		}
	}
	if res, _ := v.do("GET", "/incidents/"+incident2022, nil); res.Header.Get("Cache-Control") != "private, no-store" {
		t.Error("a member's page may be cached")
	}
	v.post("/logout", url.Values{})
	v.client.CheckRedirect = nil
	if got := v.texts("/incidents/"+incident2022, "td.motives"); got[0] != "1 motive" {
		t.Errorf("after signing out: %q", got)
	}
	for range triesPerWindow {
		v.post("/login", url.Values{"name": {"editor"}, "password": {"wrong password"}})
	}
	if status, _ := v.post("/login", url.Values{"name": {"editor"}, "password": {password}}); status != http.StatusTooManyRequests {
		t.Errorf("after many tries: %d", status)
	}
}

func TestList(t *testing.T) {
	v := newSite(t).public()
	var seen []string
	for next := ""; ; {
		var page struct {
			Items []incident.View
			Next  string
		}
		_, body := v.get("/api/v1/incidents?limit=4&after=" + next)
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Items {
			seen = append(seen, x.ID)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	all := slices.Clone(seen)
	slices.Sort(all)
	if len(slices.Compact(all)) != len(builtIn(t).Records) || len(seen) != len(all) {
		t.Errorf("%v", seen)
	}
}

func TestErrors(t *testing.T) {
	s := newSite(t)
	v := s.public()
	tests := []struct {
		path   string
		status int
	}{
		{"/incidents/no-such", 404}, {"/nowhere", 404}, {"/api/v1/nowhere", 404}, {"/api/v1/incidents/no-such", 404}, {"/sources/no-such", 404},
		{"/organisations/guard.example.com", 404}, {"/api/v1/incidents?limit=x", 400}, {"/incidents?after=no-such", 400},
	}
	for _, tt := range tests {
		res, body := v.do("GET", tt.path, nil)
		if res.StatusCode != tt.status {
			t.Errorf("%s: %d", tt.path, res.StatusCode)
		}
		if strings.HasPrefix(tt.path, "/api/") {
			var problem struct{ Status int }
			if res.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(body), &problem) != nil || problem.Status != tt.status {
				t.Errorf("%s: %s", tt.path, body)
			}
		}
		if res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no content security policy", tt.path)
		}
	}
	// What went wrong inside is for the log, not for a stranger.
	s.store.Close()
	if status, body := v.get("/incidents"); status != http.StatusInternalServerError || strings.Contains(body, "sql") {
		t.Errorf("with the store closed: %d %s", status, body)
	}
}
