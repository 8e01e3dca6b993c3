package claim

import (
	"strings"
	"testing"

	"weir/internal/access"
)

func people(value string, s Speaker, asOf string) Claim {
	return Claim{Property: "people", Qualifier: "accounts", Value: value, Kind: Stated, Speaker: s, Source: "s", AsOf: asOf}
}

// P6: the order of speakers, and of one speaker the latest; everything else stays beside it.
func TestSelect(t *testing.T) {
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
		{"the later supersedes", []Claim{people("1", Press, "2021-08-17"), people("2", Press, "2021-08-20")}, "2", "the latest of press"},
		{"a dated one supersedes an undated", []Claim{people("1", Press, ""), people("2", Press, "2021")}, "2", "the latest of press"},
		{"same day", []Claim{people("1", Press, "2021"), people("2", Press, "2021")}, "1", "first recorded of press"},
	} {
		for i := range tt.claims {
			tt.claims[i].ID = int64(i)
		}
		s := Select(tt.claims)
		if s.Chosen.Value != tt.want || s.Rule != tt.rule || len(s.Others) != len(tt.claims)-1 {
			t.Errorf("%s: %s by %q, %d others", tt.what, s.Chosen.Value, s.Rule, len(s.Others))
		}
		if s.Disagree() != (len(tt.claims) > 1) {
			t.Errorf("%s: disagree is %t", tt.what, s.Disagree())
		}
	}
}

func TestCheck(t *testing.T) {
	good := people("37000000", VictimFiling, "2023-01-19")
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Claim){
		"property":            func(c *Claim) { c.Property = "peeple" },
		"value missing":       func(c *Claim) { c.Value = "" },
		"value":               func(c *Claim) { c.Value = "37 million" },
		"negative":            func(c *Claim) { c.Value = "-1" },
		"speaker":             func(c *Claim) { c.Speaker = "somebody" },
		"as of":               func(c *Claim) { c.AsOf = "last year" },
		"qualifier missing":   func(c *Claim) { c.Qualifier = "" },
		"qualifier":           func(c *Claim) { c.Property, c.Value = "date", "2022" },
		"source":              func(c *Claim) { c.Source = "" },
		"kind":                func(c *Claim) { c.Kind = Computed },
		"assessed, no coder":  func(c *Claim) { c.Kind, c.Reasoning = Assessed, "because" },
		"assessed, no reason": func(c *Claim) { c.Kind, c.Coder = Assessed, "editors" },
		"measured by others":  func(c *Claim) { c.Kind = Measured },
	} {
		c := good
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for typ, bad := range map[Type]string{Taken: "some", Impact: "bad", Share: "1.5", Date: "2022-13", Money: "1.5"} {
		if typ.check(bad) == nil {
			t.Errorf("%s %q: accepted", typ, bad)
		}
	}
}

// The table itself: every property is named once, explained, and shown to somebody.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Properties() {
		if seen[p.Name] || p.Label == "" || p.Help == "" || p.Name != strings.ToLower(p.Name) {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
		if p.Access.Level(access.Reader{Tier: access.Editor}) != access.Value {
			t.Errorf("%s is shown to nobody", p.Name)
		}
	}
	c := people("1", Press, "")
	c.Visible = access.Responder
	if c.Level(access.Reader{Tier: access.Member}) != access.Hidden || c.Level(access.Reader{Tier: access.Responder}) != access.Value {
		t.Error("a claim's own tier does not hold")
	}
	c.Property = "unheard-of"
	if c.Level(access.Reader{Tier: access.Editor}) != access.Hidden {
		t.Error("an unknown property is shown")
	}
}
