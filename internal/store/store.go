// Package store keeps the register in SQLite; it is the one place with SQL.
//
// The revisions are the register: a log that is only ever added to (P8), each entry chained to the one before by its hash.
// All other tables but the accounts are made from it and could be made again; triggers abort a change of the log. What may be
// lost in a power cut is the last transaction that had not returned. Who can write the file can change anything in it: Verify
// finds that against the head that was noted elsewhere.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// Errors of the store.
var (
	ErrNotFound = errors.New("not found")
	ErrNewer    = errors.New("register was written by a newer version: use that version, or a new data folder")
	ErrOlder    = errors.New("register was written by a version from before revisions were kept: move the file away and import the records again")
	ErrTaken    = errors.New("the id is taken already")
	ErrExists   = errors.New("there is such an account already")
)

// schemaBase is the oldest schema that migrations lead on from.
const schemaBase = 2

// migrations bring a file from version n to n+1; the first makes version schemaBase out of nothing. They are only ever
// appended to.
var migrations = []string{`
CREATE TABLE revision (number INTEGER PRIMARY KEY, recorded TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL, changes TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TRIGGER revision_stays BEFORE UPDATE ON revision BEGIN SELECT RAISE(ABORT, 'revisions are never changed'); END;
CREATE TRIGGER revision_remains BEFORE DELETE ON revision BEGIN SELECT RAISE(ABORT, 'revisions are never deleted'); END;

CREATE TABLE object (kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL REFERENCES revision, body TEXT NOT NULL, PRIMARY KEY (kind, id, revision)) STRICT, WITHOUT ROWID;
CREATE TABLE incident (id TEXT PRIMARY KEY, victim TEXT NOT NULL, draft INTEGER NOT NULL, withdrawn TEXT NOT NULL, changed INTEGER NOT NULL,
	date TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0, due TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX incident_victim ON incident (victim);
CREATE INDEX incident_date ON incident (date DESC, id);
CREATE TABLE incident_state (incident TEXT NOT NULL, revision INTEGER NOT NULL REFERENCES revision, victim TEXT NOT NULL, draft INTEGER NOT NULL, withdrawn TEXT NOT NULL, PRIMARY KEY (incident, revision)) STRICT, WITHOUT ROWID;
CREATE TABLE claim (seq INTEGER PRIMARY KEY, place INTEGER NOT NULL, incident TEXT NOT NULL REFERENCES incident, id TEXT NOT NULL, source TEXT NOT NULL, actor TEXT NOT NULL,
	added INTEGER NOT NULL REFERENCES revision, retracted INTEGER REFERENCES revision, body TEXT NOT NULL) STRICT;
CREATE INDEX claim_incident ON claim (incident, id);
CREATE INDEX claim_source ON claim (source);
CREATE INDEX claim_actor ON claim (actor);
CREATE TRIGGER claim_stays BEFORE UPDATE OF incident, id, added, body ON claim BEGIN SELECT RAISE(ABORT, 'claims are never changed'); END;
CREATE TRIGGER claim_stays_retracted BEFORE UPDATE OF retracted ON claim WHEN OLD.retracted IS NOT NULL BEGIN SELECT RAISE(ABORT, 'claims are taken back once'); END;
CREATE TRIGGER claim_remains BEFORE DELETE ON claim BEGIN SELECT RAISE(ABORT, 'claims are never deleted'); END;

CREATE TABLE account (name TEXT PRIMARY KEY, tier INTEGER NOT NULL, password TEXT NOT NULL) STRICT;
CREATE TABLE session (token BLOB PRIMARY KEY, account TEXT NOT NULL REFERENCES account, expires TEXT NOT NULL) STRICT;
CREATE VIRTUAL TABLE search USING fts5 (tier UNINDEXED, id UNINDEXED, title, body, tokenize = "unicode61 remove_diacritics 2");
`}

// A Store is an open register. It is safe for concurrent use: SQLite takes one writer at a time, and others wait.
type Store struct {
	db  *sql.DB
	now func() time.Time
}

// Open opens the register in that file, making it if there is none. It refuses a file of a newer version.
func Open(path string) (*Store, error) { return OpenWithClock(path, time.Now) }

// OpenWithClock is Open with a clock of the caller's: it says when a revision is recorded and when an embargo ends.
func OpenWithClock(path string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // what it holds is not for other users of the machine
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s, err := open("file:"+(&url.URL{Path: path}).EscapedPath(), now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func open(name string, now func() time.Time) (*Store, error) {
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "foreign_keys(ON)", "busy_timeout(10000)", "synchronous(FULL)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", name+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, now: now}
	if err := s.migrate(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) migrate() error {
	var version int
	if err := s.db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version == schemaBase+len(migrations)-1 {
		return nil // nothing to do, and nothing to write: a full disk can still be read
	}
	return s.write(context.Background(), func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		newest := schemaBase + len(migrations) - 1
		switch {
		case version > newest:
			return fmt.Errorf("%w (its schema is %d, this program's is %d)", ErrNewer, version, newest)
		case version > 0 && version < schemaBase:
			return ErrOlder
		}
		for next := max(version-schemaBase+1, 0); next < len(migrations); next++ {
			if _, err := tx.Exec(migrations[next]); err != nil {
				return err
			}
		}
		_, err := tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", newest))
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

// read runs f on one state of the register.
func (s *Store) read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(f(tx), tx.Rollback())
}

// querier is a database or a transaction.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

// each calls f for every row, with the row's columns as text; NULL is "".
func each(q querier, columns int, query string, args []any, f func([]string) error) error {
	rows, err := q.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	nullable, into, cells := make([]sql.NullString, columns), make([]any, columns), make([]string, columns)
	for i := range nullable {
		into[i] = &nullable[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i := range nullable {
			cells[i] = nullable[i].String
		}
		if err := f(cells); err != nil {
			return err
		}
	}
	return rows.Err()
}
