package register

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

// secrets are words that one tier may read and those below may not.
type secrets struct{ member, responder string }

func says(property, of, value string) claim.Claim {
	return claim.Claim{Property: property, Qualifier: of, Value: value, Speaker: claim.Press, Source: "levels-source", AsOf: "2024-05-01"}
}

func assesses(property, value, why string) claim.Claim {
	return claim.Claim{Property: property, Value: value, Kind: claim.Assessed, Speaker: claim.Editors, Coder: "c", Reasoning: why}
}

func visible(c claim.Claim, tier access.Tier) claim.Claim {
	c.Visible = tier.String()
	return c
}

// levelsSite is a register in which the secrets stand in every place that a tier bars: in properties by their rules, in
// single claims, under an embargo, in prose, in drafts, in what was open once, in what was withdrawn.
func levelsSite(t *testing.T, s secrets) *site {
	t.Helper()
	clock := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	st, err := store.OpenWithClock(filepath.Join(t.TempDir(), "register.db"), func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	embargoed := says("vector", "", "by "+s.responder)
	embargoed.Embargo = "2099-01-01"
	size := "7000000000"
	if s.member != "quagga" {
		size = "3"
	}
	open := incident.Record{ID: "levels-open", Victim: "levels", Claims: []claim.Claim{
		says("date", "", "2024-05-01"), assesses("motive", map[bool]string{true: "fear", false: "grudge"}[s.member == "quagga"], "for "+s.member),
		assesses("technique", "T1190 "+s.member, s.member), assesses("confidentiality", map[bool]string{true: "affected", false: "unknown"}[s.member == "quagga"], s.member),
		says("actor", "", "levels-actor"), says("actor_location", "levels-actor", s.member), says("attribution", "levels-actor", s.member), assesses("action", "hacking", s.member),
		visible(says("people", "accounts", size), access.Member), visible(says("event", "disclosed", map[bool]string{true: "2017", false: "2019"}[s.member == "quagga"]), access.Member),
		visible(says("notice", "", s.member), access.Member), says("asset", "", "a server"), embargoed, visible(says("cause", "", s.responder), access.Responder),
		says("finding", "", s.responder), visible(says("related", "", "levels-draft"), access.Responder), assesses("counts_as", "disclosed", "r"),
		assesses("description", "It was {people:accounts}, way in {vector}, by {actor}, cause {cause}. Related: {related}.", "an open text"),
	}}
	draft := incident.Record{ID: "levels-draft", Victim: "levels-second", Draft: true, Claims: []claim.Claim{says("date", "", "2024-06"), says("asset", "", s.responder)}}
	published := incident.Record{ID: "levels-published", Victim: "levels", Draft: true, Claims: []claim.Claim{says("date", "", "2024-07"), says("asset", "", "draft "+s.responder)}}
	withdrawn := incident.Record{ID: "levels-withdrawn", Victim: "levels", Claims: []claim.Claim{
		says("date", "", map[bool]string{true: "2024-04", false: "2024-08"}[s.responder == "okapi"]), says("asset", "", "withdrawn "+s.responder), assesses("counts_as", "disclosed", "r"),
	}}
	if s.responder == "okapi" { // that there is something which cannot be seen is not to be seen either
		open.Claims = append(open.Claims, says("related", "", withdrawn.ID))
		published.Claims = slices.Insert(published.Claims, 1, says("related", "", draft.ID))
	}
	set := builtIn(t)
	set.Records = slices.DeleteFunc(set.Records, func(r incident.Record) bool { return r.ID != "t-mobile-us-2018-05" }) // what the answers rest on is read for each of them
	set.Add(&incident.Set{
		Organisations: []incident.Organisation{{ID: "levels", Name: "Levels"}, {ID: "levels-second", Name: "Levels, second " + s.responder}},
		Actors:        []incident.Actor{{ID: "levels-actor", Name: "Actor " + s.member}},
		Sources:       []claim.Source{{ID: "levels-source", Publisher: "P", Type: "press"}},
		Records:       []incident.Record{open, draft, published, withdrawn},
	})
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(st.Import(t.Context(), set, me, false))
	// A value that everybody could read is restricted later, and corrected after that; another is taken back before its draft
	// is published. What is withdrawn was a sibling in the past.
	once := open
	once.Claims = append(slices.Clone(open.Claims), says("api_rate", "", s.member), says("api_flaw", "", "none"))
	do(st.Edit(t.Context(), me, 1, once))
	once.Claims = append(slices.Clone(open.Claims), visible(says("api_rate", "", s.member), access.Member), says("api_flaw", "", "one"))
	do(st.Edit(t.Context(), me, 2, once))
	once.Claims = append(slices.Clone(open.Claims), visible(says("api_rate", "", s.member+" corrected"), access.Member), says("api_flaw", "", "one"))
	do(st.Edit(t.Context(), me, 3, once))
	published.Claims = published.Claims[:len(published.Claims)-1]
	do(st.Edit(t.Context(), me, 1, published))
	do(nil, st.Publish(t.Context(), me, published.ID))
	do(nil, st.Withdraw(t.Context(), store.Who{Author: "editor", Reason: "the victim asked"}, withdrawn.ID))
	do(nil, addAccounts(t.Context(), st))
	server := httptest.NewServer(New(Options{Store: st, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	return &site{t, server.URL, draft.ID, "levels-actor", st}
}

// everyRequest fills every route of the register with every id, and asks with every parameter that a route knows.
func everyRequest(t *testing.T) (all []string) {
	set := builtIn(t)
	ids := map[string][]string{
		"incidents": {"levels-open", "levels-draft", "levels-published", "levels-withdrawn", "t-mobile-us-2018-05", "no-such"}, "organisations": {"levels", "levels-second", "t-mobile-us"},
		"actors": {"levels-actor", "no-such"}, "sources": {"levels-source", "tmus-8k-2023-01-19", "no-such"},
	}
	for _, a := range set.Actors {
		ids["actors"] = append(ids["actors"], a.ID)
	}
	variants := map[string][]string{
		"GET /incidents":      {"?sort=size", "?year=2024", "?limit=3", "?sort=size&limit=1", "?after=levels-published", "?after=levels-draft"},
		"GET /incidents/{id}": {"?as_of=2024-05-02", "?as_of=2024-04-30"},
		"GET /search":         {"?q=%00", "?q=quagga", "?q=okapi", "?q=zebra", "?q=numbat", "?q=levels", "?q=fear", "?q=grudge", "?q=T1190", "?q=server", "?q=api", "?q=victim"},
	}
	variants["GET /api/v1/incidents"] = variants["GET /incidents"]
	for n := 1; n <= 9; n++ {
		variants["GET /incidents/{id}"] = append(variants["GET /incidents/{id}"], fmt.Sprintf("?revision=%d", n), fmt.Sprintf("?revision=%d&as_of=2024-05-02", n))
	}
	variants["GET /api/v1/incidents/{id}"] = variants["GET /incidents/{id}"]
	r := &register{}
	var patterns []string
	for pattern := range r.pageRoutes() {
		patterns = append(patterns, pattern)
	}
	for pattern := range r.apiRoutes() {
		patterns = append(patterns, pattern)
	}
	slices.Sort(patterns)
	for _, pattern := range patterns {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = "GET", pattern+"nowhere"
		}
		paths := []string{strings.TrimSuffix(path, "{$}")}
		if object, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "/api/v1"), "/"), "/{id}"); ok {
			paths = nil
			for _, id := range slices.Concat(ids[object], ids[strings.Replace(object, "edit/{object}", "sources", 1)]) {
				paths = append(paths, strings.NewReplacer("{id}", id, "{object}", "source").Replace(path))
			}
		}
		for _, p := range paths {
			all = append(all, method+" "+p)
			for _, v := range variants[pattern] {
				all = append(all, method+" "+p+v)
			}
		}
	}
	return all
}

