package incident

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/records"
)

var today = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func public() Ask { return Ask{Reader: access.Anybody(), Now: today} }

func assessed(property, value string) claim.Claim {
	return claim.Claim{Property: property, Value: value, Kind: claim.Assessed, Speaker: claim.Editors, Coder: "c", Reasoning: "secret reasoning"}
}

func stated(property, of, value string) claim.Claim {
	return claim.Claim{Property: property, Qualifier: of, Value: value, Kind: claim.Stated, Speaker: claim.Press, Source: "s"}
}

func total(of, value string) claim.Claim {
	c := assessed("total", value)
	c.Qualifier = of
	return c
}

func sample(more ...claim.Claim) *Incident {
	in := &Incident{
		ID: "x-2022", Victim: Organisation{ID: "x", Name: "Example"},
		Sources: map[string]claim.Source{"s": {ID: "s", Publisher: "P"}},
		Actors:  map[string]Actor{"lapwing": {ID: "lapwing", Name: "Lapwing Group"}},
		Claims: append([]claim.Claim{
			assessed("confidentiality", "affected"), assessed("motive", "financial"), assessed("technique", "T1190 Exploit Public-Facing Application"),
			assessed("technique", "T1110 Brute Force"), stated("actor", "", "lapwing"), stated("actor_type", "lapwing", "criminal"), stated("date", "", "2022-11"),
			stated("people", "accounts", "37000000"), assessed("description", "It was {people:accounts} accounts by {actor}.\n\nOn {date}, {history}."),
		}, more...),
	}
	for i := range in.Claims {
		in.Claims[i].Incident, in.Claims[i].Seq = in.ID, int64(i+1)
	}
	return in
}

func view(t *testing.T, in *Incident, ask Ask) *View {
	t.Helper()
	v, ok := in.View(ask)
	if !ok {
		t.Fatal("there is no page")
	}
	return v
}

// P7: what the public may not read is not in its view, in no form, not by way of prose either.
func TestPublicViewHoldsNothingOfMembers(t *testing.T) {
	in := sample()
	in.Claims[7].Approx = true
	v := view(t, in, public())
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"financial", "T1190", "T1110", "lapwing", "Lapwing", "criminal"} {
		if strings.Contains(string(out)+v.Texts(), secret) {
			t.Errorf("the public view holds %q", secret)
		}
	}
	if v.Motives.Count != 1 || v.Techniques.Count != 2 || v.Actors.Count != 1 || v.Posture != nil || v.Motives.Items != nil || v.Actors.Items != nil {
		t.Errorf("%+v", v)
	}
	if text := v.Description[0][1].Text + v.Description[0][3].Text; text != "about 37 million(available to members)" {
		t.Errorf("prose: %q", text)
	}
	m := view(t, in, Ask{Reader: access.Reader{Tier: access.Member}, Now: today})
	if m.Posture == nil || m.Actors.Items[0].Name != "Lapwing Group" || m.Actors.Items[0].Type != "criminal" || m.Actors.Items[0].Location != claim.NotRecorded {
		t.Errorf("members see %+v", m.Actors)
	}
	in.Draft = true
	for _, nobody := range []access.Reader{{Tier: access.Member}, {}} {
		if _, ok := in.View(Ask{Reader: nobody, Now: today}); ok {
			t.Errorf("%s sees a draft", nobody.Tier)
		}
	}
}

