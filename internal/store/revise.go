package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/internal/claim"
	"weir/internal/incident"
)

// A ConflictError says that somebody else changed the incident since the revision that an edit began from.
type ConflictError struct {
	What string // the incident, or the object with its kind
	Base int64  // the revision that the edit began from
	Now  int64  // the latest that changed it
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s was changed by revision %d since you began from %d: nothing is written; look at what changed, then apply yours to it", e.What, e.Now, e.Base)
}

// A LintError holds everything that is wrong with what was to be written. Nothing is written.
type LintError struct{ Problems []incident.Problem }

func (e *LintError) Error() string { return incident.Join(e.Problems).Error() }

// Who makes a revision, and why.
type Who struct{ Author, Reason string }

// errNothing ends a revision that would change nothing; it leaves no trace.
var errNothing = errors.New("nothing to change")

// revise writes one revision, whole or not at all. make returns its changes, seeing the register as it stands. A revision
// without changes is none: its number is then 0.
func (s *Store) revise(ctx context.Context, who Who, make func(*sql.Tx) ([]incident.Change, error)) (number int64, added int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := checkReason(tx, who.Reason); err != nil {
			return err
		}
		changes, err := make(tx)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return errNothing
		}
		number, err = s.append(tx, who, changes)
		if err != nil {
			return err
		}
		added, err = s.project(tx, number, changes)
		return err
	})
	if errors.Is(err, errNothing) {
		return 0, 0, nil
	}
	return number, added, err
}

// checkReason refuses a reason, which everybody reads, that holds no text or names an actor whom only members see.
func checkReason(tx *sql.Tx, reason string) error {
	set := &incident.Set{}
	actors, err := objects[incident.Actor](tx, "actor", 0, nil)
	if err != nil {
		return err
	}
	for _, a := range actors {
		set.Actors = append(set.Actors, a)
	}
	p := incident.Problem{Property: "reason"}
	if err := claim.CheckText(reason); err != nil {
		p.What = err.Error()
	}
	if names := set.ActorsIn(reason); len(names) > 0 {
		p.What, p.Hint = fmt.Sprintf("names %s, whom only members see", names[0]), "everybody reads the reason: write the attacker"
	}
	if p.What != "" {
		return &LintError{[]incident.Problem{p}}
	}
	return nil
}

