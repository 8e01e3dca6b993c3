package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

// Revisions returns the revisions that changed something which the reader sees of an incident, the latest first. Numbers are
// those of the whole register, so a reader can tell that there were others.
func (s *Store) Revisions(ctx context.Context, reader access.Reader, id string) (all []incident.RevisionView, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		st, err := state(tx, id, 0)
		if err != nil {
			return err
		}
		if st.Opened == 0 || st.Draft && !reader.MayReadDrafts() {
			return ErrNotFound
		}
		past := &incident.Past{Incident: id, Withdrawn: st.Withdrawn != ""}
		if past.Ever, err = everClaimed(tx, []string{id}); err != nil {
			return err
		}
		if past.Names, err = namesIn(tx, past.Ever, reader); err != nil {
			return err
		}
		// What became of a draft before it was published is for those who read drafts.
		return each(tx, 5, `SELECT number, recorded, author, reason, changes FROM revision
			WHERE number IN (SELECT revision FROM incident_state WHERE incident = ? AND draft <= ?) ORDER BY number DESC`, []any{id, reader.MayReadDrafts()}, func(row []string) error {
			r, err := readRevision(row)
			if err != nil {
				return err
			}
			taken, err := retracted(tx, id, r.Number)
			if err != nil {
				return err
			}
			if v, ok := r.View(s.ask(reader, Moment{}), past, taken); ok {
				all = append(all, v)
			}
			return nil
		})
	})
	return all, err
}

func readRevision(row []string) (r incident.Revision, err error) {
	var e1, e2 error
	r.Number, e1 = strconv.ParseInt(row[0], 10, 64)
	r.Recorded, e2 = time.Parse(time.RFC3339, row[1])
	r.Author, r.Reason = row[2], row[3]
	return r, errors.Join(e1, e2, json.Unmarshal([]byte(row[4]), &r.Changes))
}

// retracted returns the claims that a revision took back.
func retracted(q querier, id string, number int64) (all []claim.Claim, err error) {
	err = each(q, 1, "SELECT body FROM claim WHERE incident = ? AND retracted = ? ORDER BY seq", []any{id, number}, func(row []string) error {
		var c claim.Claim
		err := json.Unmarshal([]byte(row[0]), &c)
		c.Incident = id
		all = append(all, c)
		return err
	})
	return all, err
}

// A Verdict is what Verify found.
type Verdict struct {
	Revisions int64
	Head      [32]byte // hash of the last revision: whoever notes it sees any change of all up to it
	HeadAt    [32]byte // hash of the revision that was asked for
	Fault     string   // the first; empty if there is none
}

// Verify recomputes the hash of every revision, makes all that stands in the register from the revisions once more, and
// compares. at is a revision whose hash the caller noted; 0 for none.
func (s *Store) Verify(ctx context.Context, at int64) (v *Verdict, err error) {
	again, err := open("file::memory:", s.now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, again.Close()) }()
	again.db.SetMaxOpenConns(1) // each connection would have a memory of its own
	v = &Verdict{}
	err = s.read(ctx, func(tx *sql.Tx) error {
		return again.write(ctx, func(copy *sql.Tx) error {
			err := each(tx, 6, "SELECT number, recorded, author, reason, changes, hex(hash) FROM revision ORDER BY number", nil, func(row []string) error {
				if v.Fault == "" {
					v.Fault = v.check(copy, row, at)
				}
				return nil
			})
			if err != nil || v.Fault != "" {
				return err
			}
			v.Fault, err = compare(tx, copy)
			return err
		})
	})
	return v, err
}

// check takes the next revision: its hash must fit, and it must be possible after those before it.
func (v *Verdict) check(copy *sql.Tx, row []string, at int64) (fault string) {
	prev := v.Head[:]
	if v.Revisions == 0 {
		prev = nil
	}
	number, err := strconv.ParseInt(row[0], 10, 64)
	if err != nil || number != v.Revisions+1 {
		return fmt.Sprintf("revision %s follows on %d", row[0], v.Revisions)
	}
	v.Revisions = number
	v.Head = chain(prev, number, row[1], row[2], row[3], row[4])
	if fmt.Sprintf("%X", v.Head) != row[5] {
		return fmt.Sprintf("revision %d is not as it was written: its hash does not fit", number)
	}
	if number == at {
		v.HeadAt = v.Head
	}
	r, err := readRevision(row[:5])
	if err != nil {
		return fmt.Sprintf("revision %d cannot be read: %v", number, err)
	}
	if _, err := copy.Exec("INSERT INTO revision (number, recorded, author, reason, changes, hash) VALUES (?, '', '', '', '', x'')", number); err != nil {
		return err.Error()
	}
	for _, c := range r.Changes {
		if err := projectChange(copy, number, c, map[string]bool{}); err != nil {
			return fmt.Sprintf("revision %d does not fit: %v", number, err)
		}
	}
	return ""
}

// projected are the tables that follow from the revisions, and the column that says what a row is of. What only lists and
// search use is made anew with every change and is not compared.
var projected = []struct {
	query   string
	columns int
	of      int
}{
	{"SELECT kind, id, revision, body FROM object ORDER BY 1, 2, 3", 4, 1},
	{"SELECT id, victim, draft, withdrawn, changed FROM incident ORDER BY 1", 5, 0},
	{"SELECT incident, revision, victim, draft, withdrawn FROM incident_state ORDER BY 1, 2", 5, 0},
	{"SELECT seq, incident, place, id, source, actor, added, retracted, body FROM claim ORDER BY 1", 9, 1},
}

// compare holds what the register shows against what its revisions say.
func compare(have, want *sql.Tx) (fault string, err error) {
	for _, table := range projected {
		rows := func(tx *sql.Tx) (all [][]string) {
			e := each(tx, table.columns, table.query, nil, func(row []string) error { all = append(all, slices.Clone(row)); return nil })
			err = errors.Join(err, e)
			return all
		}
		a, b := rows(have), rows(want)
		for i := range max(len(a), len(b)) {
			switch {
			case i >= len(a):
				return b[i][table.of] + " lacks something that its revisions say", err
			case i >= len(b) || !slices.Equal(a[i], b[i]):
				return a[i][table.of] + " is not what its revisions say", err
			}
		}
	}
	return "", err
}