// A claim's own tier and embargo raise what its property says, and a later restriction counts for the past as well.
func TestClaimsOwnLevel(t *testing.T) {
	visible, embargoed, ended := stated("asset", "", "one"), stated("asset", "", "two"), stated("asset", "", "three")
	visible.Visible, embargoed.Embargo, ended.Embargo = "member", "2026-12-01", "2026-10-01"
	in := sample(visible, embargoed, ended)
	seen := func(tier access.Tier, now time.Time) (all []string) {
		for _, f := range view(t, in, Ask{Reader: access.Reader{Tier: tier}, Now: now}).Section("how").Figures {
			all = append(all, f.Value)
		}
		return all
	}
	for _, tt := range []struct {
		tier access.Tier
		now  time.Time
		want string
	}{
		{access.Public, today, "three"}, {access.Member, today, "one three"}, {access.Responder, today, "one two three"}, {access.Public, today.AddDate(0, 2, 0), "two three"},
	} {
		if got := strings.Join(seen(tt.tier, tt.now), " "); got != tt.want {
			t.Errorf("%s on %s sees %q, want %q", tt.tier, tt.now.Format(time.DateOnly), got, tt.want)
		}
	}
	past := []claim.Claim{stated("asset", "", "one")}
	past[0].Incident, visible.Incident = in.ID, in.ID
	Restrict(past, []claim.Claim{visible})
	if past[0].Level(access.Anybody(), today) != access.Hidden || past[0].Level(access.Reader{Tier: access.Member}, today) != access.Value {
		t.Error("what is restricted now is open in the past")
	}
}

func TestTakenSaysWhatNobodySays(t *testing.T) {
	v := view(t, sample(stated("taken", "email", "partly"), stated("taken", "email", "none"), stated("taken", "device_id", "taken")), public())
	got := map[string]string{}
	for _, row := range v.Section("taken").Classes {
		got[row.Class] = row.Status
	}
	if got["email"] != "partly" || got["ssn"] != "not said" || got["device id"] != "taken" {
		t.Errorf("%v", got)
	}
	if len(v.Disagreements) != 1 || len(v.Disagreements[0].Others) != 1 {
		t.Errorf("disagreements: %+v", v.Disagreements)
	}
}

// Source time: a view of a day holds what had been said by its end, and says what it leaves out.
func TestAsOf(t *testing.T) {
	early, late, undated := stated("people", "accounts", "1000"), stated("people", "accounts", "2000"), stated("vector", "", "an API")
	early.AsOf, late.AsOf = "2023-01-19", "2023-02"
	in := sample(early, late, undated)
	in.Claims = slices.DeleteFunc(in.Claims, func(c claim.Claim) bool { return c.Value == "37000000" })
	ask := public()
	ask.AsOf = time.Date(2023, 1, 20, 0, 0, 0, 0, time.UTC)
	v := view(t, in, ask)
	if f := v.People(); f == nil || f.Value != "1000" || len(f.Others) != 0 {
		t.Errorf("the figure of that day: %+v", f)
	}
	if len(v.Later) != 1 || v.Later[0].Value != "2000" || v.Undated == 0 || v.AsOf != "2023-01-20" {
		t.Errorf("left out: %+v, %d undated", v.Later, v.Undated)
	}
	words := func(v *View) (all string) {
		for _, paragraph := range v.Description {
			for _, segment := range paragraph {
				all += segment.Text
			}
		}
		return all
	}
	fine := stated("fine", "", "USD 5000")
	fine.AsOf = "2024-01-01"
	in.Claims = append(slices.DeleteFunc(in.Claims, func(c claim.Claim) bool { return c.Property == "description" }), fine, claim.Claim{
		Property: "description", Value: "It was {people:accounts}. A regulator fined it {fine}.\n\nThe {fine} were paid.", Kind: claim.Assessed, Speaker: claim.Editors, Coder: "c", Reasoning: "r",
	})
	if got := words(view(t, in, ask)); got != "It was 1,000." {
		t.Errorf("the text of that day: %q", got)
	}
	if got := words(view(t, in, public())); !strings.Contains(got, "A regulator fined it USD 5,000.") || !strings.Contains(got, "The USD 5,000 were paid.") {
		t.Errorf("the text of today: %q", got)
	}
	if f := view(t, in, public()).People(); f.Value != "2000" || !f.Others[0].Superseded && f.Others[0].Value != "1000" {
		t.Errorf("the figure of today: %+v", f)
	}
}

