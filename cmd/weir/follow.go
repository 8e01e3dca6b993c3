package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir/internal/exposure"
	"weir/internal/ledger"
)

// followEvery is how often a running guard brings its exposure index up to date. Nothing waits for it: a question reads what
// is missing from the ledger itself.
const followEvery = time.Second

// follower keeps the exposure index of a running guard.
type follower struct {
	index *exposure.Index
	stop  context.CancelFunc
	done  chan struct{} // closed when the goroutine has returned
}

// follow starts to follow the ledger. An index that cannot be kept does not stop the guard: it is logged, and tried again.
func follow(ledgerDir string, log *slog.Logger) (*follower, error) {
	x, err := exposure.Open(exposure.Options{Ledger: ledger.Dir(ledgerDir), Dir: indexDir(ledgerDir)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{x, cancel, make(chan struct{})}
	go func() {
		defer close(f.done)
		ticks := time.NewTicker(followEvery)
		defer ticks.Stop()
		for failed := ""; ; {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			err := errors.Join(x.Refresh(ctx), x.Damage())
			if err == nil || ctx.Err() != nil {
				failed = ""
				continue
			}
			if text := err.Error(); text != failed { // once for each cause
				failed = text
				log.Error("the exposure index does not follow the ledger", "error", text)
			}
		}
	}()
	return f, nil
}

// Close waits for the goroutine.
func (f *follower) Close() error {
	f.stop()
	<-f.done
	return f.index.Close()
}
