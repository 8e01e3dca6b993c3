package main

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"weir"
	"weir/internal/exposure"
	"weir/internal/guard"
	"weir/internal/ledger"
)

// verifyStatementCommand needs no secret: who has a statement and a copy of the ledger counts every figure again.
func verifyStatementCommand(c *call) error {
	key := c.flags.String("key", "", "the guard's verifier `key`, as weir ledger stat prints it; without it, the keys that the config knows")
	data := c.flags.String("data", "", "a `copy` of the guard's ledger: count every figure again")
	format := c.formatFlag()
	if err := c.parse(1, 1); err != nil {
		return err
	}
	msg, err := os.ReadFile(c.args[0])
	if err != nil {
		return err
	}
	known, err := c.knownGuards(*key)
	if err != nil {
		return err
	}
	s, err := weir.OpenStatement(msg, known)
	if err != nil {
		return answerNo{fmt.Errorf("%s: %w: nothing in it is to be believed", c.args[0], err)}
	}
	cp, err := weir.OpenCheckpoint([]byte(s.Checkpoint), known)
	if err == nil && cp.Origin != s.Guard {
		err = fmt.Errorf("it is of the ledger %q, the statement of %q", cp.Origin, s.Guard)
	}
	if err != nil {
		return answerNo{fmt.Errorf("%s: the checkpoint in it does not hold: %w", c.args[0], err)}
	}
	check := &recount{stated: s, cp: cp}
	if *data != "" {
		if err := check.recount(c, *data); err != nil {
			return err
		}
	}
	return check.report(c, *format)
}

// knownGuards are the guards whose signature counts: the one named, or the config's own and those that its register takes.
func (c *call) knownGuards(key string) (note.Verifiers, error) {
	if key != "" {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, usageError{fmt.Errorf("-key %q is no verifier key: weir ledger stat prints a guard's", key)}
		}
		return note.VerifierList(v), nil
	}
	cfg, err := c.loadConfig()
	if err != nil {
		return nil, fmt.Errorf("%w: or give the guard's verifier key with -key", err)
	}
	var keys []string
	if cfg.Register != nil {
		keys = cfg.Register.Guards
	}
	if cfg.Guard != nil {
		keyring, err := guard.LoadKey(cfg.keyFile())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			own, err := keyring.VerifierKey(cfg.guardName())
			if err != nil {
				return nil, err
			}
			keys = append(keys, own)
		}
	}
	var list []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, cfg.errorf("register: guards: %q is no verifier key: weir ledger stat prints a guard's", k)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, cfg.errorf("no guard's verifier key in it: give one with -key")
	}
	return note.VerifierList(list...), nil
}

// recount is a statement beside what a copy of the ledger says.
type recount struct {
	stated  weir.Statement
	cp      weir.Checkpoint
	counted *weir.Statement // nil where no copy was given
}

// recount makes the statement again from the copy: from the entries that the checkpoint commits to, and no others.
func (v *recount) recount(c *call, path string) error {
	dir, err := ledgerCopy(path)
	if err != nil {
		return err
	}
	sum, err := ledger.Read(dir, ledger.ReadOptions{RootAt: &v.cp.Size})
	switch {
	case err != nil:
		return err
	case len(sum.Faults) > 0:
		return answerNo{fmt.Errorf("%s is damaged (%s): nothing can be counted in it", path, sum.Faults[0])}
	case sum.Retired > 0 && v.stated.From == nil:
		return answerNo{fmt.Errorf("%s lacks the ledger's first %d entries, whose volumes were retired: take a copy that has them", path, sum.Retired)}
	case !sum.RootAtOK:
		return answerNo{fmt.Errorf("%s ends after %d entries, the statement is about %d: a later copy is needed", path, sum.Entries, v.cp.Size)}
	case sum.RootAt != v.cp.Root:
		return answerNo{fmt.Errorf("%s is not the ledger of the statement: its first %d entries have another root", path, v.cp.Size)}
	}
	q := exposure.Query{}
	if v.stated.From != nil {
		q.From = *v.stated.From
	}
	if v.stated.To != nil {
		q.To = *v.stated.To
	}
	if v.stated.Principal != "" {
		p, err := weir.ParsePseudonym(v.stated.Principal)
		if err != nil {
			return answerNo{err}
		}
		q.Principal = &p
	}
	counted := weir.Statement{}
	if v.cp.Size > 0 {
		a, err := answerUntil(c, dir, q, v.cp.Size)
		if err != nil {
			return err
		}
		counted = a.Statement(v.stated.Guard, v.stated.Made, v.stated.Checkpoint)
	} else {
		counted = (&exposure.Answer{Query: q, ByClass: map[string]int{}}).Statement(v.stated.Guard, v.stated.Made, v.stated.Checkpoint)
	}
	counted.KeyID = hex.EncodeToString(sum.KeyID[:])
	v.counted = &counted
	return nil
}