// What the attacker says is not the size of an incident as long as somebody else gives one.
func TestPeople(t *testing.T) {
	boast := stated("people", "rows in the file", "90000000")
	boast.Speaker = claim.Attacker
	in := sample(boast, stated("people", "customers", "1000"))
	if f := view(t, in, public()).People(); f.Value != "37000000" {
		t.Errorf("the size is %+v", f)
	}
	in.Claims = slices.DeleteFunc(in.Claims, func(c claim.Claim) bool { return c.Property == "people" && c.Speaker != claim.Attacker })
	if v := view(t, in, public()); v.People() == nil || v.Size() != 90000000 {
		t.Errorf("nobody else gives a number: %+v", v.People())
	}
}

func TestDurations(t *testing.T) {
	v := view(t, sample(
		stated("event", "first_disclosure", "2022-11-25"), stated("event", "detected", "2023-01-05"), stated("event", "disclosed", "2023-01-19"),
		stated("event", "people_told", "2023-02"), stated("fine", "a", "USD 10"), stated("fine", "b", "USD 5"), stated("fine", "in all", "USD 15"),
		total("fines", "{fine:a} + {fine:b}"), total("fines and more", "{fine:a} + {fine:c}")), public())
	got := map[string]string{}
	for _, c := range v.Computed {
		got[c.Name] = c.Text
		for _, in := range c.Inputs {
			if !slices.ContainsFunc(v.Figures(), func(f Figure) bool { return f.Claim == in.Claim }) {
				t.Errorf("%s rests on %+v, which is not on the page", c.Name, in)
			}
		}
	}
	want := map[string]string{"unseen": "41 days", "to_public": "14 days", "total": "USD 15"}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("computed: %v", got)
	}
}

// A claim that everybody reads does not name an actor whom only members see.
func TestLintTells(t *testing.T) {
	for _, tt := range []struct {
		who, visible string
		caught       bool
	}{{"Lapwing Group", "", true}, {"“Lapwing Group”, on a forum", "", true}, {"Lapwing Group", "member", false}, {"Lapwing Groups", "", false}, {"the attacker", "", false}} {
		c := stated("characterisation", "", "as the attacker puts it")
		c.Who, c.Visible = tt.who, tt.visible
		set := &Set{
			Organisations: []Organisation{{ID: "x", Name: "X"}}, Sources: []claim.Source{{ID: "s", Publisher: "P", Type: "press"}},
			Actors: []Actor{{ID: "lapwing", Name: "Lapwing Group"}}, Records: []Record{{ID: "r", Victim: "x", Claims: []claim.Claim{c}}},
		}
		if problems := set.Lint(); (len(problems) > 0) != tt.caught {
			t.Errorf("%q, visible %q: %v", tt.who, tt.visible, problems)
		}
	}
}

func TestLintSum(t *testing.T) {
	rec := &Record{ID: "x", Claims: []claim.Claim{
		stated("people", "a", "1"), stated("people", "b", "2"), stated("fine", "a", "USD 5"), stated("fine", "b", "EUR 5"), stated("date", "", "2022"),
	}}
	rec.own()
	for value, want := range map[string]string{
		"{people:a} + {people:b}": "", "{people:a} + {people:c}": "leads to no claim", "{people:a} + {fine:a}": "does not add up", "{fine:a} + {fine:b}": "does not add up",
		"{people:a} + {date}": "does not add up", "{date} + {date}": "does not add up", "{people:a} + {people:a}": "twice",
	} {
		problems := lintSum(rec, value)
		if want == "" && len(problems) > 0 || want != "" && !slices.ContainsFunc(problems, func(p textProblem) bool { return strings.Contains(p.what, want) }) {
			t.Errorf("%s: %+v", value, problems)
		}
	}
	p, _ := claim.Find("total")
	for _, value := range []string{"{people:a}", "{people:a} - {people:b}", "{other/people:a} + {people:b}", "5 + 5"} {
		if p.CheckValue(value) == nil {
			t.Errorf("%s is taken for a sum", value)
		}
	}
}

