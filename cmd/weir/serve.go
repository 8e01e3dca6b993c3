package main

import (
	"errors"
	"fmt"
	"log/slog"
)

// serve runs what the config names until it is told to stop, or until a part of it fails.
func serve(c *call) (err error) {
	takeOver := c.flags.Bool("take-over", false, "own the ledger though another process, which hangs, holds its lock: that one can release nothing more")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	cfg, err := c.loadConfig()
	if err != nil {
		return err
	}
	if cfg.Guard == nil && cfg.Register == nil {
		return cfg.errorf("neither a guard nor a register in it: README.md shows both")
	}
	log := slog.New(slog.NewTextHandler(c.stderr, nil))
	var guardFailed, registerFailed chan error
	var site *registerSide
	if cfg.Register != nil { // before the guard, which makes its key: nothing is made if either address is taken
		if site, err = listenRegister(cfg); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, site.Close()) }()
		registerFailed = site.failures
	}
	if cfg.Guard != nil {
		side, err := startGuardAs(cfg, log, ruling{takeOver: *takeOver})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, side.Close()) }()
		guardFailed = side.failures
		fmt.Fprintf(c.stderr, "weir: guard on http://%s before %s\n", side.addr, cfg.Guard.Upstream)
	}
	if site != nil {
		if err := site.start(c, cfg, log); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "weir: register on http://%s\n", site.addr)
	}
	select {
	case <-c.Done():
		fmt.Fprintln(c.stderr, "weir: stopping: requests under way are finished first")
		return nil
	case err := <-guardFailed:
		return answerNo{fmt.Errorf("guard: %w", err)}
	case err := <-registerFailed:
		return answerNo{fmt.Errorf("register: %w", err)}
	}
}