// append adds a revision to the log, chained to the one before.
func (s *Store) append(tx *sql.Tx, who Who, changes []incident.Change) (number int64, err error) {
	body, err := json.Marshal(changes)
	if err != nil {
		return 0, err
	}
	var prev []byte
	err = tx.QueryRow("SELECT number, hash FROM revision ORDER BY number DESC LIMIT 1").Scan(&number, &prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	number++
	recorded := stamp(s.now())
	hash := chain(prev, number, recorded, who.Author, who.Reason, string(body))
	_, err = tx.Exec("INSERT INTO revision (number, recorded, author, reason, changes, hash) VALUES (?, ?, ?, ?, ?, ?)",
		number, recorded, who.Author, who.Reason, string(body), hash[:])
	return number, err
}

// chain is the hash of a revision: SHA-256 over the hash before it and its fields, each behind its length.
func chain(prev []byte, number int64, fields ...string) [sha256.Size]byte {
	h := sha256.New()
	h.Write(prev)
	fmt.Fprintf(h, "weir revision %d\n", number)
	for _, f := range fields {
		fmt.Fprintf(h, "%d\n%s", len(f), f)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// project brings the other tables up to the revision, and the search index for what it changed.
func (s *Store) project(tx *sql.Tx, number int64, changes []incident.Change) (added int, err error) {
	touched := map[string]bool{}
	for _, c := range changes {
		if c.Add != nil {
			added++
		}
		if err := projectChange(tx, number, c, touched); err != nil {
			return 0, err
		}
	}
	if len(touched) == 0 {
		return added, nil
	}
	return added, s.reindex(tx, touched)
}

func projectChange(tx *sql.Tx, number int64, c incident.Change, touched map[string]bool) error {
	touch := func(query, id string) error { // what lists and search hold of incidents that name the object
		return each(tx, 1, query, []any{id}, func(row []string) error { touched[row[0]] = true; return nil })
	}
	switch {
	case c.Organisation != nil:
		return errors.Join(putObject(tx, number, "organisation", c.Organisation.ID, c.Organisation), touch("SELECT id FROM incident WHERE victim = ?", c.Organisation.ID))
	case c.Actor != nil:
		return errors.Join(putObject(tx, number, "actor", c.Actor.ID, c.Actor), touch("SELECT DISTINCT incident FROM claim WHERE actor = ?", c.Actor.ID))
	case c.Source != nil:
		return putObject(tx, number, "source", c.Source.ID, c.Source)
	}
	touched[c.Incident] = true
	var err error
	switch {
	case c.Open != nil:
		_, err = tx.Exec("INSERT INTO incident (id, victim, draft, withdrawn, changed) VALUES (?, ?, ?, '', ?)", c.Incident, c.Open.Victim, c.Open.Draft, number)
	case c.Add != nil:
		err = addClaim(tx, number, c.Incident, *c.Add)
	case c.Retract != "":
		err = exactlyOne(tx.Exec("UPDATE claim SET retracted = ? WHERE incident = ? AND id = ? AND retracted IS NULL", number, c.Incident, c.Retract))
	case c.Publish:
		err = exactlyOne(tx.Exec("UPDATE incident SET draft = 0 WHERE id = ?", c.Incident))
	case c.Withdraw != "":
		err = exactlyOne(tx.Exec("UPDATE incident SET withdrawn = ? WHERE id = ?", c.Withdraw, c.Incident))
	case c.Reinstate:
		err = exactlyOne(tx.Exec("UPDATE incident SET withdrawn = '' WHERE id = ?", c.Incident))
	default:
		err = fmt.Errorf("an empty change of %s", c.Incident)
	}
	if err == nil {
		err = exactlyOne(tx.Exec("UPDATE incident SET changed = ? WHERE id = ?", number, c.Incident))
	}
	if err == nil {
		_, err = tx.Exec("INSERT OR REPLACE INTO incident_state (incident, revision, victim, draft, withdrawn) SELECT id, ?, victim, draft, withdrawn FROM incident WHERE id = ?", number, c.Incident)
	}
	return err
}

func addClaim(tx *sql.Tx, number int64, in string, c claim.Claim) error {
	c.Incident = in
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM claim WHERE incident = ? AND id = ? AND retracted IS NULL", in, c.ID()).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%s has this claim already: %s", in, c.Property)
	}
	actor := ""
	if p, ok := claim.Find(c.Property); ok && p.Type == claim.Actor {
		actor = c.Value
	}
	// A claim that is recorded again, as by Restore, takes the place that it had.
	_, err = tx.Exec(`INSERT INTO claim (place, incident, id, source, actor, added, body) VALUES
		(coalesce((SELECT min(place) FROM claim WHERE incident = ?1 AND id = ?2), (SELECT coalesce(max(seq), 0) + 1 FROM claim)), ?1, ?2, ?3, ?4, ?5, ?6)`,
		in, c.ID(), c.Source, actor, number, string(body))
	return err
}

func exactlyOne(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, ErrNotFound)
	}
	return nil
}

func putObject(tx *sql.Tx, number int64, kind, id string, object any) error {
	body, err := json.Marshal(object)
	if err == nil {
		_, err = tx.Exec("INSERT OR REPLACE INTO object (kind, id, revision, body) VALUES (?, ?, ?, ?)", kind, id, number, string(body))
	}
	return err
}

// objectChanges returns the objects of the set that the register does not have and, with replace, those that it has otherwise.
func objectChanges(tx *sql.Tx, set *incident.Set, replace bool) (changes []incident.Change, err error) {
	differs := func(kind, id string, object any) bool {
		body, e := json.Marshal(object)
		var have string
		if e == nil {
			e = tx.QueryRow("SELECT body FROM object WHERE kind = ? AND id = ? ORDER BY revision DESC LIMIT 1", kind, id).Scan(&have)
		}
		if e != nil && !errors.Is(e, sql.ErrNoRows) {
			err = errors.Join(err, e)
		}
		return have == "" || replace && have != string(body)
	}
	for _, o := range set.Organisations {
		if differs("organisation", o.ID, o) {
			changes = append(changes, incident.Change{Organisation: &o})
		}
	}
	for _, a := range set.Actors {
		if differs("actor", a.ID, a) {
			changes = append(changes, incident.Change{Actor: &a})
		}
	}
	for _, src := range set.Sources {
		if differs("source", src.ID, src) {
			changes = append(changes, incident.Change{Source: &src})
		}
	}
	return changes, err
}

