// Package store keeps the register in SQLite; it is the one place with SQL.
//
// Claims are only ever added: triggers abort a change or a deletion (P8). What may be lost in a power cut is the last
// transaction that had not returned. Who can write the file can change anything in it; the register does not detect that.
package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

// Errors of the store.
var (
	ErrNotFound = errors.New("not found")
	ErrNewer    = errors.New("register was written by a newer version: use that version, or a new data folder")
	ErrExists   = errors.New("there is such an account already")
)

// migrations bring a file from version n to n+1. They are only ever appended to.
var migrations = []string{`
CREATE TABLE organisation (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE actor (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE source (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE incident (id TEXT PRIMARY KEY, victim TEXT NOT NULL REFERENCES organisation, draft INTEGER NOT NULL, date TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE claim (
	seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, incident TEXT NOT NULL REFERENCES incident,
	revision INTEGER NOT NULL, recorded TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE INDEX claim_incident ON claim (incident);
CREATE TRIGGER claim_stays BEFORE UPDATE ON claim BEGIN SELECT RAISE(ABORT, 'claims are never changed'); END;
CREATE TRIGGER claim_remains BEFORE DELETE ON claim BEGIN SELECT RAISE(ABORT, 'claims are never deleted'); END;
CREATE TABLE account (name TEXT PRIMARY KEY, tier INTEGER NOT NULL, password TEXT NOT NULL) STRICT;
CREATE TABLE session (token BLOB PRIMARY KEY, account TEXT NOT NULL REFERENCES account, expires TEXT NOT NULL) STRICT;
CREATE VIRTUAL TABLE search USING fts5 (tier UNINDEXED, id UNINDEXED, title, body, tokenize = "unicode61 remove_diacritics 2");
`}

// A Store is an open register. It is safe for concurrent use: SQLite takes one writer at a time, and others wait.
type Store struct{ db *sql.DB }

// Open opens the register in that file, making it if there is none. It refuses a file of a newer version.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "foreign_keys(ON)", "busy_timeout(10000)", "synchronous(FULL)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	s := &Store{db}
	if err := s.migrate(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
	}
	return s, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) migrate() error {
	return s.write(context.Background(), func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if version > len(migrations) {
			return fmt.Errorf("%w (its schema is %d, this program's is %d)", ErrNewer, version, len(migrations))
		}
		for ; version < len(migrations); version++ {
			if _, err := tx.Exec(migrations[version]); err != nil {
				return err
			}
		}
		_, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", len(migrations)))
		return err
	})
}

// write runs f in a transaction that is committed if f returns nil, and otherwise leaves no trace.
func (s *Store) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// Import adds a set to the register: all of it or nothing. What is there already stays as it is, and is not added twice. It
// returns how many claims are new.
func (s *Store) Import(ctx context.Context, set *incident.Set) (added int, err error) {
	if problems := set.Lint(); len(problems) > 0 {
		return 0, errors.Join(problems...)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		added = 0
		for _, o := range set.Organisations {
			if err := putObject(tx, "organisation", o.ID, o); err != nil {
				return err
			}
		}
		for _, a := range set.Actors {
			if err := putObject(tx, "actor", a.ID, a); err != nil {
				return err
			}
		}
		for _, src := range set.Sources {
			if err := putObject(tx, "source", src.ID, src); err != nil {
				return err
			}
		}
		for i := range set.Records {
			n, err := putRecord(tx, &set.Records[i])
			if err != nil {
				return fmt.Errorf("%s: %w", set.Records[i].ID, err)
			}
			added += n
		}
		return reindex(tx)
	})
	return added, err
}

func putObject(tx *sql.Tx, table, id string, object any) error {
	body, err := json.Marshal(object)
	if err == nil {
		_, err = tx.Exec("INSERT INTO "+table+" (id, body) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", id, string(body))
	}
	return err
}

