package guard

import (
	"net/http"
	"time"

	"weir"
	"weir/internal/inspect"
	"weir/internal/ledger"
	"weir/internal/quota"
)

// An Exchange is one request and its answer. It ends in exactly one final outcome: Begin, Answer and Refuse each write one
// when they refuse, and Answer when it releases. An Exchange is not safe for concurrent use.
type Exchange struct {
	guard   *Guard
	route   *Route
	who     Principal
	pathKey string
}

// Begin decides whether the upstream may be asked at all. A refusal has been recorded; otherwise the caller must end the
// exchange with Answer or Refuse.
func (g *Guard) Begin(r *http.Request) (*Exchange, *Refusal) {
	route := g.table.unmatched
	plain := plainPath(r) && r.Method != http.MethodConnect && r.Method != http.MethodTrace && r.Header.Get("Upgrade") == ""
	if plain {
		route = g.table.find(r)
	}
	x := &Exchange{guard: g, route: route, who: g.identify(r, route)}
	if route.SubjectIn != "" {
		x.pathKey = route.pathKey(r.URL.Path)
	}
	switch {
	case !plain:
		return nil, x.Refuse(weir.Protocol)
	case route.access == refused:
		return nil, x.Refuse(weir.NoRoute)
	case route.Observe:
		return x, nil
	}
	blocked := false
	err := g.append(func(time.Time) []ledger.Body {
		if _, blocked = g.counter.Blocked(x.who.ID); !blocked {
			return nil
		}
		return []ledger.Body{x.outcome(weir.Refused, weir.Blocked)}
	})
	switch {
	case err != nil:
		return nil, unavailable
	case blocked:
		return nil, refusal(weir.Blocked)
	}
	return x, nil
}

// Principal returns who asks.
func (x *Exchange) Principal() Principal { return x.who }

// Observed reports whether the route is in observe mode, in which refusing is not the guard's to do.
func (x *Exchange) Observed() bool { return x.route.Observe }

// Refuse ends the exchange with nothing released, for a reason that lies in the exchange and not in who asks.
func (x *Exchange) Refuse(reason weir.Reason) *Refusal {
	err := x.guard.append(func(time.Time) []ledger.Body { return []ledger.Body{x.outcome(weir.Refused, reason)} })
	if err != nil {
		return unavailable
	}
	return refusal(reason)
}

// Released is what may go to the caller now.
type Released struct {
	Body     []byte
	Withheld int  // records taken out of the body
	Personal bool // it holds personal data: no cache may keep it
}

// Answer ends the exchange with the upstream's answer. When it returns without a refusal, the outcome that covers every byte
// of the released body is durable (P1) and has been charged to the principal's quota (P2).
func (x *Exchange) Answer(a Answer) (Released, *Refusal) {
	g := x.guard
	rd := g.readings.Get().(*reading)
	defer g.readings.Put(rd)
	rd.reset()
	x.read(&a, rd)
	allowed := rd.reason == weir.RoutePasses || rd.reason == weir.NotJSON && x.route.PassOther
	if rd.reason != weir.NoReason && !allowed && !x.route.Observe {
		return Released{}, x.Refuse(rd.reason)
	}

	out := Released{Body: a.Body}
	var no *Refusal
	err := g.append(func(now time.Time) []ledger.Body {
		if x.route.Observe {
			return []ledger.Body{x.observe(now, rd, &a)}
		}
		d := g.counter.Admit(now, x.who.ID, rd.people, rd.unattached.People, x.route.Cut && rd.cuttable)
		if d.Refused {
			reason := weir.Blocked
			if d.Met != nil {
				reason = weir.QuotaExceeded
			}
			no = refusal(reason)
			return x.withBlock(now, &d, x.outcome(weir.Refused, reason))
		}
		o := x.released(rd, &a)
		if d.Keep != nil {
			if !cut(rd, &a, o, d.Keep, &out) {
				no = refusal(weir.Irregular)
				return x.withBlock(now, &d, x.outcome(weir.Refused, weir.Irregular))
			}
		}
		out.Personal = o.Kind == weir.Disclosed
		return x.withBlock(now, &d, o)
	})
	// From here on the entry is durable; before, nothing of the body has gone anywhere.
	switch {
	case err != nil:
		return Released{}, unavailable
	case no != nil:
		return Released{}, no
	}
	return out, nil
}

// observe charges and records what would have been refused as well as what would not.
func (x *Exchange) observe(now time.Time, rd *reading, a *Answer) *ledger.Outcome {
	c := x.guard.counter
	o := x.released(rd, a)
	if o.Reason == weir.NoReason && c.Exceeds(now, x.who.ID, rd.people, rd.unattached.People) {
		o.Reason = weir.QuotaExceeded
		if _, blocked := c.Blocked(x.who.ID); blocked {
			o.Reason = weir.Blocked
		}
	}
	c.Charge(now, x.who.ID, rd.people, rd.unattached.People)
	return o
}

func (x *Exchange) outcome(kind weir.OutcomeKind, reason weir.Reason) *ledger.Outcome {
	return &ledger.Outcome{Outcome: weir.Outcome{
		Kind: kind, Reason: reason, Observed: x.route.Observe && kind != weir.Refused, Principal: x.who.ID, Route: x.route.Match, Unit: x.route.Unit,
	}}
}

// released is the outcome of an answer that goes out whole.
func (x *Exchange) released(rd *reading, a *Answer) *ledger.Outcome {
	kind := weir.NoneFound
	switch {
	case rd.gap:
		kind = weir.Gap
	case len(rd.records) > 0 || rd.unattached.People > 0:
		kind = weir.Disclosed
	}
	o := x.outcome(kind, rd.reason)
	o.Status, o.Bytes, o.Irregular = a.Status, int64(len(a.Body)), rd.irregular
	o.Released, o.Unattached = rd.records, rd.unattached
	return o
}

// withBlock adds the block that the decision demands, in the same write as the outcome.
func (x *Exchange) withBlock(now time.Time, d *quota.Decision, o *ledger.Outcome) []ledger.Body {
	if d.Met == nil {
		return []ledger.Body{o}
	}
	x.guard.counter.Block(x.who.ID, quota.Block{Since: now, People: d.People, Limit: *d.Met})
	return []ledger.Body{o, &ledger.Block{
		Principal: x.who.ID, Cause: ledger.ByQuota, People: d.People, Quota: d.Met.Subjects, Window: d.Met.Window,
	}}
}

// cut takes the records of the people who were not admitted out of the body and out of the outcome. It reports false for a
// document that cannot be cut.
func cut(rd *reading, a *Answer, o *ledger.Outcome, keep []bool, out *Released) bool {
	withheld := 0
	body, err := inspect.Cut(nil, a.Body, rd.result, func(i int) bool {
		at := rd.personOf[i]
		kept := at < 0 || keep[at]
		if !kept {
			withheld++
		}
		return kept
	})
	if err != nil {
		return false
	}
	var kept []weir.Record
	for i, r := range rd.records {
		if keep[i] {
			kept = append(kept, r)
		}
	}
	o.Reason, o.Released, o.Withheld, o.Bytes = weir.QuotaExceeded, kept, withheld, int64(len(body))
	out.Body, out.Withheld = body, withheld
	return true
}
