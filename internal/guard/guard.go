// Package guard lets a response out only after it was inspected, admitted by the quotas, durably recorded (P1, P2).
//
// For every answer it inspects, admits, appends durably and only then releases. The decision is taken while the ledger
// builds the entry, so the quota's order and time are the ledger's: whatever the concurrency, a replay of the ledger comes
// to the same counts.
package guard

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/inspect"
	"weir/internal/ledger"
	"weir/internal/quota"
)

// DefaultHold is the largest body that is held, and so the largest that is released, in bytes.
const DefaultHold = 1 << 20

// Options are the settings of a guard.
type Options struct {
	Ledger    ledger.FS
	Keyring   *weir.Keyring
	Keys      []*KeyList // the first that verifies a caller names it
	Routes    []*Route
	Unmatched string // UnmatchedInspect, UnmatchedRefuse or UnmatchedPass; inspect if empty
	Observe   bool   // the mode of unmatched requests; each route has its own
	Quotas    quota.Rules
	Hold      int64            // 0 means DefaultHold
	Now       func() time.Time // the wall clock; nil means time.Now

	// Name is the guard's name in what it signs; "" means DefaultName.
	Name string
	// Log has the ledger's further settings; the guard sets those of key, quota and clock itself.
	Log ledger.Options
}

// DefaultName is the name of a guard that was given none.
const DefaultName = "weir-guard"

// Check reports what is wrong with the settings, without touching anything outside them.
func (o *Options) Check() error {
	_, err := o.table()
	return err
}

func (o *Options) table() (*table, error) {
	unmatched := &Route{Match: unmatchedName, Unit: "account", Observe: o.Observe}
	switch o.Unmatched {
	case UnmatchedInspect, "":
	case UnmatchedRefuse:
		unmatched.access = refused
	case UnmatchedPass:
		unmatched.access = passed
	default:
		return nil, fmt.Errorf("unmatched: %q is none of inspect, refuse and pass", o.Unmatched)
	}
	if err := o.Quotas.Check(); err != nil {
		return nil, err
	}
	// Nobody's record is looked for in what no route describes: whatever is recognised there is charged as a worst case.
	plan, err := inspect.Compile(inspect.Mapping{})
	if err != nil {
		return nil, err
	}
	unmatched.plan = plan
	return newTable(o.Routes, unmatched)
}

// A Guard decides about exchanges. It is safe for concurrent use.
type Guard struct {
	opts    Options
	table   *table
	keyring *weir.Keyring
	log     *ledger.Log
	byName  map[string]Principal

	// counter and live are touched only while the ledger builds an entry or takes a snapshot (ledger.Log.Append) and, before
	// Open returns, by restore and replay.
	counter *quota.Counter
	live    live

	readings sync.Pool // *reading
}

// Open reads the ledger, rebuilds every principal's state from it, and returns a guard that appends to it. The caller must
// own the ledger's folder (ledger.AcquireLock).
func Open(opts Options) (*Guard, error) {
	if opts.Hold == 0 {
		opts.Hold = DefaultHold
	}
	if opts.Name == "" {
		opts.Name = DefaultName
	}
	table, err := opts.table()
	if err != nil {
		return nil, err
	}
	g := &Guard{
		opts: opts, table: table, keyring: opts.Keyring, counter: quota.NewCounter(opts.Quotas.Longest()), byName: map[string]Principal{},
		live: live{modes: map[string]bool{}, grants: map[weir.Pseudonym][]ledger.Grant{}},

		readings: sync.Pool{New: func() any { return newReading(opts.Keyring) }},
	}
	for _, list := range opts.Keys {
		for _, name := range list.Names() {
			g.introduce(name, false)
		}
	}
	for _, rt := range g.routes() {
		g.introduce(poolName(rt.Match), true)
	}
	signer, err := opts.Keyring.Signer(opts.Name)
	if err != nil {
		return nil, err
	}
	lo := opts.Log
	lo.KeyID, lo.Signer, lo.Known, lo.Now = opts.Keyring.ID(), signer, opts.Keyring.Verifiers(), opts.Now
	lo.Restore, lo.Replay, lo.Snapshot, lo.Covers = g.restore, g.replay, g.snapshot, opts.Quotas.Longest()
	if g.log, err = ledger.Open(opts.Ledger, lo); err != nil {
		return nil, err
	}
	if err = g.live.err; err == nil {
		err = g.recordModes()
	}
	if err != nil {
		return nil, errors.Join(err, g.log.Close())
	}
	return g, nil
}

func (g *Guard) routes() []*Route { return append(slices.Clone(g.opts.Routes), g.table.unmatched) }

func (g *Guard) introduce(name string, pooled bool) {
	p := Principal{Name: name, Pooled: pooled, ID: g.keyring.Principal(name)}
	g.byName[name] = p
	g.counter.Limit(p.ID, g.opts.Quotas.For(name, pooled)...)
}