// Import adds a set to the register in one revision: all of it or nothing. What is there already stays as it is, is not added
// twice, and what was taken back does not come back. With replace the set's objects and incidents become what the set says: the
// claims that it does not hold are taken back. It returns how many claims are new.
func (s *Store) Import(ctx context.Context, set *incident.Set, who Who, replace bool) (added int, err error) {
	_, added, err = s.revise(ctx, who, func(tx *sql.Tx) ([]incident.Change, error) {
		if err := lint(tx, set); err != nil {
			return nil, err
		}
		changes, err := objectChanges(tx, set, replace)
		if err != nil {
			return nil, err
		}
		for _, rec := range set.Records {
			st, err := state(tx, rec.ID, 0)
			if err != nil {
				return nil, err
			}
			if !replace {
				ever, err := everClaimed(tx, []string{rec.ID})
				if err != nil {
					return nil, err
				}
				changes = append(changes, st.Missing(rec, ever)...)
				continue
			}
			if err := keepsHeader(st, &rec); err != nil {
				return nil, err
			}
			if st.Withdrawn != "" && rec.Withdrawn == "" {
				return nil, &LintError{[]incident.Problem{{
					File: rec.ID + ".yaml", Property: "withdrawn", What: "the incident was withdrawn, and the file would bring it back",
					Hint: "leave the file out, give it the line withdrawn:, or restore the incident in the register first",
				}}}
			}
			changes = append(changes, st.Changes(rec)...)
		}
		return changes, nil
	})
	return added, err
}

// Edit makes the incident's record into the given one, if nobody changed it since the revision that the edit began from;
// otherwise the error is a *ConflictError and nothing is written. It returns the revision, or 0 if there was nothing to change.
func (s *Store) Edit(ctx context.Context, who Who, base int64, rec incident.Record) (int64, error) {
	return s.change(ctx, who, rec.ID, base, func(tx *sql.Tx, st *incident.State) ([]incident.Change, error) {
		return st.Changes(rec), errors.Join(keepsHeader(st, &rec), lint(tx, &incident.Set{Records: []incident.Record{rec}}))
	})
}

// keepsHeader refuses what no edit can change, so that nobody takes it for changed.
func keepsHeader(st *incident.State, rec *incident.Record) error {
	var problems []incident.Problem
	add := func(property, what, hint string) {
		problems = append(problems, incident.Problem{File: rec.ID + ".yaml", Property: property, What: what, Hint: hint})
	}
	if st.Opened != 0 && rec.Victim != st.Victim {
		add("victim", fmt.Sprintf("cannot become %q: an incident keeps its victim", rec.Victim), "withdraw it, and open another")
	}
	if st.Opened != 0 && rec.Draft && !st.Draft {
		add("draft", "a published incident does not become a draft again", "leave the line out, or withdraw the incident")
	}
	if problems != nil {
		return &LintError{problems}
	}
	return nil
}

// PutObject writes the one object of the set, if nobody changed it since the revision that the edit began from; base is 0 for
// one that must not be there yet.
func (s *Store) PutObject(ctx context.Context, who Who, base int64, kind, id string, set *incident.Set) error {
	_, _, err := s.revise(ctx, who, func(tx *sql.Tx) ([]incident.Change, error) {
		now, err := objectRevision(tx, kind, id)
		switch {
		case err != nil:
			return nil, err
		case base == 0 && now != 0:
			return nil, ErrTaken
		case base != now:
			return nil, &ConflictError{kind + " " + id, base, now}
		}
		if err := lint(tx, set); err != nil {
			return nil, err
		}
		return objectChanges(tx, set, true)
	})
	return err
}

// ObjectRevision returns the latest revision that changed an object; 0 if it is not there.
func (s *Store) ObjectRevision(ctx context.Context, kind, id string) (number int64, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		number, err = objectRevision(tx, kind, id)
		return err
	})
	return number, err
}

func objectRevision(tx *sql.Tx, kind, id string) (number int64, err error) {
	err = tx.QueryRow("SELECT coalesce(max(revision), 0) FROM object WHERE kind = ? AND id = ?", kind, id).Scan(&number)
	return number, err
}

// Create adds an incident that must not be there yet.
func (s *Store) Create(ctx context.Context, who Who, rec incident.Record) (int64, error) {
	number, _, err := s.revise(ctx, who, func(tx *sql.Tx) ([]incident.Change, error) {
		st, err := state(tx, rec.ID, 0)
		if err != nil {
			return nil, err
		}
		if st.Opened != 0 {
			return nil, ErrTaken
		}
		return st.Changes(rec), lint(tx, &incident.Set{Records: []incident.Record{rec}})
	})
	return number, err
}