func putRecord(tx *sql.Tx, rec *incident.Record) (added int, err error) {
	if _, err := tx.Exec("INSERT INTO incident (id, victim, draft) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", rec.ID, rec.Victim, rec.Draft); err != nil {
		return 0, err
	}
	var revision int64
	if err := tx.QueryRow("SELECT coalesce(max(revision), 0) + 1 FROM claim").Scan(&revision); err != nil {
		return 0, err
	}
	recorded := time.Now().UTC().Format(time.RFC3339)
	for _, c := range rec.Claims {
		body, err := json.Marshal(c)
		if err != nil {
			return 0, err
		}
		hash := sha256.Sum256(body)
		res, err := tx.Exec("INSERT INTO claim (hash, incident, revision, recorded, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
			hash[:], rec.ID, revision, recorded, string(body))
		if err != nil {
			return 0, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, err
		}
		added += int(n)
	}
	in := &incident.Incident{ID: rec.ID, Claims: rec.Claims}
	_, err = tx.Exec("UPDATE incident SET date = ? WHERE id = ?", in.Sibling().Date, rec.ID)
	return added, err
}

// Publish makes a draft visible to everybody; who may do that is the caller's to decide.
func (s *Store) Publish(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec("UPDATE incident SET draft = 0 WHERE id = ?", id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		return reindex(tx)
	})
}

// reindex makes the search index anew: a row for each incident and tier, with what that tier sees and nothing else (P7).
func reindex(tx *sql.Tx) error {
	if _, err := tx.Exec("DELETE FROM search"); err != nil {
		return err
	}
	all, err := loadAll(tx)
	if err != nil {
		return err
	}
	for _, in := range all {
		for _, tier := range access.Tiers() {
			v, ok := in.ViewFor(access.Reader{Tier: tier})
			if !ok {
				continue
			}
			if _, err := tx.Exec("INSERT INTO search (tier, id, title, body) VALUES (?, ?, ?, ?)", int(tier), in.ID, v.Title, v.Texts()); err != nil {
				return err
			}
		}
	}
	return nil
}