// compare asks both registers everything as one tier, and reports the requests whose answers differ in anything: status,
// headers, body.
func compare(t *testing.T, tier access.Tier, one, other *site, requests []string) (differ []string) {
	t.Helper()
	a, b := one.public(), other.public()
	if tier > access.Public {
		a, b = one.as(tier), other.as(tier)
	}
	ask := func(v *visitor, request string) string {
		method, path, _ := strings.Cut(request, " ")
		var form url.Values
		if method == "POST" {
			form = url.Values{}
		}
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, body := v.do(method, path, form)
		res.Header.Del("Date")
		return fmt.Sprint(res.StatusCode, res.Header, body)
	}
	for _, request := range requests {
		if strings.HasPrefix(request, "POST /log") && tier > access.Public {
			continue // these end what the comparison stands on
		}
		if x, y := ask(a, request), ask(b, request); x != y {
			differ = append(differ, request)
		}
	}
	return differ
}

// P7, over every route: two registers that differ only in what a tier may not read answer that tier alike to the byte,
// headers too. Each of these checks, taken out by hand, made it fail: the level in newBuilder, the claim's own tier and its
// embargo in claim.rule, Restrict in load and in Revision.View, the tombstone in moment and in Revision.View, the levels in
// Revision.View, drafts in Revisions, in View and in names, what was withdrawn among the related, later corrections of what a
// claim restricts, the tier of search rows, the public's view in index, editors.
func TestNoRouteTellsMoreThanTheTierShows(t *testing.T) {
	requests := everyRequest(t)
	if len(requests) < 150 {
		t.Fatalf("only %d requests", len(requests))
	}
	base := levelsSite(t, secrets{"quagga", "okapi"})
	both, responders := levelsSite(t, secrets{"zebra", "numbat"}), levelsSite(t, secrets{"quagga", "numbat"})
	for _, request := range compare(t, access.Public, base, both, requests) {
		t.Errorf("the public sees a difference: %s", request)
	}
	for _, request := range compare(t, access.Member, base, responders, requests) {
		t.Errorf("members see a difference: %s", request)
	}
	for tier, other := range map[access.Tier]*site{access.Member: both, access.Responder: responders} {
		if n := len(compare(t, tier, base, other, requests)); n < 8 {
			t.Errorf("a %s sees only %d differences: the test tests little", tier, n)
		}
	}
}