// lint checks a set beside what the register holds: the objects that it refers to and the incidents that it speaks of may
// stand in either.
func lint(tx *sql.Tx, set *incident.Set) error {
	with := &incident.Set{}
	if err := fillSet(tx, with); err != nil {
		return err
	}
	with.Organisations = slices.DeleteFunc(with.Organisations, func(x incident.Organisation) bool {
		return slices.ContainsFunc(set.Organisations, func(y incident.Organisation) bool { return x.ID == y.ID })
	})
	with.Actors = slices.DeleteFunc(with.Actors, func(x incident.Actor) bool {
		return slices.ContainsFunc(set.Actors, func(y incident.Actor) bool { return x.ID == y.ID })
	})
	with.Sources = slices.DeleteFunc(with.Sources, func(x claim.Source) bool {
		return slices.ContainsFunc(set.Sources, func(y claim.Source) bool { return x.ID == y.ID })
	})
	given, known := []string{""}, map[string]bool{} // "" is no record: Lint then looks at none but those given
	for i := range set.Records {
		given = append(given, set.Records[i].ID)
		known[set.Records[i].ID] = true
	}
	for i := range set.Records {
		for _, id := range set.Records[i].Mentions() {
			if known[id] {
				continue
			}
			known[id] = true
			st, err := state(tx, id, 0)
			if err != nil {
				return err
			}
			if st.Opened != 0 {
				with.Records = append(with.Records, st.Record)
			}
		}
	}
	with.Add(set)
	if problems := with.Lint(given...); len(problems) > 0 {
		return &LintError{problems}
	}
	return nil
}

// change revises one incident that must be there and, where base is not 0, unchanged since that revision.
func (s *Store) change(ctx context.Context, who Who, id string, base int64, make func(*sql.Tx, *incident.State) ([]incident.Change, error)) (int64, error) {
	number, _, err := s.revise(ctx, who, func(tx *sql.Tx) ([]incident.Change, error) {
		st, err := state(tx, id, 0)
		switch {
		case err != nil:
			return nil, err
		case st.Opened == 0:
			return nil, ErrNotFound
		case base != 0 && st.Changed != base:
			return nil, &ConflictError{id, base, st.Changed}
		}
		return make(tx, st)
	})
	return number, err
}

// Restore makes the incident what it was at a revision, by a new revision.
func (s *Store) Restore(ctx context.Context, who Who, id string, revision int64) (int64, error) {
	return s.change(ctx, who, id, 0, func(tx *sql.Tx, st *incident.State) ([]incident.Change, error) {
		var head int64
		if err := tx.QueryRow("SELECT max(number) FROM revision").Scan(&head); err != nil || revision > head {
			return nil, errors.Join(err, ErrNotFound)
		}
		then, err := state(tx, id, revision)
		if err != nil {
			return nil, err
		}
		if then.Opened == 0 {
			return nil, ErrNotFound
		}
		return st.Changes(then.Record), nil
	})
}

// Publish makes a draft visible to everybody; who may do that is the caller's to decide.
func (s *Store) Publish(ctx context.Context, who Who, id string) error {
	_, err := s.change(ctx, who, id, 0, func(_ *sql.Tx, st *incident.State) ([]incident.Change, error) {
		if !st.Draft {
			return nil, nil
		}
		return []incident.Change{{Incident: id, Publish: true}}, nil
	})
	return err
}

// Withdraw leaves a tombstone with the reason in place of the incident's page. Nothing is deleted; Restore brings it back.
func (s *Store) Withdraw(ctx context.Context, who Who, id string) error {
	_, err := s.change(ctx, who, id, 0, func(*sql.Tx, *incident.State) ([]incident.Change, error) {
		return []incident.Change{{Incident: id, Withdraw: who.Reason}}, nil
	})
	return err
}

// state returns an incident as it stood at a revision; 0 means the latest. Opened is 0 where it was not there.
func state(q querier, id string, at int64) (*incident.State, error) {
	st := &incident.State{}
	err := each(q, 5, `SELECT victim, draft, withdrawn, revision, (SELECT min(revision) FROM incident_state WHERE incident = ?1)
		FROM incident_state WHERE incident = ?1 AND (?2 = 0 OR revision <= ?2) ORDER BY revision DESC LIMIT 1`,
		[]any{id, at}, func(row []string) (err error) {
			st.Record = incident.Record{ID: id, Victim: row[0], Draft: row[1] != "0", Withdrawn: row[2]}
			_, err = fmt.Sscan(row[3]+" "+row[4], &st.Changed, &st.Opened)
			return err
		})
	if err != nil || st.Opened == 0 {
		return st, err
	}
	st.Claims, err = claims(q, at, []string{id})
	return st, err
}

// State returns an incident's record as it stood at a revision, and the latest revision that had changed it by then; a
// revision of 0 means now. Whoever asks must be allowed to read all of it.
func (s *Store) State(ctx context.Context, id string, at int64) (st *incident.State, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		st, err = state(tx, id, at)
		if err == nil && st.Opened == 0 {
			err = ErrNotFound
		}
		return err
	})
	return st, err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
