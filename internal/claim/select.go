package claim

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Policy is how the shown value is chosen, in words. Select does this and nothing else.
const Policy = "The same speaker's later statement supersedes the earlier, and a claim that names another stands in for it. Then the kind of speaker decides: victim's filing, regulator, court, victim's statement, research, press, attacker. Among speakers of one kind the latest statement leads, and of one day the first that was recorded. A guard's measurement leads only for what was released through that guard."

// A Selection is which of the claims about one property and qualifier a page shows, and why.
type Selection struct {
	Chosen Claim
	Rule   string  // in words
	Others []Claim // the rest, in the order of preference
	old    int     // how many at the end of Others are superseded
}

// Select chooses among claims about one property and qualifier by Policy. It needs at least one claim. The order of its
// argument does not matter.
//
// A measured claim is about what was released through a guard. It has properties of its own and so never competes with what
// others say about the whole incident.
func Select(claims []Claim) Selection {
	ordered := slices.Clone(claims)
	old := superseded(claims)
	rank := func(c *Claim) int {
		if old[c.Seq] {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ordered, func(a, b Claim) int {
		return cmp.Or(
			cmp.Compare(rank(&a), rank(&b)),
			cmp.Compare(slices.Index(speakers, a.Speaker), slices.Index(speakers, b.Speaker)),
			lastDay(b.AsOf).Compare(lastDay(a.AsOf)),
			cmp.Compare(a.Seq, b.Seq),
		)
	})
	s := Selection{Chosen: ordered[0], Others: ordered[1:], old: len(old)}
	switch next := len(s.Others); {
	case next == 0:
		s.Rule = "the only claim"
	case old[s.Others[0].Seq] && s.Others[0].Speaker == s.Chosen.Speaker:
		s.Rule = "the latest of " + s.Chosen.Speaker.Label()
	case old[s.Others[0].Seq]:
		s.Rule = "the only claim that is not superseded"
	case s.Others[0].Speaker != s.Chosen.Speaker:
		s.Rule = fmt.Sprintf("%s before %s", s.Chosen.Speaker.Label(), s.Others[0].Speaker.Label())
	case s.Others[0].AsOf != s.Chosen.AsOf:
		s.Rule = "the latest of " + s.Chosen.Speaker.Label()
	default:
		s.Rule = "first recorded of " + s.Chosen.Speaker.Label()
	}
	return s
}

// superseded returns the claims, by Seq, that a later one of the same speaker stands in for, or that another names.
func superseded(claims []Claim) map[int64]bool {
	type voice struct {
		Speaker
		who string
	}
	latest := map[voice]time.Time{}
	named := map[string]bool{}
	for _, c := range claims {
		v := voice{c.Speaker, c.Who}
		if day := lastDay(c.AsOf); day.After(latest[v]) {
			latest[v] = day
		}
		if c.Supersedes != "" {
			named[c.Supersedes] = true
		}
	}
	old := map[int64]bool{}
	for _, c := range claims {
		if c.Who != "" && lastDay(c.AsOf).Before(latest[voice{c.Speaker, c.Who}]) || c.Key != "" && named[c.Key] {
			old[c.Seq] = true
		}
	}
	if len(old) == len(claims) { // claims that name each other
		return nil
	}
	return old
}

// lastDay is the end of what a date may mean; the zero time where none is recorded.
func lastDay(date string) time.Time {
	p, err := ParsePeriod(date)
	if err != nil {
		return time.Time{}
	}
	return p.End
}

// Disagree reports whether the claims hold different values.
func (s *Selection) Disagree() bool {
	return slices.ContainsFunc(s.Others, func(c Claim) bool { return c.Value != s.Chosen.Value })
}

// Superseded reports whether Others[i] is superseded by another claim.
func (s *Selection) Superseded(i int) bool { return i >= len(s.Others)-s.old }
