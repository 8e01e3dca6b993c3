package main

import (
	"bufio"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/exposure"
	"weir/internal/guard"
	"weir/internal/ledger"
)

// reading is what a command that reads a ledger needs: the ledger, its key, and names for what is in it.
type reading struct {
	cfg     *config
	dir     ledger.FS
	keyring *weir.Keyring
	names   map[weir.Pseudonym]string // of the principals that the config knows
	units   []string                  // of the config's routes, each once
}

// openReading needs no lock: it may read beside the owner.
func (c *call) openReading() (*reading, error) {
	cfg, err := c.loadConfig()
	if err != nil {
		return nil, err
	}
	opts, _, err := cfg.guardOptions()
	if err != nil {
		return nil, err
	}
	if fresh, err := withoutLedger(cfg.ledgerDir()); err != nil || fresh {
		return nil, errors.Join(err, fmt.Errorf("no ledger in %s: start the guard first, or name its config with -config", cfg.ledgerDir()))
	}
	r := &reading{cfg: cfg, dir: ledger.Dir(cfg.ledgerDir()), names: map[weir.Pseudonym]string{}}
	if r.keyring, err = guard.LoadKey(cfg.keyFile()); err != nil {
		return nil, err
	}
	for _, name := range opts.PrincipalNames() {
		r.names[r.keyring.Principal(name)] = name
	}
	for _, rt := range opts.Routes {
		if !slices.Contains(r.units, rt.Unit) {
			r.units = append(r.units, rt.Unit)
		}
	}
	return r, nil
}

func (r *reading) name(p weir.Pseudonym) string {
	if n, ok := r.names[p]; ok {
		return n
	}
	return p.String()
}

// unit returns the namespace of data subjects: the one asked for, or the only one that the config has.
func (r *reading) unit(asked string) (string, error) {
	switch {
	case asked != "":
		return asked, weir.CheckUnit(asked)
	case len(r.units) == 1:
		return r.units[0], nil
	case len(r.units) == 0:
		return "account", nil
	}
	return "", fmt.Errorf("the routes have several units (%s): choose one with -unit", strings.Join(r.units, ", "))
}

// queryFlags adds the flags of a query; the returned function reads them.
func (c *call) queryFlags(withRoute bool) func(*reading) (exposure.Query, error) {
	principal := c.flags.String("principal", "", "only this `principal`: a name, or a pseudonym")
	from := c.flags.String("from", "", "not before this `time` (RFC 3339)")
	to := c.flags.String("to", "", "before this `time` (RFC 3339)")
	route, class := new(string), new(string)
	if withRoute {
		route = c.flags.String("route", "", "only this `route`, as its match is written in the config")
		class = c.flags.String("class", "", "only disclosures of these `classes`, joined by commas: of any of them")
	}
	return func(r *reading) (q exposure.Query, err error) {
		q.Route = *route
		for name := range strings.SplitSeq(*class, ",") {
			if name == "" {
				continue
			}
			one, err := weir.ParseClass(name)
			if err != nil {
				return q, usageError{err}
			}
			q.Classes |= weir.Set(one)
		}
		if *principal != "" {
			id, err := weir.ParsePseudonym(*principal)
			if err != nil {
				if id = r.keyring.Principal(*principal); r.names[id] == "" {
					return q, fmt.Errorf("no principal %q in the config: give its pseudonym if it was there once", *principal)
				}
			}
			q.Principal = &id
		}
		if q.From, err = parseTime("from", *from); err != nil {
			return q, err
		}
		q.To, err = parseTime("to", *to)
		return q, err
	}
}

func parseTime(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usageError{fmt.Errorf("-%s %q is no time such as 2026-11-24T10:00:00Z", name, s)}
	}
	return t, nil
}

// indexDir is where the exposure index stands: beside the ledger that it can be made from again.
func indexDir(ledgerDir string) string { return filepath.Join(ledgerDir, "index") }

// index opens the exposure index and reads what the ledger holds by now. The caller closes it. Where the index cannot be
// kept beside the ledger, as on a full disk or a copy that may only be read, a temporary one is made: the question is answered.
func (r *reading) index(c *call) (*exposure.Index, error) {
	p := c.progress("entries read")
	defer p.done()
	x, err := openIndex(c, exposure.Options{Ledger: r.dir, Dir: indexDir(r.cfg.ledgerDir()), Progress: p.at})
	if err == nil || c.Err() != nil {
		return x, err
	}
	fmt.Fprintf(c.stderr, "weir: the exposure index cannot be kept (%v): reading the whole ledger into a temporary one\n", cause(err))
	return openIndex(c, exposure.Options{Ledger: r.dir, Progress: p.at})
}

func openIndex(c *call, opts exposure.Options) (*exposure.Index, error) {
	x, err := exposure.Open(opts)
	if err != nil {
		return nil, err
	}
	if err := x.Refresh(c); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// damagedAnswer is the answer's caveat: what cannot be read is missing from it.
func damagedAnswer(x *exposure.Index) error {
	if err := x.Damage(); err != nil {
		return answerNo{fmt.Errorf("%w: the answer holds only what can be read", err)}
	}
	return nil
}

// damaged is the same where the ledger was read without the index.
func damaged(sum *ledger.Summary) error {
	if len(sum.Faults) == 0 {
		return nil
	}
	return answerNo{fmt.Errorf("the ledger is damaged (%s): the answer holds only what can be read; run weir ledger verify", sum.Faults[0])}
}

func pseudonymCommand(c *call) error {
	unitFlag := c.flags.String("unit", "", "what the keys are of: account, person, line")
	if err := c.parse(1, -1); err != nil {
		return err
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	unit, err := r.unit(*unitFlag)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(c.stdout)
	write := func(key string) error {
		canonical, err := weir.CanonicalString(key)
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		_, err = fmt.Fprintln(w, r.keyring.DataSubject(unit, canonical))
		return err
	}
	if !slices.Equal(c.args, []string{"-"}) {
		for _, key := range c.args {
			if err := write(key); err != nil {
				return errors.Join(err, w.Flush())
			}
		}
		return w.Flush()
	}
	lines := bufio.NewScanner(c.stdin)
	for lines.Scan() {
		if err := write(lines.Text()); err != nil {
			return errors.Join(err, w.Flush())
		}
	}
	return errors.Join(lines.Err(), w.Flush())
}
