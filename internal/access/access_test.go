package access

import (
	"errors"
	"strings"
	"testing"
)

// P7: denied by default, and a ladder: who stands higher never sees less.
func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		rule Rule
		want [5]Level // nobody, public, member, responder, editor
	}{
		{Rule{}, [5]Level{Hidden, Hidden, Hidden, Hidden, Hidden}},
		{All(), [5]Level{Hidden, Value, Value, Value, Value}},
		{From(Member), [5]Level{Hidden, Hidden, Value, Value, Value}},
		{Rule{Count: Public, Value: Member}, [5]Level{Hidden, Count, Value, Value, Value}},
		{Rule{Count: Public}, [5]Level{Hidden, Count, Count, Count, Count}},
		{From(Editor), [5]Level{Hidden, Hidden, Hidden, Hidden, Value}},
	} {
		for tier, want := range tt.want {
			if got := tt.rule.Level(Reader{Tier: Tier(tier)}); got != want {
				t.Errorf("%+v for %s: %d, want %d", tt.rule, Tier(tier), got, want)
			}
		}
	}
	if Anybody().MayReadDrafts() || (Reader{Tier: Member}).MayReadDrafts() || (Reader{Tier: Responder}).MayPublish() {
		t.Error("a tier may do what the one above it may")
	}
}

func TestTierNames(t *testing.T) {
	for _, tier := range Tiers() {
		if got, err := ParseTier(tier.String()); err != nil || got != tier {
			t.Errorf("%s: %v, %v", tier, got, err)
		}
	}
	if _, err := ParseTier("nobody"); err == nil {
		t.Error("nobody is a tier")
	}
}

func TestSignIn(t *testing.T) {
	a, err := NewAccount("kim@example.com", "correct horse", Responder)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := SignIn(&a, "correct horse"); err != nil || r.Tier != Responder || r.Account != a.Name {
		t.Errorf("%+v, %v", r, err)
	}
	for what, try := range map[string]func() (Reader, error){
		"wrong password": func() (Reader, error) { return SignIn(&a, "correct horsf") },
		"no password":    func() (Reader, error) { return SignIn(&a, "") },
		"no account":     func() (Reader, error) { return SignIn(nil, "nobody has this password") },
	} {
		if r, err := try(); !errors.Is(err, ErrSignIn) || r != (Reader{}) {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	for _, bad := range [][2]string{{"", "long enough pw"}, {"a b", "long enough pw"}, {"kim", "short"}, {"kim", strings.Repeat("x", 73)}} {
		if _, err := NewAccount(bad[0], bad[1], Member); err == nil {
			t.Errorf("account %q with password %q was made", bad[0], bad[1])
		}
	}
}

func TestTokens(t *testing.T) {
	a, hash := NewToken()
	b, _ := NewToken()
	if a == b || len(a) < 40 || TokenHash(a) != hash || TokenHash(b) == hash {
		t.Error("tokens repeat, or do not lead to their hash")
	}
}