// querier is a database or a transaction.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// each calls f for every row, with the row's text columns.
func each(q querier, columns int, query string, args []any, f func([]string) error) error {
	rows, err := q.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	cells, into := make([]string, columns), make([]any, columns)
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := errors.Join(rows.Scan(into...), f(cells)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// objects reads a table of id and body.
func objects[T any](q querier, table string) (map[string]T, error) {
	all := map[string]T{}
	err := each(q, 2, "SELECT id, body FROM "+table, nil, func(row []string) error {
		var t T
		err := json.Unmarshal([]byte(row[1]), &t)
		all[row[0]] = t
		return err
	})
	return all, err
}

// loadAll reads every incident with all that it refers to, the latest first.
func loadAll(q querier) ([]*incident.Incident, error) {
	organisations, err := objects[incident.Organisation](q, "organisation")
	if err != nil {
		return nil, err
	}
	actors, err := objects[incident.Actor](q, "actor")
	if err != nil {
		return nil, err
	}
	sources, err := objects[claim.Source](q, "source")
	if err != nil {
		return nil, err
	}
	var all []*incident.Incident
	byID := map[string]*incident.Incident{}
	err = each(q, 3, "SELECT id, victim, draft FROM incident ORDER BY date DESC, id", nil, func(row []string) error {
		in := &incident.Incident{ID: row[0], Victim: organisations[row[1]], Draft: row[2] != "0", Sources: sources, Actors: actors}
		all, byID[row[0]] = append(all, in), in
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(q, 5, "SELECT seq, incident, revision, recorded, body FROM claim ORDER BY seq", nil, func(row []string) error {
		var c claim.Claim
		if err := json.Unmarshal([]byte(row[4]), &c); err != nil {
			return err
		}
		c.Incident = row[1]
		if _, err := fmt.Sscan(row[0]+" "+row[2], &c.ID, &c.Revision); err != nil {
			return err
		}
		c.Recorded, err = time.Parse(time.RFC3339, row[3])
		in := byID[row[1]]
		in.Claims = append(in.Claims, c)
		return err
	})
	siblings := map[string][]incident.Sibling{}
	for _, in := range all {
		if !in.Draft {
			siblings[in.Victim.ID] = append(siblings[in.Victim.ID], in.Sibling())
		}
	}
	for _, in := range all {
		in.Siblings = siblings[in.Victim.ID]
	}
	return all, err
}

// Incidents returns the incidents that the reader may see, the latest first.
func (s *Store) Incidents(ctx context.Context, reader access.Reader) ([]*incident.View, error) {
	var views []*incident.View
	err := s.read(ctx, func(tx *sql.Tx) error {
		all, err := loadAll(tx)
		for _, in := range all {
			if v, ok := in.ViewFor(reader); ok {
				views = append(views, v)
			}
		}
		return err
	})
	return views, err
}

// Incident returns one incident; ErrNotFound also where the reader may not see it.
func (s *Store) Incident(ctx context.Context, reader access.Reader, id string) (*incident.View, error) {
	views, err := s.Incidents(ctx, reader)
	for _, v := range views {
		if v.ID == id {
			return v, nil
		}
	}
	return nil, errors.Join(err, ErrNotFound)
}

// read runs f on one state of the register.
func (s *Store) read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(f(tx), tx.Rollback())
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

func object[T any](ctx context.Context, s *Store, table, id string) (t T, err error) {
	var body string
	err = s.db.QueryRowContext(ctx, "SELECT body FROM "+table+" WHERE id = ?", id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return t, ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), &t)
	}
	return t, err
}

// Search returns the ids of the incidents that hold all words of the query in what the reader sees, the best first.
func (s *Store) Search(ctx context.Context, reader access.Reader, query string) ([]string, error) {
	var words []string
	for _, w := range strings.Fields(query) {
		if w = strings.ReplaceAll(w, `"`, ""); w != "" {
			words = append(words, `"`+w+`"*`)
		}
	}
	if len(words) == 0 || len(words) > 16 {
		return nil, nil
	}
	var ids []string
	err := s.read(ctx, func(tx *sql.Tx) error {
		// Scores would depend on rows of other tiers; the order is that of the list.
		return each(tx, 1, "SELECT search.id FROM search JOIN incident ON incident.id = search.id WHERE search MATCH ? AND tier = ? ORDER BY incident.date DESC, search.id",
			[]any{strings.Join(words, " "), int(reader.Tier)}, func(row []string) error {
				ids = append(ids, row[0])
				return nil
			})
	})
	return ids, err
}

// AddAccount adds an account.
func (s *Store) AddAccount(ctx context.Context, a access.Account) error {
	res, err := s.db.ExecContext(ctx, "INSERT INTO account (name, tier, password) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", a.Name, int(a.Tier), a.PasswordHash)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrExists)
	}
	return nil
}

// Account returns the account of that name, or nil.
func (s *Store) Account(ctx context.Context, name string) (*access.Account, error) {
	a := &access.Account{Name: name}
	err := s.db.QueryRowContext(ctx, "SELECT tier, password FROM account WHERE name = ?", name).Scan(&a.Tier, &a.PasswordHash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return a, err
}

// StartSession keeps a session under its token's hash, and forgets those that have ended.
func (s *Store) StartSession(ctx context.Context, token [sha256.Size]byte, account string, expires time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM session WHERE expires < ?", stamp(time.Now())); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO session (token, account, expires) VALUES (?, ?, ?)", token[:], account, stamp(expires))
		return err
	})
}

// EndSession forgets a session.
func (s *Store) EndSession(ctx context.Context, token [sha256.Size]byte) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM session WHERE token = ?", token[:])
	return err
}

// Session returns who has that session; anybody, if it has ended or never was.
func (s *Store) Session(ctx context.Context, token [sha256.Size]byte, now time.Time) (access.Reader, error) {
	r := access.Reader{}
	err := s.db.QueryRowContext(ctx, "SELECT account.name, account.tier FROM session JOIN account ON account.name = session.account WHERE token = ? AND expires > ?",
		token[:], stamp(now)).Scan(&r.Account, &r.Tier)
	if err != nil {
		r = access.Anybody()
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return r, err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
