package classify

import "weir"

// What service a person has is known by its member's name: the plan, its lines and its features (in US telephony, part of
// customer proprietary network information, 47 CFR 64.2003).
var planRule = rule{
	class:    weir.Plan,
	names:    []string{"plan", "rateplan", "planname", "planfeatures", "tariff", "subscription", "numberoflines", "linecount", "serviceplan", "planid"},
	suffixes: []string{"rateplan", "serviceplan", "planname", "numberoflines"},
}
