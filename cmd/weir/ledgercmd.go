package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"

	"weir"
	"weir/internal/guard"
	"weir/internal/ledger"
)

// verifyCommand needs no key, so it runs on a copy anywhere; a checkpoint that the caller holds is compared where it is given.
func verifyCommand(c *call) error {
	checkpoint := c.flags.String("checkpoint", "", "a `file` with a checkpoint of this ledger to compare it with")
	vkey := c.flags.String("key", "", "the guard's verifier key, as weir ledger stat prints it, where its key file is not at hand")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	cfg, err := c.loadConfig()
	if err != nil {
		return err
	}
	opts := ledger.VerifyOptions{}
	if opts.Known, err = c.verifiers(cfg, *vkey); err != nil {
		return err
	}
	if *checkpoint != "" {
		if opts.Held, err = c.readCheckpoint(opts.Known, *checkpoint); err != nil {
			return err
		}
	}
	dir := cfg.ledgerDir()
	if fresh, err := withoutLedger(dir); err != nil || fresh {
		return errors.Join(err, fmt.Errorf("no ledger in %s: name the config of one with -config", dir))
	}
	live, err := ledger.Owned(dir)
	if err != nil {
		return err
	}
	opts.Live = live != nil
	sum, err := opts.Verify(ledger.Dir(dir))
	if err != nil {
		return err
	}
	verdict := "ok"
	if len(sum.Faults) > 0 {
		verdict = sum.Faults[0].String()
	}
	fmt.Fprintf(c.stdout, "%d entries, %d bytes, root %x, %s\n", sum.Entries, sum.Bytes, sum.Root, verdict)
	if n := len(sum.Faults); n > 0 {
		return answerNo{fmt.Errorf("the ledger is not as it was written (%d faults, the first is above): keep a copy of %s and compare it with your checkpoints", n, dir)}
	}
	return nil
}

// verifiers returns what checks the guard's signatures: the key that was given, or the key file, or nothing (nil).
func (c *call) verifiers(cfg *config, vkey string) (note.Verifiers, error) {
	if vkey != "" {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("-key %q is no verifier key: weir ledger stat prints one", vkey)
		}
		return note.VerifierList(v), nil
	}
	if keyring, err := guard.LoadKey(cfg.keyFile()); err == nil {
		return keyring.Verifiers(), nil
	}
	fmt.Fprintf(c.stderr, "weir: the key is not here, so no signature is checked: give -key\n")
	return nil, nil
}

// readCheckpoint reads a signed checkpoint; its signature is checked where the guard's key is at hand.
func (c *call) readCheckpoint(known note.Verifiers, path string) (*weir.Checkpoint, error) {
	msg, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var cp weir.Checkpoint
	if known != nil {
		cp, err = weir.OpenCheckpoint(msg, known)
	} else {
		cp, err = weir.ParseCheckpoint(string(msg))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &cp, nil
}

func statCommand(c *call) error {
	if err := c.parse(0, 0); err != nil {
		return err
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	kinds := map[string]int{}
	sum, err := ledger.Read(r.dir, ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		switch b := e.Body.(type) {
		case *ledger.Outcome:
			kinds[b.Kind.String()]++
		case *ledger.Block:
			kinds["block"]++
		case *ledger.Unblock:
			kinds["unblock"]++
		}
		return nil
	}})
	if err != nil {
		return err
	}
	vkey, err := r.keyring.VerifierKey(r.cfg.guardName())
	if err != nil {
		return err
	}
	rows := [][]string{
		{"guard", r.cfg.guardName()}, {"verifier key", vkey}, {"volumes", fmt.Sprint(sum.Volumes)}, {"entries", fmt.Sprint(sum.Entries)},
		{"bytes", fmt.Sprint(sum.Bytes)}, {"sealed torn bytes", fmt.Sprint(sum.Sealed)}, {"last entry", stamp(sum.Last)},
	}
	for _, k := range []string{"disclosed", "none found", "refused", "gap", "block", "unblock"} {
		rows = append(rows, []string{k, fmt.Sprint(kinds[k])})
	}
	return errors.Join(writeFigures(c.stdout, "table", rows), damaged(sum))
}

func checkpointCommand(c *call) error {
	if err := c.parse(0, 0); err != nil {
		return err
	}
	r, err := c.openReading()
	if err != nil {
		return err
	}
	sum, err := ledger.Read(r.dir, ledger.ReadOptions{})
	if err != nil {
		return err
	}
	if err := damaged(sum); err != nil {
		return err
	}
	signer, err := r.keyring.Signer(r.cfg.guardName())
	if err != nil {
		return err
	}
	msg, err := weir.Checkpoint{Origin: r.cfg.guardName(), Size: sum.Entries, Root: sum.Root}.Sign(signer)
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(msg)
	return err
}

// acceptRollbackCommand opens the ledger once in spite of the checkpoint kept elsewhere, which enters the decision.
func acceptRollbackCommand(c *call) error {
	if err := c.parse(0, 0); err != nil {
		return err
	}
	cfg, err := c.loadConfig()
	if err != nil {
		return err
	}
	if cfg.Guard == nil || cfg.Guard.Checkpoints == "" {
		return cfg.errorf("no checkpoint is kept elsewhere (guard: checkpoints), so there is nothing to accept")
	}
	_, err = c.withoutOwner(cfg, ruling{rollback: true}, func(*guard.Guard) (controlAnswer, error) { return controlAnswer{}, nil })
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, "recorded: the ledger goes on from what it holds")
	return err
}

// acceptClockCommand tells the running guard, or where there is none enters it by itself.
func acceptClockCommand(c *call) error {
	if err := c.parse(0, 0); err != nil {
		return err
	}
	cfg, err := c.loadConfig()
	if err != nil {
		return err
	}
	owned, err := ledger.Owned(cfg.ledgerDir())
	if err != nil {
		return err
	}
	var answer controlAnswer
	if owned != nil {
		answer, err = askOwner(c, cfg.ledgerDir(), "accept-clock", nil)
	} else {
		answer, err = c.withoutOwner(cfg, ruling{}, func(g *guard.Guard) (a controlAnswer, err error) {
			a.Changed, err = g.AcceptClock()
			return a, err
		})
	}
	if err != nil {
		return err
	}
	if !answer.Changed {
		return answerNo{errors.New("the wall clock is believed already: nothing to do")}
	}
	_, err = fmt.Fprintln(c.stdout, "recorded: the wall clock's time is the ledger's")
	return err
}