func TestReadRecordsReportsEverything(t *testing.T) {
	dir := fstest.MapFS{
		"organisations.yaml": {Data: []byte("- {id: x, name: X}\n")},
		"sources.yaml":       {Data: []byte("- {id: s, publisher: P, type: press}\n- {id: s, publisher: P, type: press}\n")},
		"one.yaml":           {Data: []byte("id: one\nvictim: nobody\nclaims:\n  - {property: date, value: soon, speaker: press, source: s}\n  - {property: date, value: \"2022\", speaker: press, source: gone}\n  - {property: dat, value: \"2022\", speaker: press, source: s}\n")},
		"two.yaml":           {Data: []byte("id: other\nvictim: x\nclaims:\n  - {property: summary, value: \"It took 37 million in January; {people:all}\", speaker: press, source: s}\n")},
		"three.yaml":         {Data: []byte("id: three\nvictim: x\nsurprise: 1\n")},
	}
	_, problems := ReadRecords(dir)
	all := Join(problems)
	if all == nil {
		t.Fatal("all was accepted")
	}
	for _, want := range []string{
		`"s" is given twice`, `no organisation "nobody"`, "one.yaml:4: date", `one.yaml:5: date: no source "gone"`, "did you mean date?", "name the file after the id",
		`two.yaml:4: summary: "37 million" stands bare`, `"January" stands bare`, "{people:all} leads to no claim", "three.yaml:3", "surprise",
	} {
		if !strings.Contains(all.Error(), want) {
			t.Errorf("nothing is said of %q in:\n%v", want, all)
		}
	}
}

// Each figure, date or ordinal in prose is a reference, and a sentence refers to the incident that it names.
func TestLintProse(t *testing.T) {
	rec := func(id string, claims ...claim.Claim) *Record {
		r := &Record{ID: id, Victim: "x", Claims: claims}
		r.own()
		return r
	}
	own := rec("x-2022", stated("people", "accounts", "37000000"), stated("date", "", "2022-11-25"), stated("event", "detected", "2023-01-05"))
	other := rec("x-2021", stated("share", "customers", "<0.03"), stated("date", "", "2021-02"))
	all := map[string]*Record{own.ID: own, other.ID: other}
	for _, tt := range []struct{ text, what, hint string }{
		{"It took {people:accounts} accounts on {date}.", "", ""},
		{"An earlier one took {x-2021/share:customers} of the customers.", "", ""},
		{"Nothing bare here, and one of the APIs at all.", "", ""},
		{"It took 37 million accounts.", `"37 million" stands bare`, "{people:accounts}"},
		{"It took thirty-seven million accounts.", `"thirty-seven million" stands bare`, "{people:accounts}"},
		{"It took 37,000,000 accounts.", "stands bare", "{people:accounts}"},
		{"It began on 25 November 2022.", "stands bare", "{date}"},
		{"It began on November 25, 2022.", "stands bare", "{date}"},
		{"It was the eighth.", `"eighth" stands bare`, ""},
		{"It took 3% of the customers.", "stands bare", "{x-2021/share:customers}"},
		{"It took {people:accounts} and {x-2021/share:customers}.", "more than one incident", ""},
		{"It took {people:cars}.", "leads to no claim", "{people:accounts}"},
		{"It took {x-1999/people:cars}.", "leads to no incident", ""},
	} {
		problems := lintProse(own, tt.text, all)
		if tt.what == "" {
			if len(problems) > 0 {
				t.Errorf("%q: %+v", tt.text, problems)
			}
			continue
		}
		if !slices.ContainsFunc(problems, func(p textProblem) bool {
			return strings.Contains(p.what, tt.what) && strings.Contains(p.hint, tt.hint)
		}) {
			t.Errorf("%q: %+v, want %q with the hint %q", tt.text, problems, tt.what, tt.hint)
		}
	}
}

