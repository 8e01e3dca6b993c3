package quota

import (
	"errors"
	"fmt"
	"time"

	"weir"
)

// Everyone is the pattern that matches each principal for which no narrower rule is given.
const Everyone = "*"

// A Rule gives the principals that match a pattern a limit.
type Rule struct {
	Principal string // a name, weir.Unverified for the pools of callers without a verified credential, or Everyone
	Limit
}

// Rules are all rules of a guard. The narrowest pattern that matches a principal decides: its name, then weir.Unverified,
// then Everyone; where several rules have that pattern, all their limits hold at once.
type Rules []Rule

// Check refuses rules that leave somebody without a limit, or that cannot be meant.
func (rs Rules) Check() error {
	everyone := false
	for _, r := range rs {
		switch {
		case r.Principal == "":
			return errors.New("quota without a principal: give a name, unverified or \"*\"")
		case r.Subjects < 0:
			return fmt.Errorf("quota of %s: subjects must not be negative", r.Principal)
		case r.Window <= 0:
			return fmt.Errorf("quota of %s: per must be a positive duration such as 24h", r.Principal)
		}
		everyone = everyone || r.Principal == Everyone
	}
	if !everyone {
		return errors.New("no quota for principal \"*\": add one, so that nobody is without a limit")
	}
	return nil
}

// For returns the limits of a principal by its name; pooled says that it is a pool of unverified callers.
func (rs Rules) For(name string, pooled bool) []Limit {
	patterns := []string{name, Everyone}
	if pooled {
		patterns = []string{weir.Unverified, Everyone}
	}
	for _, p := range patterns {
		var limits []Limit
		for _, r := range rs {
			if r.Principal == p {
				limits = append(limits, r.Limit)
			}
		}
		if limits != nil {
			return limits
		}
	}
	return nil
}

// Longest returns the longest window of any rule: so far back a guard must know who received whom.
func (rs Rules) Longest() (w time.Duration) {
	for _, r := range rs {
		w = max(w, r.Window)
	}
	return w
}
