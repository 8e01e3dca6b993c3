package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"

	"github.com/duckdb/duckdb-go/v2"

	"weir"
)

// duck is DuckDB with one row for each disclosure, in the order of time: with pseudonyms as they are (raw), or with dense ids
// of people and principals, whose dictionary is then not counted.
type duck struct {
	db    *sql.DB
	dense bool
	path  string
	names [2][]weir.Pseudonym // people, principals
}

func (d *duck) name() string {
	if d.dense {
		return "duckdb-dense"
	}
	return "duckdb"
}

func newDuck(l *load, path string, dense bool, people, principals []weir.Pseudonym) (d *duck, err error) {
	connector, err := duckdb.NewConnector(path, nil)
	if err != nil {
		return nil, err
	}
	d = &duck{db: sql.OpenDB(connector), dense: dense, path: path, names: [2][]weir.Pseudonym{people, principals}}
	id := "UUID"
	if dense {
		id = "UINTEGER"
	}
	if _, err := d.db.Exec(fmt.Sprintf("CREATE TABLE disclosures (t BIGINT, principal %s, person %s, classes UINTEGER, route UTINYINT, bytes UINTEGER)", id, id)); err != nil {
		return nil, err
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	app, err := duckdb.NewAppenderFromConn(conn, "", "disclosures")
	if err != nil {
		return nil, err
	}
	l.each(func(r *response) {
		route := uint8(0)
		if len(r.people) > 1 {
			route = 1
		}
		for _, p := range r.people {
			var who, person driver.Value = uint32(r.principal), p
			if !dense {
				who, person = duckdb.UUID(principals[r.principal]), duckdb.UUID(people[p])
			}
			if err == nil {
				err = app.AppendRow(r.millis, who, person, uint32(r.classes), route, uint32(r.bytes))
			}
		}
	})
	err = errors.Join(err, app.Close(), conn.Close())
	if err == nil {
		_, err = d.db.Exec("CHECKPOINT")
	}
	return d, err
}

func (d *duck) sizes(disclosures int) string {
	info, err := os.Stat(d.path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.2f bytes a disclosure", float64(info.Size())/float64(disclosures))
}

func (d *duck) id(kind, n int) any {
	if d.dense {
		return uint32(n)
	}
	u := duckdb.UUID(d.names[kind][n])
	return u.String()
}

func (d *duck) cast() string {
	if d.dense {
		return ""
	}
	return "::UUID"
}

func (d *duck) distinct(principal int, from, to int64) (n int, err error) {
	if from == 0 && to == 0 {
		err = d.db.QueryRow("SELECT count(DISTINCT person) FROM disclosures WHERE principal = ?"+d.cast(), d.id(1, principal)).Scan(&n)
		return n, err
	}
	err = d.db.QueryRow("SELECT count(DISTINCT person) FROM disclosures WHERE principal = ?"+d.cast()+" AND t >= ? AND t < ?", d.id(1, principal), from, to).Scan(&n)
	return n, err
}

func (d *duck) accounting(person int) (n int, err error) {
	rows, err := d.db.Query("SELECT t, principal, classes, route FROM disclosures WHERE person = ?"+d.cast()+" ORDER BY t", d.id(0, person))
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		n++
	}
	return n, errors.Join(rows.Err(), rows.Close())
}

// list makes the rows within DuckDB, so that handing them over is not counted.
func (d *duck) list(principal int) (n int, err error) {
	if _, err := d.db.Exec("CREATE OR REPLACE TABLE list AS SELECT person, bit_or(classes) AS classes, min(t) AS first, max(t) AS last, count(*) AS n FROM disclosures WHERE principal = ?"+d.cast()+" GROUP BY person", d.id(1, principal)); err != nil {
		return 0, err
	}
	err = d.db.QueryRow("SELECT count(*) FROM list").Scan(&n)
	return n, err
}

func (d *duck) close() error { return d.db.Close() }