// Every way in which English writes a figure is found whole, and what only looks like one is left alone.
func TestFigures(t *testing.T) {
	for text, want := range map[string][]string{
		"thirteen or ninety-nine":                                                   {"thirteen", "ninety-nine"},
		"one hundred thousand, one of them":                                         {"one hundred thousand"},
		"three percent, 3 per cent, one percent":                                    {"three percent", "3 per cent", "one percent"},
		"the twenty-first and the thirtieth":                                        {"twenty-first", "thirtieth"},
		"two thirds, a quarter, twice":                                              {"two", "thirds", "quarter", "twice"},
		"2 trillion and ½ of ٣٧":                                                    {"2 trillion", "½", "٣٧"},
		"It ended in March, or by May.":                                             {"March", "May"},
		"A march may be long. It was in Marching":                                   nil,
		"They said in November that it grew":                                        {"November"},
		"in Q3 and USD 5":                                                           {"Q3", "USD 5"},
		"a third party, third-party, second-hand, per second, two-factor, zero-day": nil,
		"Form 8-K, 5G, S3, OAuth2, OAuth 2.0, SHA-256, IPv6, Log4j, Office 365, T1190, Article 33": nil,
		"CVE-2021-44228, API1:2023, B2B, MD5, HTTP/2 and Auth0":                                    nil,
		"5Gs, 8-K, form 9":                  {"5Gs,", "8", "9"},
		"a million, millions, dozens, zero": {"million", "millions", "dozens", "zero"},
		"first of all, someone; attention; often; freight; the weight; canine; a tenth; the seventies": {"tenth"},
	} {
		var got []string
		for _, f := range tokens(text) {
			got = append(got, f.text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]float64{
		"thirty-seven million": 37e6, "37 million": 37e6, "one hundred thousand": 1e5, "seventy six": 76, "37,000,000": 37e6, "2.5 billion": 2.5e9,
		"zero": 0, "half": 0.5, "millions": -1,
	} {
		if got := readNumber(text); got != want {
			t.Errorf("readNumber(%q) = %v, want %v", text, got, want)
		}
	}
}

// The page of the register of incidents that this one was measured by: it gives a figure to the wrong year, and an ordinal
// without a rule.
func TestSeedText(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "seed", "incident-page.txt"))
	if err != nil {
		t.Skip("the seed page is not on this machine")
	}
	set, problems := ReadRecords(records.Files)
	if len(problems) > 0 {
		t.Fatal(Join(problems))
	}
	var all []*Record
	for i := range set.Records {
		if set.Records[i].Victim == "t-mobile-us" {
			all = append(all, &set.Records[i])
		}
	}
	findings := CheckText(string(text), all)
	of := func(figure string) (what []string) {
		for _, f := range findings {
			if f.Figure == figure {
				what = append(what, f.What)
			}
		}
		return what
	}
	if got := strings.Join(of("3%"), "\n"); !strings.Contains(got, "claimed of t-mobile-us-2018-08") || !strings.Contains(got, "name t-mobile-us-2021-02, t-mobile-us-2021-08") {
		t.Errorf("3%% of 2021 is not caught: %q", got)
	}
	if got := of("eighth"); len(got) != 2 || !strings.Contains(got[0], "needs a rule") || !strings.Contains(got[0], "8 by the rule") {
		t.Errorf("the eighth: %q", got)
	}
	if len(of("37 million")) != 0 {
		t.Errorf("37 million is right: %q", of("37 million"))
	}
	for _, f := range findings {
		t.Logf("%s: %s", f.Figure, f.What)
	}
}

// What a file says survives being read and written, and the written form is stable.
func TestRoundTrip(t *testing.T) {
	set, problems := ReadRecords(records.Files)
	if len(problems) > 0 {
		t.Fatal(Join(problems))
	}
	files, err := set.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, data := range files {
		dir[name] = &fstest.MapFile{Data: data}
	}
	again, problems := ReadRecords(dir)
	if len(problems) > 0 {
		t.Fatal(Join(problems))
	}
	ids := func(r *Record) (all []string) {
		for i := range r.Claims {
			all = append(all, r.Claims[i].ID())
		}
		slices.Sort(all)
		return all
	}
	for i := range set.Records {
		if a, b := &set.Records[i], &again.Records[i]; a.ID != b.ID || a.Victim != b.Victim || !slices.Equal(ids(a), ids(b)) {
			t.Errorf("%s comes back as another", a.ID)
		}
	}
	twice, err := again.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if string(files[name]) != string(twice[name]) {
			t.Errorf("%s is written in another way the second time", name)
		}
	}
}