// recordModes writes down the mode of each route that has another one than the ledger says (P9): the first start writes all.
func (g *Guard) recordModes() error {
	return g.append(func(time.Time) (bodies []ledger.Body) {
		for _, rt := range g.routes() {
			if was, known := g.live.modes[rt.Match]; !known || was != rt.Observe {
				g.live.modes[rt.Match] = rt.Observe
				bodies = append(bodies, &ledger.Mode{Route: rt.Match, Observe: rt.Observe})
			}
		}
		return bodies
	})
}

// Hold returns how many bytes of a body are held at most.
func (g *Guard) Hold() int64 { return g.opts.Hold }

// Err returns the failure that stopped the ledger and with it every release, or nil.
func (g *Guard) Err() error { return g.log.Err() }

// Ready returns nil if an answer would be recorded and released now, or else why not: the ledger's disk failed, or stalls,
// or another process has taken the folder over.
func (g *Guard) Ready() error { return g.log.Ready() }

// CheckClosed reads the volumes that Open had no need to read, and stops every release at the first fault in them.
func (g *Guard) CheckClosed() error { return g.log.CheckClosed() }

// Upkeep gives closed volumes of the ledger their compact form and, if retain is not 0, removes those whose entries are all
// older than that. Quotas and blocks that began in them stay.
func (g *Guard) Upkeep(retain time.Duration) error {
	if _, err := g.log.Compact(); err != nil {
		return err
	}
	if retain == 0 {
		return nil
	}
	var now time.Time
	if err := g.log.Append(func(t time.Time) []ledger.Body { now = t; return nil }); err != nil {
		return err
	}
	_, err := g.log.Retire(now.Add(-retain))
	return err
}

// ClockHeld reports that the wall clock is not believed, so that no quota expires by it: see AcceptClock.
func (g *Guard) ClockHeld() bool { return g.log.ClockHeld() }

// AcceptClock makes the wall clock's time the ledger's and records that an operator ruled so. It returns once that is
// durable, false if the clock was believed all along.
func (g *Guard) AcceptClock() (bool, error) { return g.log.AcceptClock() }

// Stop ends every release for good, for a reason that the ledger itself cannot see.
func (g *Guard) Stop(reason error) { g.log.Stop(reason) }

// Checkpoint returns the size and root of the ledger's durable part.
func (g *Guard) Checkpoint() weir.Checkpoint { return g.log.Checkpoint() }

// Close waits for what is being written and closes the ledger.
func (g *Guard) Close() error { return g.log.Close() }

// Resolve returns the principal of that name or, given as 32 hexadecimal digits, of that pseudonym.
func (g *Guard) Resolve(name string) (Principal, error) {
	if p, ok := g.byName[name]; ok {
		return p, nil
	}
	if id, err := weir.ParsePseudonym(name); err == nil {
		for _, p := range g.byName {
			if p.ID == id {
				return p, nil
			}
		}
		return Principal{Name: name, ID: id}, nil
	}
	return Principal{}, fmt.Errorf("no principal %q: give a name of a key list, %q or a pseudonym as weir exposure prints it", name, poolName("ROUTE"))
}

// Block bars a principal by hand. It returns once that is durable; changed is false if it was blocked already.
func (g *Guard) Block(who Principal) (changed bool, err error) {
	err = g.append(func(now time.Time) []ledger.Body {
		if _, blocked := g.counter.Blocked(who.ID); blocked {
			return nil
		}
		changed = true
		used := g.counter.Used(now, who.ID)
		g.counter.Block(who.ID, quota.Block{Since: now, ByHand: true, People: used})
		return []ledger.Body{&ledger.Block{Principal: who.ID, Cause: ledger.ByHand, People: used}}
	})
	return changed, err
}

// Unblock lifts a principal's block. It returns once that is durable; changed is false if it was not blocked. What the
// principal has used of its quota stays used.
func (g *Guard) Unblock(who Principal) (changed bool, err error) {
	err = g.append(func(time.Time) []ledger.Body {
		if changed = g.counter.Unblock(who.ID); !changed {
			return nil
		}
		return []ledger.Body{&ledger.Unblock{Principal: who.ID}}
	})
	return changed, err
}

func (g *Guard) identify(r *http.Request, route *Route) Principal {
	for _, list := range g.opts.Keys {
		if name, ok := list.verify(r.Header); ok {
			return g.byName[name]
		}
	}
	return g.byName[poolName(route.Match)]
}

// PrincipalNames returns the names of all principals that the settings know, pools included.
func (o *Options) PrincipalNames() []string {
	var names []string
	for _, list := range o.Keys {
		names = append(names, list.Names()...)
	}
	for _, rt := range o.Routes {
		names = append(names, poolName(rt.Match))
	}
	return append(names, poolName(unmatchedName))
}