// answerUntil answers from a temporary index of the ledger's first entries.
func answerUntil(c *call, dir ledger.FS, q exposure.Query, entries uint64) (a *exposure.Answer, err error) {
	p := c.progress("entries counted")
	p.total = entries
	defer p.done()
	x, err := exposure.Open(exposure.Options{Ledger: dir, Until: entries, Progress: p.at})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := errors.Join(x.Refresh(c), x.Damage()); err != nil {
		return nil, err
	}
	return x.Answer(q)
}

// ledgerCopy finds the volumes: in the folder itself, or where a data folder has them.
func ledgerCopy(path string) (ledger.FS, error) {
	for _, dir := range []string{path, filepath.Join(path, "guard")} {
		if fresh, err := withoutLedger(dir); err == nil && !fresh {
			return ledger.Dir(dir), nil
		}
	}
	return nil, fmt.Errorf("no ledger in %s: name the folder that holds the volumes, or the data folder", path)
}

// figure is one line of the report.
type figure struct {
	Figure    string `json:"figure"`
	Stated    string `json:"stated"`
	Recounted string `json:"recounted,omitempty"`
	Verdict   string `json:"verdict"`
}

// figures are a statement's, by name, in a form that is equal where they are.
func figures(s *weir.Statement) map[string]string {
	m := map[string]string{
		"unit": s.Unit, "people": strconv.Itoa(s.People), "unattributed": strconv.Itoa(s.Unattached), "disclosures": strconv.Itoa(s.Disclosures),
		"principals": strconv.Itoa(s.Principals), "coverage": strconv.FormatFloat(s.Coverage, 'g', -1, 64),
		"first": moment(s.First), "last": moment(s.Last), "none found": asText(s.NoneFound),
	}
	for name, n := range s.ByClass {
		m["class "+name] = strconv.Itoa(n)
	}
	for _, g := range s.Gaps {
		m["gap "+g.Reason] = fmt.Sprintf("%d bytes in %d responses", g.Bytes, g.Responses)
	}
	for i, f := range s.Findings {
		m[fmt.Sprintf("finding %d", i+1)] = asText(f)
	}
	if s.ReceivedBy != nil {
		m["received by"] = asText(s.ReceivedBy)
	}
	if s.KeyID != "" {
		m["key id"] = s.KeyID
	}
	return m
}

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

func asText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and findings have a JSON form
	}
	return string(b)
}

// compare lists every figure that either side has.
func (v *recount) compare() (list []figure, differ int) {
	stated := figures(&v.stated)
	if v.counted == nil {
		for _, name := range slices.Sorted(maps.Keys(stated)) {
			list = append(list, figure{name, stated[name], "", "not recounted"})
		}
		return list, 0
	}
	counted := figures(v.counted)
	if v.stated.ReceivedBy == nil { // an optional one that is not told is not a claim
		delete(counted, "received by")
	}
	if v.stated.KeyID == "" {
		delete(counted, "key id")
	}
	all := maps.Clone(counted)
	maps.Copy(all, stated)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := figure{name, stated[name], counted[name], "equal"}
		if f.Stated != f.Recounted {
			f.Verdict = "differs"
			differ++
		}
		list = append(list, f)
	}
	return list, differ
}

func (v *recount) report(c *call, format string) error {
	rows, err := newRowWriter(c.stdout, format, "figure", "stated", "recounted", "verdict")
	if err != nil {
		return err
	}
	list, differ := v.compare()
	for _, f := range list {
		if err := rows.row(f, f.Figure, shortened(f.Stated), shortened(f.Recounted), f.Verdict); err != nil {
			return err
		}
	}
	if err := rows.close(); err != nil {
		return err
	}
	if differ > 0 {
		return answerNo{fmt.Errorf("the signature of %s holds, and %d figures are not what the ledger says: ask its owner", v.stated.Guard, differ)}
	}
	what := "its figures are the owner's word: name a copy of the ledger with -data to count them again"
	if v.counted != nil {
		what = fmt.Sprintf("every figure is what the ledger says in its first %d entries", v.cp.Size)
	}
	fmt.Fprintf(c.stderr, "weir: signed by %s on %s, and %s\n", v.stated.Guard, v.stated.Made.Format(time.DateOnly), what)
	return nil
}

// shortened is for tables: a list of thousands of principals is compared whole and shown in part.
func shortened(s string) string {
	const most = 80
	if len(s) <= most {
		return cmp.Or(s, "-")
	}
	return s[:most] + "..."
}
