package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
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
			if v, ok := r.View(s.ask(reader, Moment{}), st, taken); ok {
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

// Verify recomputes the hash of every revision, and makes everything that stands in the register from the revisions once
// more, to compare. at is a revision whose hash the caller noted; 0 for none.
func (s *Store) Verify(ctx context.Context, at int64) (*Verdict, error) {
	v := &Verdict{}
	states := map[string]*incident.State{}
	err := s.read(ctx, func(tx *sql.Tx) error {
		err := each(tx, 6, "SELECT number, recorded, author, reason, changes, hex(hash) FROM revision ORDER BY number", nil, func(row []string) error {
			if v.Fault == "" {
				v.Fault = v.check(row, at, states)
			}
			return nil
		})
		if err != nil || v.Fault != "" {
			return err
		}
		v.Fault, err = compare(tx, states)
		return err
	})
	return v, err
}

func (v *Verdict) check(row []string, at int64, states map[string]*incident.State) (fault string) {
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
	for _, c := range r.Changes {
		if c.Incident == "" {
			continue
		}
		st := states[c.Incident]
		if st == nil {
			st = &incident.State{}
			states[c.Incident] = st
		}
		if err := st.Apply(number, c); err != nil {
			return fmt.Sprintf("revision %d does not fit: %v", number, err)
		}
	}
	return ""
}

// compare holds what the register shows against what its revisions say.
func compare(tx *sql.Tx, states map[string]*incident.State) (fault string, err error) {
	shown := map[string]bool{}
	var ids []string
	err = each(tx, 1, "SELECT id FROM incident ORDER BY id", nil, func(row []string) error { ids = append(ids, row[0]); return nil })
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		shown[id] = true
		have, err := state(tx, id, 0)
		if err != nil {
			return "", err
		}
		want := states[id]
		if want == nil || !sameRecord(&have.Record, &want.Record) {
			return fmt.Sprintf("incident %s is not what its revisions say", id), nil
		}
	}
	for id := range states {
		if !shown[id] {
			return fmt.Sprintf("incident %s is missing", id), nil
		}
	}
	return "", nil
}

func sameRecord(a, b *incident.Record) bool {
	x, err := a.File()
	y, err2 := b.File()
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
