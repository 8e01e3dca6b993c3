package claim

import (
	"strings"
	"testing"
	"time"

	"weir/internal/access"
)

func people(value string, s Speaker, asOf string) Claim {
	return Claim{Property: "people", Qualifier: "accounts", Value: value, Kind: Stated, Speaker: s, Source: "s", AsOf: asOf}
}

func by(who string, c Claim) Claim {
	c.Who = who
	return c
}

// P6: the same speaker's later statement supersedes, then the order of speakers decides; everything else stays beside it.
func TestSelect(t *testing.T) {
	named := people("1", Press, "2024")
	named.Key = "old"
	naming := people("2", Attacker, "2021")
	naming.Supersedes = "old"
	for _, tt := range []struct {
		what   string
		claims []Claim
		want   string
		rule   string
	}{
		{"one", []Claim{people("1", Press, "2021")}, "1", "the only claim"},
		{"filing before regulator", []Claim{people("1", Regulator, "2024"), people("2", VictimFiling, "2023")}, "2", "victim's filing before regulator"},
		{"court before statement", []Claim{people("1", VictimStatement, "2024"), people("2", Court, "2021")}, "2", "court before victim's statement"},
		{"research before press before attacker", []Claim{people("1", Attacker, ""), people("2", Press, ""), people("3", Research, "")}, "3", "research before press"},
		{"the later of one sort", []Claim{people("1", Press, "2021-08-17"), people("2", Press, "2021-08-20")}, "2", "the latest of press"},
		{"a dated one before an undated", []Claim{people("1", Press, ""), people("2", Press, "2021")}, "2", "the latest of press"},
		{"same day", []Claim{people("1", Press, "2021"), people("2", Press, "2021")}, "1", "first recorded of press"},
		{"the same speaker's later", []Claim{by("A", people("1", Court, "2022")), by("A", people("2", Court, "2025")), by("B", people("3", Press, "2026"))}, "2", "court before press"},
		{"named as superseded", []Claim{named, naming}, "2", "the only claim that is not superseded"},
	} {
		for i := range tt.claims {
			tt.claims[i].Seq = int64(i + 1)
		}
		s := Select(tt.claims)
		if s.Chosen.Value != tt.want || s.Rule != tt.rule || len(s.Others) != len(tt.claims)-1 {
			t.Errorf("%s: %s by %q, %d others", tt.what, s.Chosen.Value, s.Rule, len(s.Others))
		}
		if s.Disagree() != (len(tt.claims) > 1) {
			t.Errorf("%s: disagree is %t", tt.what, s.Disagree())
		}
	}
	both := []Claim{by("A", people("1", Court, "2022")), by("A", people("2", Court, "2025")), people("3", Press, "2026")}
	for i := range both {
		both[i].Seq = int64(i + 1)
	}
	if s := Select(both); s.Superseded(0) || !s.Superseded(1) || s.Others[1].Value != "1" {
		t.Errorf("the superseded claim is not the last: %+v", s.Others)
	}
}

