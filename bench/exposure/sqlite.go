package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"

	_ "modernc.org/sqlite"
)

// lite is SQLite with dense ids: a table in the order of principals and times, and an index by person.
type lite struct {
	db   *sql.DB
	path string
}

func (s *lite) name() string { return "sqlite-dense" }

func newLite(l *load, path string) (s *lite, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(off)&_pragma=synchronous(off)&_pragma=cache_size(-200000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s = &lite{db, path}
	if _, err := db.Exec("CREATE TABLE disclosures (principal INTEGER, t INTEGER, n INTEGER, person INTEGER, classes INTEGER, route INTEGER, bytes INTEGER, PRIMARY KEY (principal, t, n)) WITHOUT ROWID"); err != nil {
		return nil, err
	}
	tx, err := db.Begin()
	if err != nil {
		return nil, err
	}
	insert, err := tx.Prepare("INSERT INTO disclosures VALUES (?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return nil, err
	}
	n := 0
	l.each(func(r *response) {
		route := min(len(r.people), 2) - 1
		for _, p := range r.people {
			if err == nil {
				_, err = insert.Exec(r.principal, r.millis, n, p, int64(r.classes), route, r.bytes)
			}
			n++
		}
	})
	if err = errors.Join(err, insert.Close(), tx.Commit()); err == nil {
		_, err = db.Exec("CREATE INDEX by_person ON disclosures (person)")
	}
	return s, err
}

func (s *lite) sizes(disclosures int) string {
	info, err := os.Stat(s.path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.2f bytes a disclosure", float64(info.Size())/float64(disclosures))
}

func (s *lite) distinct(principal int, from, to int64) (n int, err error) {
	if from == 0 && to == 0 {
		to = 1 << 62
	}
	err = s.db.QueryRow("SELECT count(DISTINCT person) FROM disclosures WHERE principal = ? AND t >= ? AND t < ?", principal, from, to).Scan(&n)
	return n, err
}

func (s *lite) accounting(person int) (n int, err error) {
	rows, err := s.db.Query("SELECT t, principal, classes, route FROM disclosures WHERE person = ? ORDER BY t", person)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		n++
	}
	return n, errors.Join(rows.Err(), rows.Close())
}

func (s *lite) list(principal int) (n int, err error) {
	err = s.db.QueryRow("SELECT count(*) FROM (SELECT person, max(classes), min(t), max(t), count(*) FROM disclosures WHERE principal = ? GROUP BY person)", principal).Scan(&n)
	return n, err
}

func (s *lite) close() error { return s.db.Close() }