func TestHasComments(t *testing.T) {
	for text, want := range map[string]bool{"a: 1\n": false, "# why\na: 1\n": true, "a: 1 # why\n": true, "a:\n  - b\n  # why\n": true, "a: \"# no\"\n": false, ": : :": true} {
		if HasComments([]byte(text)) != want {
			t.Errorf("%q", text)
		}
	}
}

func TestMerge(t *testing.T) {
	a, b, c, d := stated("asset", "", "a"), stated("asset", "", "b"), stated("asset", "", "c"), stated("asset", "", "d")
	rec := func(claims ...claim.Claim) Record {
		r := Record{ID: "x", Claims: slices.Clone(claims)}
		r.own()
		return r
	}
	got := Merge(rec(a, b), rec(b, c), rec(a, b, d)) // mine: a is gone, c is new; theirs: d is new
	var values []string
	for _, x := range got.Claims {
		values = append(values, x.Value)
	}
	if strings.Join(values, "") != "bdc" {
		t.Errorf("merged: %v", values)
	}
}

func TestDisplay(t *testing.T) {
	for _, tt := range []struct{ property, value, want string }{
		{"people", "37000000", "37 million"}, {"people", "76600000", "76.6 million"}, {"people", "47850000", "47,850,000"}, {"people", "900000", "900,000"}, {"people", "0", "0"},
		{"people", ">79000000", "more than 79 million"}, {"people", "1000000..1260000", "1 million to 1,260,000"}, {"extortion_paid", "USD 270000", "USD 270,000"},
		{"share", "0.015", "1.5 %"}, {"share", "<0.03", "less than 3 %"}, {"date", "2022-11-25", "25 November 2022"}, {"date", "2022-11", "November 2022"}, {"date", "2022", "2022"},
		{"date", "2022-11-25/2023-01-05", "between 25 November 2022 and 5 January 2023"},
		{"event", "2026-11-02T10:00:01Z", "2 November 2026, 10:00:01 UTC"}, {"confidentiality", "not_affected", "not affected"},
		{"none_found", "0.98", "none found, at coverage 0.98"},
	} {
		p, _ := claim.Find(tt.property)
		if got := display(p, &claim.Claim{Value: tt.value}); got != tt.want {
			t.Errorf("%s %s reads %q, want %q", tt.property, tt.value, got, tt.want)
		}
	}
}

func TestOrdinalWord(t *testing.T) {
	for n, want := range map[int]string{1: "first", 8: "eighth", 12: "twelfth", 13: "13th", 21: "21st", 111: "111th", 1002: "1,002nd"} {
		if got := ordinalWord(n); got != want {
			t.Errorf("%d reads %q, want %q", n, got, want)
		}
	}
}

// Whatever a file holds, reading it ends in a record or in problems; a record that has none is written and read back as the same.
func FuzzReadRecord(f *testing.F) {
	entries, err := records.Files.ReadDir(".")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		data, err := records.Files.ReadFile(e.Name())
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 20_000 {
			f.Add(data)
		}
	}
	f.Add([]byte("id: x\nvictim: x\nclaims:\n  - &a {property: alias, value: \"a\\tb\\u2028 \", speaker: press, source: s}\n  - *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, problems := ReadRecord("x.yaml", data)
		set := &Set{Records: []Record{rec}}
		set.Lint()
		if len(problems) > 0 {
			return
		}
		in := &Incident{ID: rec.ID, Claims: rec.Claims}
		if len(set.Lint()) == 0 {
			in.View(public())
		}
		out, err := rec.File()
		if err != nil {
			t.Fatal(err)
		}
		again, problems := ReadRecord("x.yaml", out)
		if len(problems) > 0 || len(again.Claims) != len(rec.Claims) {
			t.Fatalf("%v\n%s", Join(problems), out)
		}
		want := map[string]int{}
		for i := range rec.Claims {
			want[rec.Claims[i].ID()]++
			want[again.Claims[i].ID()]--
		}
		for id, n := range want {
			if n != 0 {
				t.Fatalf("claim %s comes back as another:\n%s", id, out)
			}
		}
	})
}
