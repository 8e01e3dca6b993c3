package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

// reindex brings what lists and search need of incidents up to date: their own, and that of their victims' others, whose
// history they are part of. For each tier there is a row with what that tier sees and nothing else; date and size, by which
// lists are sorted for everybody, are those that the public sees (P7).
func (s *Store) reindex(tx *sql.Tx, touched map[string]bool) error {
	ids, err := withSiblings(tx, touched)
	if err != nil {
		return err
	}
	now := s.now()
	for len(ids) > 0 {
		part := ids[:min(200, len(ids))]
		ids = ids[len(part):]
		all, err := load(tx, 0, part)
		if err != nil {
			return err
		}
		for _, in := range all {
			if err := s.index(tx, in, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func withSiblings(tx *sql.Tx, touched map[string]bool) (ids []string, err error) {
	var some []string
	for id := range touched {
		some = append(some, id)
	}
	for len(some) > 0 {
		part := some[:min(500, len(some))]
		some = some[len(part):]
		in, args := marks(part)
		err = each(tx, 1, "SELECT id FROM incident WHERE victim IN (SELECT victim FROM incident WHERE id IN ("+in+"))", args, func(row []string) error {
			ids = append(ids, row[0])
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (s *Store) index(tx *sql.Tx, in *incident.Incident, now time.Time) error {
	if _, err := tx.Exec("DELETE FROM search WHERE id = ?", in.ID); err != nil {
		return err
	}
	for _, tier := range access.Tiers() {
		if err := names(tx, []*incident.Incident{in}, access.Reader{Tier: tier}); err != nil {
			return err
		}
		v, ok := in.View(incident.Ask{Reader: access.Reader{Tier: tier}, Now: now})
		if !ok || v.Withdrawn != "" {
			continue
		}
		if _, err := tx.Exec("INSERT INTO search (tier, id, title, body) VALUES (?, ?, ?, ?)", int(tier), in.ID, v.Title, v.Texts()); err != nil {
			return err
		}
	}
	shown := *in
	shown.Draft = false // a draft is sorted by what the public will see of it
	v, _ := shown.View(incident.Ask{Reader: access.Anybody(), Now: now})
	date := ""
	if v.Date != nil {
		if p, err := claim.ParsePeriod(v.Date.Value); err == nil {
			date = p.First.Format("2006-01-02")
		}
	}
	_, err := tx.Exec("UPDATE incident SET date = ?, size = ?, due = ? WHERE id = ?", date, v.Size(), nextEmbargo(in, now), in.ID)
	return err
}

// nextEmbargo is the day on which more of the incident becomes visible, or "".
func nextEmbargo(in *incident.Incident, now time.Time) (day string) {
	for _, c := range in.Claims {
		p, err := claim.ParsePeriod(c.Embargo)
		if err == nil && p.First.After(now) && (day == "" || stamp(p.First) < day) {
			day = stamp(p.First)
		}
	}
	return day
}

// lift indexes anew what an embargo's end has made visible since.
func (s *Store) lift(ctx context.Context) error {
	const due = "SELECT id FROM incident WHERE due <> '' AND due <= ?"
	found := map[string]bool{}
	err := each(s.db, 1, due, []any{stamp(s.now())}, func(row []string) error { found[row[0]] = true; return nil })
	if err != nil || len(found) == 0 {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error { return s.reindex(tx, found) })
}

// A Query restricts and sorts a list of incidents.
type Query struct {
	After  string // the id of the last incident of the page before
	Limit  int    // 0 means all
	Victim string
	Source string // incidents with a claim from it
	Actor  string // incidents that name it
	Year   int
	Sort   string // "date" (the latest first) or "size" (the largest first); "" means date
	Search string // all of its words stand in what the reader sees
}

// ErrAfter means that Query.After is no incident of the list.
var ErrAfter = fmt.Errorf("after is no incident of the list: %w", ErrNotFound)

// List returns the incidents that the reader may see, and the id after which the list goes on.
func (s *Store) List(ctx context.Context, reader access.Reader, q Query) (views []*incident.View, next string, err error) {
	if err := s.lift(ctx); err != nil {
		return nil, "", err
	}
	err = s.read(ctx, func(tx *sql.Tx) error {
		ids, err := s.ids(tx, reader, q)
		if err != nil {
			return err
		}
		if q.After != "" {
			at := slices.Index(ids, q.After)
			if at < 0 {
				return ErrAfter
			}
			ids = ids[at+1:]
		}
		if q.Source != "" || q.Actor != "" { // whether the reader sees the claim that names it, only a view says
			views, err = s.views(tx, reader, ids)
			views = slices.DeleteFunc(views, func(v *incident.View) bool { return !v.Names(q.Source, q.Actor) })
			return err
		}
		if q.Limit > 0 && len(ids) > q.Limit {
			ids = ids[:q.Limit]
			next = ids[q.Limit-1]
		}
		views, err = s.views(tx, reader, ids)
		return err
	})
	return views, next, err
}

// ids returns the ids of the incidents on the reader's list, without those that are withdrawn.
func (s *Store) ids(tx *sql.Tx, reader access.Reader, q Query) (ids []string, err error) {
	where, args := []string{"withdrawn = ''"}, []any{}
	add := func(condition string, more ...any) {
		where = append(where, condition)
		args = append(args, more...)
	}
	if !reader.MayReadDrafts() {
		add("draft = 0")
	}
	if q.Victim != "" {
		add("victim = ?", q.Victim)
	}
	if q.Year != 0 {
		add("date >= ? AND date < ?", fmt.Sprintf("%04d", q.Year), fmt.Sprintf("%04d", q.Year+1))
	}
	if q.Source != "" {
		add("id IN (SELECT incident FROM claim WHERE source = ? AND retracted IS NULL)", q.Source)
	}
	if q.Actor != "" {
		add("id IN (SELECT incident FROM claim WHERE actor = ? AND retracted IS NULL)", q.Actor)
	}
	if q.Search != "" {
		match := matchAll(q.Search)
		if match == "" {
			return nil, nil
		}
		// Scores would depend on rows of other tiers; the order is that of the list.
		add("id IN (SELECT id FROM search WHERE search MATCH ? AND tier = ?)", match, int(reader.Tier))
	}
	order := "date DESC, id"
	if q.Sort == "size" {
		order = "size DESC, date DESC, id"
	}
	err = each(tx, 1, "SELECT id FROM incident WHERE "+strings.Join(where, " AND ")+" ORDER BY "+order, args, func(row []string) error {
		ids = append(ids, row[0])
		return nil
	})
	return ids, err
}

// matchAll is a full-text query for all words of a reader's, each as the beginning of a word; "" for none or too many.
func matchAll(query string) string {
	var words []string
	for _, w := range strings.Fields(query) {
		if w = strings.NewReplacer(`"`, "", "\x00", "").Replace(w); w != "" {
			words = append(words, `"`+w+`"*`)
		}
	}
	if len(words) > 16 {
		return ""
	}
	return strings.Join(words, " ")
}

// A Year counts the incidents that began in it.
type Year struct {
	Year      int
	Incidents int
}

// Years counts the incidents on the reader's list by the year in which they began, as far as that is recorded.
func (s *Store) Years(ctx context.Context, reader access.Reader) (years []Year, err error) {
	if err := s.lift(ctx); err != nil {
		return nil, err
	}
	err = s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, 2, "SELECT substr(date, 1, 4), count(*) FROM incident WHERE date <> '' AND withdrawn = '' AND draft <= ? GROUP BY 1 ORDER BY 1",
			[]any{reader.MayReadDrafts()}, func(row []string) error {
				y, err := strconv.Atoi(row[0])
				if err != nil {
					return err
				}
				n, err := strconv.Atoi(row[1])
				years = append(years, Year{y, n})
				return err
			})
	})
	return years, err
}
