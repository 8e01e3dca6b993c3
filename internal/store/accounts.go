package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"weir/internal/access"
)

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

// Accounts returns everybody who may sign in, by name, without their passwords' hashes.
func (s *Store) Accounts(ctx context.Context) (list []access.Account, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT name, tier FROM account ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a access.Account
		if err := rows.Scan(&a.Name, &a.Tier); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// ChangeAccount gives an account another tier or password. Its sessions end: they were begun with what it had before.
func (s *Store) ChangeAccount(ctx context.Context, a access.Account) error {
	return s.endingSessions(ctx, a.Name, "UPDATE account SET tier = ?, password = ? WHERE name = ?", int(a.Tier), a.PasswordHash, a.Name)
}

// RemoveAccount takes an account away, with its sessions.
func (s *Store) RemoveAccount(ctx context.Context, name string) error {
	return s.endingSessions(ctx, name, "DELETE FROM account WHERE name = ?", name)
}

// endingSessions changes the account of that name by a statement, and ends its sessions.
func (s *Store) endingSessions(ctx context.Context, name, statement string, args ...any) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM session WHERE account = ?", name); err != nil {
			return err
		}
		res, err := tx.Exec(statement, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		return nil
	})
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