func TestCheck(t *testing.T) {
	good := people("37000000", VictimFiling, "2023-01-19")
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Claim){
		"did you mean people": func(c *Claim) { c.Property = "peeple" },
		"value is missing":    func(c *Claim) { c.Value = "" },
		"is no figure":        func(c *Claim) { c.Value = "37 million" },
		"is no figure:":       func(c *Claim) { c.Value = "-1" },
		"is no whole number":  func(c *Claim) { c.Value = "1.5" },
		"speaker":             func(c *Claim) { c.Speaker = "somebody" },
		"as_of":               func(c *Claim) { c.AsOf = "last year" },
		"embargo":             func(c *Claim) { c.Embargo = "soon" },
		"which population":    func(c *Claim) { c.Qualifier = "" },
		"has no meaning":      func(c *Claim) { c.Property, c.Value = "date", "2022" },
		"source is missing":   func(c *Claim) { c.Source = "" },
		"kind":                func(c *Claim) { c.Kind = Computed },
		"coder and reasoning": func(c *Claim) { c.Kind, c.Reasoning = Assessed, "because" },
		"only a guard":        func(c *Claim) { c.Kind = Measured },
		"confidence":          func(c *Claim) { c.Confidence = "very" },
		"visible":             func(c *Claim) { c.Visible = "friends" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(what, ":")) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestValues(t *testing.T) {
	for _, tt := range []struct {
		property  string
		good, bad []string
	}{
		{"people", []string{"0", "37000000", "1000000..1260000", ">79000000", "<200000"}, []string{"", "1e6", "+1", "2..1", ">1..2", "1,000", "1.5", "9999999999999999"}},
		{"share", []string{"0", "1", "0.03", "<0.015", "0.1..0.2"}, []string{"1.5", "3%", "0.5..2"}},
		{"fine", []string{"USD 350000000", "EUR 1..2", "USD >5"}, []string{"350000000", "$5", "usd 5", "USD 1.5", "USD"}},
		{"date", []string{"2022", "2022-11", "2022-11-25", "2022-11-25T10:00:00Z", "2022-11-25/2023-01-05", "2021/2022-02"}, []string{"soon", "2022-13", "2022-11-31", "2023/2022", "25 November 2022"}},
		{"status_contained", []string{"yes", "no", "unknown"}, []string{"maybe", "Yes"}},
		{"technique", []string{"T1190 Exploit Public-Facing Application", "T1213.006 Databases"}, []string{"T1190", "1190 Exploit", "exploit"}},
		{"related", []string{"t-mobile-us-2018-08"}, []string{"T Mobile", "a/b"}},
	} {
		p, ok := Find(tt.property)
		if !ok {
			t.Fatal(tt.property)
		}
		for _, v := range tt.good {
			if err := p.CheckValue(v); err != nil {
				t.Errorf("%s %q: %v", tt.property, v, err)
			}
		}
		for _, v := range tt.bad {
			if p.CheckValue(v) == nil {
				t.Errorf("%s %q: accepted", tt.property, v)
			}
		}
	}
}

// The table itself: every property is named once, explained, shown to somebody, and in a section that there is.
func TestTable(t *testing.T) {
	seen := map[[2]string]bool{}
	known := map[string]bool{"": true}
	for _, s := range Sections() {
		known[s.Name] = true
	}
	for _, p := range Properties() {
		key := [2]string{string(p.Object), p.Name}
		if seen[key] || p.Label == "" || p.Help == "" || p.Name != strings.ToLower(p.Name) || !known[p.Section] || p.Values == "" {
			t.Errorf("%+v", p)
		}
		seen[key] = true
		if p.Access.Level(access.Reader{Tier: access.Editor}) != access.Value {
			t.Errorf("%s is shown to nobody", p.Name)
		}
		if (p.Type == Coded) != (p.Pattern != nil) || p.Type == Coded && p.CheckValue(p.Example) != nil || (p.Type == Enum) != (p.Enum != nil) {
			t.Errorf("%s: its form is not whole", p.Name)
		}
	}
}

// P7: a claim is shown by its property's rule, raised by its own tier and by its embargo, and never lowered.
func TestLevel(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	level := func(c Claim, tier access.Tier, now time.Time) access.Level {
		return c.Level(access.Reader{Tier: tier}, now)
	}
	c := people("1", Press, "")
	if level(c, access.Public, day) != access.Value {
		t.Error("an open claim is not shown")
	}
	c.Visible = "responder"
	if level(c, access.Member, day) != access.Hidden || level(c, access.Responder, day) != access.Value {
		t.Error("a claim's own tier does not hold")
	}
	c.Visible = "public"
	c.Property = "motive"
	if level(c, access.Public, day) != access.Count {
		t.Error("a claim's own tier lowers its property's rule")
	}
	c = people("1", Press, "")
	c.Embargo = "2026-03-01"
	if level(c, access.Member, day.Add(-time.Second)) != access.Hidden || level(c, access.Responder, day.Add(-time.Second)) != access.Value || level(c, access.Public, day) != access.Value {
		t.Error("an embargo does not hold, or does not end")
	}
	for what, bad := range map[string]func(*Claim){"property": func(c *Claim) { c.Property = "unheard-of" }, "tier": func(c *Claim) { c.Visible = "friends" }} {
		c := people("1", Press, "")
		bad(&c)
		if level(c, access.Editor, day) != access.Hidden {
			t.Errorf("unknown %s: shown", what)
		}
	}
}

// P8: what counts as said by a day is what was said by it whatever its date's precision means.
func TestSaidBy(t *testing.T) {
	day := time.Date(2023, 1, 20, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		asOf, published string
		said, dated     bool
	}{
		{"2023-01-19", "", true, true}, {"2023-01-20", "", true, true}, {"2023-01-21", "", false, true},
		{"2023-01", "", false, true}, {"2022-12", "", true, true}, {"2023", "", false, true}, {"2022", "", true, true},
		{"", "2023-01-19", true, true}, {"", "2023-02", false, true}, {"", "", false, false}, {"2023-01-20T23:59:58Z", "", true, true},
	} {
		c := people("1", Press, tt.asOf)
		if said, dated := c.SaidBy(day, Source{Published: tt.published}); said != tt.said || dated != tt.dated {
			t.Errorf("%q, source of %q: said %t, dated %t", tt.asOf, tt.published, said, dated)
		}
	}
}

func TestIDNamesWhatIsSaid(t *testing.T) {
	a, b := people("1", Press, ""), people("1", Press, "")
	b.Seq, b.Revision, b.Line = 7, 8, 9
	if a.ID() != b.ID() {
		t.Error("the same statement has two ids")
	}
	b.Incident = "another"
	c := people("2", Press, "")
	if a.ID() == b.ID() || a.ID() == c.ID() {
		t.Error("two statements have one id")
	}
}
