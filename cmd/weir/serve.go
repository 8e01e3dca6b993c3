package main

import (
	"errors"
	"fmt"
	"log/slog"
)

// serve runs what the config names until it is told to stop, or until a part of it fails.
func serve(c *call) (err error) {
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
	if cfg.Guard != nil {
		side, err := startGuard(cfg, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, side.Close()) }()
		guardFailed = side.failures
		fmt.Fprintf(c.stderr, "weir: guard on http://%s before %s\n", side.addr, cfg.Guard.Upstream)
	}
	if cfg.Register != nil {
		side, err := startRegister(c, cfg, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, side.Close()) }()
		registerFailed = side.failures
		fmt.Fprintf(c.stderr, "weir: register on http://%s\n", side.addr)
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
