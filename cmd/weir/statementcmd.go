package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"weir"
	"weir/internal/exposure"
	"weir/internal/ledger"
)

func statementCommand(c *call) (err error) {
	query := c.queryFlags(false)
	out := c.flags.String("o", "", "the `file` to write")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if *out == "" {
		return usageError{errors.New("-o is missing")}
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	q, err := query(r)
	if err != nil {
		return err
	}
	x, err := r.index(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	msg, err := signStatement(x, r.dir, r.keyring, r.cfg.guardName(), q)
	if err != nil {
		return err
	}
	return writeFile(*out, msg)
}

// makeStatement is for whoever has no index at hand: one is made for it, and removed.
func makeStatement(dir ledger.FS, keyring *weir.Keyring, name string, q exposure.Query) (msg []byte, err error) {
	x, err := exposure.Open(exposure.Options{Ledger: dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := x.Refresh(context.Background()); err != nil {
		return nil, err
	}
	return signStatement(x, dir, keyring, name, q)
}

// signStatement signs the answer and, in it, the checkpoint of the entries that it covers. The whole ledger is read for
// that, and nothing is signed about one that is not as it was written.
func signStatement(x *exposure.Index, dir ledger.FS, keyring *weir.Keyring, name string, q exposure.Query) ([]byte, error) {
	a, err := x.Answer(q)
	if err != nil {
		return nil, err
	}
	if a.Begins > 0 && q.From.IsZero() {
		return nil, fmt.Errorf("the first %d entries of the ledger were retired before the index was made: state a time behind them with -from", a.Begins)
	}
	sum, err := ledger.Read(dir, ledger.ReadOptions{RootAt: &a.Position})
	if err != nil {
		return nil, err
	}
	if len(sum.Faults) > 0 || !sum.RootAtOK {
		fault := fmt.Sprintf("it ends after %d entries", sum.Entries)
		if len(sum.Faults) > 0 {
			fault = sum.Faults[0].String()
		}
		return nil, fmt.Errorf("the ledger is damaged (%s): a statement about part of it is not signed", fault)
	}
	signer, err := keyring.Signer(name)
	if err != nil {
		return nil, err
	}
	checkpoint, err := weir.Checkpoint{Origin: name, Size: a.Position, Root: sum.RootAt}.Sign(signer)
	if err != nil {
		return nil, err
	}
	s := a.Statement(name, time.Now(), string(checkpoint))
	s.KeyID = hex.EncodeToString(sum.KeyID[:])
	return s.Sign(signer)
}
