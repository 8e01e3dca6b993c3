package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

// marks returns so many placeholders, and the values for them.
func marks(ids []string) (string, []any) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return strings.TrimSuffix(strings.Repeat("?,", len(ids)), ","), args
}

// claims returns the claims of the incidents that stood at a revision (0: now), in the order in which they were recorded.
func claims(q querier, at int64, incidents []string) (all []claim.Claim, err error) {
	in, args := marks(incidents)
	query := "SELECT place, incident, added, body FROM claim WHERE incident IN (" + in + ")"
	if at == 0 {
		query += " AND retracted IS NULL"
	} else {
		query += " AND added <= ? AND (retracted IS NULL OR retracted > ?)"
		args = append(args, at, at)
	}
	err = each(q, 4, query+" ORDER BY place", args, func(row []string) error {
		var c claim.Claim
		err := json.Unmarshal([]byte(row[3]), &c)
		c.Incident = row[1]
		var e1, e2 error
		c.Seq, e1 = strconv.ParseInt(row[0], 10, 64)
		c.Revision, e2 = strconv.ParseInt(row[2], 10, 64)
		all = append(all, c)
		return errors.Join(err, e1, e2)
	})
	return all, err
}

// everClaimed returns all claims of the incidents that were ever recorded, in that order.
func everClaimed(q querier, incidents []string) (all []claim.Claim, err error) {
	in, args := marks(incidents)
	err = each(q, 2, "SELECT incident, body FROM claim WHERE incident IN ("+in+") ORDER BY seq", args, func(row []string) error {
		var c claim.Claim
		err := json.Unmarshal([]byte(row[1]), &c)
		c.Incident = row[0]
		all = append(all, c)
		return err
	})
	return all, err
}

// objects reads the objects of a kind as they stood at a revision; ids restricts them where it is not nil.
func objects[T any](q querier, kind string, at int64, ids []string) (map[string]T, error) {
	all := map[string]T{}
	query, args := "SELECT id, body FROM object WHERE kind = ? AND (? = 0 OR revision <= ?)", []any{kind, at, at}
	if ids != nil {
		in, more := marks(ids)
		query += " AND id IN (" + in + ")"
		args = append(args, more...)
	}
	err := each(q, 2, query+" ORDER BY revision", args, func(row []string) error { // the latest of each is the last
		var t T
		err := json.Unmarshal([]byte(row[1]), &t)
		all[row[0]] = t
		return err
	})
	return all, err
}

