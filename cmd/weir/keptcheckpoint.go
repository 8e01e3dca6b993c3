package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/internal/ledger"
)

// keptInterval is how often the checkpoint kept elsewhere follows the ledger: so much of it can be set back unnoticed.
const keptInterval = time.Second

// keptCheckpoint is a copy of the ledger's last checkpoint in another place. A ledger that was set back to an older copy
// lacks entries of it. One goroutine at a time uses it.
type keptCheckpoint struct {
	path    string
	name    string
	keyring *weir.Keyring
	last    *weir.Checkpoint // as read or written; nil if there is none
}

// openKept reads the checkpoint that is kept in the folder, which must exist: where it was not mounted, a start without it
// would check nothing.
func openKept(dir, name string, keyring *weir.Keyring) (*keptCheckpoint, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, errors.Join(fmt.Errorf("%s is no folder: make it, in another place than the ledger", dir), err)
	}
	k := &keptCheckpoint{path: filepath.Join(dir, fmt.Sprintf("%x.checkpoint", keyring.ID())), name: name, keyring: keyring}
	msg, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	cp, err := weir.OpenCheckpoint(msg, keyring.Verifiers())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.path, err)
	}
	k.last = &cp
	return k, nil
}

// keep writes a checkpoint in place of the last one, durably.
func (k *keptCheckpoint) keep(cp weir.Checkpoint) error {
	cp.Origin = k.name
	if k.last != nil && *k.last == cp {
		return nil
	}
	signer, err := k.keyring.Signer(k.name)
	if err != nil {
		return err
	}
	msg, err := cp.Sign(signer)
	if err != nil {
		return err
	}
	next := k.path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(msg); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, k.path); err != nil {
		return err
	}
	if err := ledger.Dir(filepath.Dir(k.path)).SyncDir(); err != nil {
		return err
	}
	k.last = &cp
	return nil
}

// follow keeps the newest checkpoint until stop is closed.
func (k *keptCheckpoint) follow(stop <-chan struct{}, newest func() weir.Checkpoint, log *slog.Logger) {
	ticks := time.NewTicker(keptInterval)
	defer ticks.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticks.C:
			if err := k.keep(newest()); err != nil {
				log.Warn("the checkpoint elsewhere cannot be written: a ledger that is set back now would not be noticed", "error", err)
			}
		}
	}
}