// load returns the incidents of these ids as they stood at a revision (0: now), in the order of the ids, each with all that
// it refers to and with the victim's other incidents. What was not there yet is left out.
func load(q querier, at int64, ids []string) (all []*incident.Incident, err error) {
	families, err := families(q, at, ids)
	if err != nil {
		return nil, err
	}
	byID := map[string]*incident.Incident{}
	var every, victims []string
	for victim, members := range families {
		victims = append(victims, victim)
		for _, in := range members {
			byID[in.ID] = in
			every = append(every, in.ID)
		}
	}
	if len(every) == 0 {
		return nil, nil
	}
	organisations, err := objects[incident.Organisation](q, "organisation", at, victims)
	if err != nil {
		return nil, err
	}
	found, err := claims(q, at, every)
	if err != nil {
		return nil, err
	}
	refs := references(found)
	sources, err := objects[claim.Source](q, "source", at, refs["source"])
	if err != nil {
		return nil, err
	}
	actors, err := objects[incident.Actor](q, "actor", at, refs["actor"])
	if err != nil {
		return nil, err
	}
	withdrawn := map[string]bool{}
	if at != 0 {
		ever, err := everClaimed(q, every)
		if err != nil {
			return nil, err
		}
		incident.Restrict(found, ever)
		in, args := marks(every)
		err = each(q, 1, "SELECT id FROM incident WHERE withdrawn <> '' AND id IN ("+in+")", args, func(row []string) error {
			withdrawn[row[0]] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, c := range found {
		byID[c.Incident].Claims = append(byID[c.Incident].Claims, c)
	}
	for victim, members := range families {
		var siblings []*incident.Incident
		for _, in := range members {
			if !in.Draft && in.Withdrawn == "" && !withdrawn[in.ID] { // what is withdrawn now has no past for others either
				siblings = append(siblings, in)
			}
		}
		for _, in := range members {
			in.Victim, in.Sources, in.Actors, in.Siblings = organisations[victim], sources, actors, siblings
		}
	}
	for _, id := range ids {
		if in := byID[id]; in != nil {
			all = append(all, in)
		}
	}
	return all, nil
}

// references returns the ids of the objects that claims refer to, by kind.
func references(all []claim.Claim) map[string][]string {
	seen := map[[2]string]bool{}
	refs := map[string][]string{"source": {}, "actor": {}}
	add := func(kind, id string) {
		if id != "" && !seen[[2]string{kind, id}] {
			seen[[2]string{kind, id}] = true
			refs[kind] = append(refs[kind], id)
		}
	}
	for _, c := range all {
		add("source", c.Source)
		if p, ok := claim.Find(c.Property); ok && p.Type == claim.Actor {
			add("actor", c.Value)
		}
	}
	return refs
}

// families returns the incidents of the victims that these incidents have, by victim, as they stood at a revision.
func families(q querier, at int64, ids []string) (map[string][]*incident.Incident, error) {
	in, args := marks(ids)
	all := map[string][]*incident.Incident{}
	seen := map[string]bool{}
	query := `SELECT incident, victim, draft, withdrawn FROM incident_state
		WHERE incident IN (SELECT id FROM incident WHERE victim IN (SELECT victim FROM incident WHERE id IN (` + in + `)))`
	if at != 0 {
		query += " AND revision <= ?"
		args = append(args, at)
	}
	err := each(q, 4, query+" ORDER BY revision DESC, incident", args, func(row []string) error {
		if !seen[row[0]] { // the latest state of each comes first
			seen[row[0]] = true
			all[row[1]] = append(all[row[1]], &incident.Incident{ID: row[0], Draft: row[2] != "0", Withdrawn: row[3]})
		}
		return nil
	})
	return all, err
}

// A Moment is what a reader asks a view of: by source time, by record time, or both. The zero Moment is now.
type Moment struct {
	AsOf     time.Time // what had been said by the end of that day
	Revision int64     // what this register held; 0 means the latest
}

func (s *Store) ask(reader access.Reader, m Moment) incident.Ask {
	return incident.Ask{Reader: reader, Now: s.now(), AsOf: m.AsOf}
}

// Incident returns one incident as a reader may see it; ErrNotFound also where the reader may not.
func (s *Store) Incident(ctx context.Context, reader access.Reader, id string, m Moment) (v *incident.View, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		at, err := s.moment(tx, reader, id, m.Revision)
		if err != nil {
			return err
		}
		all, err := load(tx, at, []string{id})
		if err != nil {
			return err
		}
		ok := false
		if len(all) > 0 {
			if err := names(tx, all, reader); err != nil {
				return err
			}
			v, ok = all[0].View(s.ask(reader, m))
		}
		if !ok {
			return ErrNotFound
		}
		return nil
	})
	return v, err
}

// moment returns the revision at which a reader may read an incident who asks for it at that one. What is withdrawn has no
// past for readers who see only its tombstone.
func (s *Store) moment(tx *sql.Tx, reader access.Reader, id string, revision int64) (int64, error) {
	if revision == 0 {
		return 0, nil
	}
	var head int64
	var withdrawn string
	err := tx.QueryRow("SELECT (SELECT coalesce(max(number), 0) FROM revision), coalesce((SELECT withdrawn FROM incident WHERE id = ?), '')", id).Scan(&head, &withdrawn)
	switch {
	case err != nil:
		return 0, err
	case revision < 0 || revision > head:
		return 0, ErrNotFound
	case withdrawn != "" && !reader.MayReadDrafts():
		return 0, nil
	}
	return revision, nil
}

// names gives each incident the titles of those that it is related to, as far as the reader may see them.
func names(q querier, all []*incident.Incident, reader access.Reader) error {
	for _, in := range all {
		var err error
		if in.Names, err = namesIn(q, in.Claims, reader); err != nil {
			return err
		}
	}
	return nil
}

func namesIn(q querier, claims []claim.Claim, reader access.Reader) (map[string]string, error) {
	names := map[string]string{}
	var ids []string
	for _, c := range claims {
		if p, ok := claim.Find(c.Property); ok && p.Type == claim.Incident {
			ids = append(ids, c.Value)
		}
	}
	if len(ids) == 0 {
		return names, nil
	}
	related, err := load(q, 0, ids)
	for _, r := range related {
		if (!r.Draft && r.Withdrawn == "") || reader.MayReadDrafts() {
			names[r.ID] = fmt.Sprintf("%s, %s", r.Victim.Name, r.ID)
		}
	}
	return names, err
}

// views returns the incidents of these ids that the reader may see, in the order of the ids.
func (s *Store) views(q querier, reader access.Reader, ids []string) (views []*incident.View, err error) {
	const atOnce = 200 // bounds what is in memory beside the views, and the placeholders of a query
	for len(ids) > 0 {
		part := ids[:min(atOnce, len(ids))]
		ids = ids[len(part):]
		all, err := load(q, 0, part)
		if err != nil {
			return nil, err
		}
		if err := names(q, all, reader); err != nil {
			return nil, err
		}
		for _, in := range all {
			if v, ok := in.View(s.ask(reader, Moment{})); ok {
				views = append(views, v)
			}
		}
	}
	return views, nil
}

// object returns an object's latest version.
func object[T any](ctx context.Context, s *Store, kind, id string) (t T, err error) {
	all, err := objects[T](s.db, kind, 0, []string{id})
	t, ok := all[id]
	if err == nil && !ok {
		err = ErrNotFound
	}
	return t, errors.Join(err, ctx.Err())
}

// Organisation returns a victim organisation.
func (s *Store) Organisation(ctx context.Context, id string) (incident.Organisation, error) {
	return object[incident.Organisation](ctx, s, "organisation", id)
}

// Actor returns a threat actor; its name is no public property, see claim.Properties.
func (s *Store) Actor(ctx context.Context, id string) (incident.Actor, error) {
	return object[incident.Actor](ctx, s, "actor", id)
}

// Source returns a source.
func (s *Store) Source(ctx context.Context, id string) (claim.Source, error) {
	return object[claim.Source](ctx, s, "source", id)
}

// Set returns the register's content as files hold it. Whoever asks must be allowed to read all of it.
func (s *Store) Set(ctx context.Context) (set *incident.Set, err error) {
	set = &incident.Set{}
	err = s.read(ctx, func(tx *sql.Tx) error {
		var all []string
		if err := each(tx, 1, "SELECT id FROM incident ORDER BY id", nil, func(row []string) error { all = append(all, row[0]); return nil }); err != nil {
			return err
		}
		for _, id := range all {
			st, err := state(tx, id, 0)
			if err != nil {
				return err
			}
			set.Records = append(set.Records, st.Record)
		}
		return fillSet(tx, set)
	})
	return set, err
}

// SourceIDs returns the ids of all sources in their order.
func (s *Store) SourceIDs(ctx context.Context) (ids []string, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, 1, "SELECT DISTINCT id FROM object WHERE kind = 'source' ORDER BY id", nil, func(row []string) error {
			ids = append(ids, row[0])
			return nil
		})
	})
	return ids, err
}

func fillSet(tx *sql.Tx, set *incident.Set) error {
	organisations, err := objects[incident.Organisation](tx, "organisation", 0, nil)
	if err != nil {
		return err
	}
	actors, err := objects[incident.Actor](tx, "actor", 0, nil)
	if err != nil {
		return err
	}
	sources, err := objects[claim.Source](tx, "source", 0, nil)
	if err != nil {
		return err
	}
	for _, o := range organisations {
		set.Organisations = append(set.Organisations, o)
	}
	for _, a := range actors {
		set.Actors = append(set.Actors, a)
	}
	for _, src := range sources {
		set.Sources = append(set.Sources, src)
	}
	return nil
}
