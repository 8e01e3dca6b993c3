package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir"
	"weir/internal/guard"
	"weir/internal/ledger"
	"weir/internal/proxy"
)

// guardSide is a running guard: its ledger with the lock on it, its proxy and its control socket.
type guardSide struct {
	guard    *guard.Guard
	keyring  *weir.Keyring
	addr     string
	lock     *ledger.Lock
	kept     *keptCheckpoint // nil if none is kept
	follower *follower       // of the exposure index
	servers  []*http.Server
	failures chan error
	upkeep   sync.WaitGroup // what runs until stop is closed
	stop     chan struct{}
}

// ruling is what the operator decided before this start.
type ruling struct {
	rollback bool // go on though the checkpoint kept elsewhere says that entries are missing
	takeOver bool // own the folder though another process holds its lock
}

// startGuard brings up the guard that the config names. It checks everything that can be checked first and creates nothing
// until then: the config, the key lists, the port; then the key and the ledger.
func startGuard(cfg *config, log *slog.Logger) (*guardSide, error) {
	return startGuardAs(cfg, log, ruling{})
}

// startGuardAs is startGuard after an operator's decision.
func startGuardAs(cfg *config, log *slog.Logger, decided ruling) (*guardSide, error) {
	opts, upstream, err := cfg.guardOptions()
	if err != nil {
		return nil, err
	}
	if owned, err := ledger.Owned(cfg.ledgerDir()); err != nil {
		return nil, err
	} else if owned != nil && !decided.takeOver {
		return nil, owned
	}
	listener, err := net.Listen("tcp", cfg.Guard.Listen)
	if err != nil {
		return nil, cfg.errorf("guard: cannot listen on %q: %w: choose another address, or stop what listens there", cfg.Guard.Listen, cause(err))
	}
	side := &guardSide{addr: listener.Addr().String(), failures: make(chan error, 3)}
	if err := side.open(cfg, opts, decided); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	control, err := listenControl(cfg.ledgerDir())
	if err != nil {
		return nil, errors.Join(err, listener.Close(), side.closeLedger())
	}
	if cfg.Guard.Admin != "" {
		admin, err := net.Listen("tcp", cfg.Guard.Admin)
		if err != nil {
			return nil, errors.Join(cfg.errorf("guard: admin: cannot listen on %q: %w", cfg.Guard.Admin, cause(err)), listener.Close(), control.Close(), side.closeLedger())
		}
		side.serve(admin, adminHandler(side.guard))
	}
	if side.follower, err = follow(cfg.ledgerDir(), log); err != nil {
		return nil, errors.Join(err, listener.Close(), control.Close(), side.closeLedger())
	}
	handler := proxy.New(proxy.Options{Guard: side.guard, Upstream: upstream, Log: log})
	side.serve(listener, handler)
	side.serve(control, controlHandler(side.guard))
	retain, err := cfg.retain()
	if err != nil {
		return nil, err // guardOptions has checked it
	}
	side.keepUp(log, retain)
	return side, nil
}

// upkeepInterval is how often closed volumes are made compact, and old ones retired.
const upkeepInterval = 10 * time.Minute

// keepUp starts what goes on beside the requests.
func (s *guardSide) keepUp(log *slog.Logger, retain time.Duration) {
	if s.guard.ClockHeld() {
		log.Warn("the wall clock is far from the ledger's time, so no quota expires by it: set it right, or run weir ledger accept-clock")
	}
	s.upkeep.Go(func() {
		// The start read the last volume only; damage in the others stops the guard too, a little later.
		if err := s.guard.CheckClosed(); err != nil && !errors.Is(err, ledger.ErrClosed) {
			log.Error("the ledger cannot be continued", "error", err)
		}
		ticks := time.NewTicker(upkeepInterval)
		defer ticks.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-ticks.C: // not at once: a start has enough to do
			}
			if err := s.guard.Upkeep(retain); err != nil && !errors.Is(err, ledger.ErrClosed) {
				log.Warn("old volumes of the ledger stay as they are", "error", err)
			}
		}
	})
	if s.kept != nil {
		s.upkeep.Go(func() { s.kept.follow(s.stop, s.guard.Checkpoint, log) })
	}
}

// open takes the lock and opens the ledger with its key.
func (s *guardSide) open(cfg *config, opts guard.Options, decided ruling) error {
	s.stop = make(chan struct{})
	dir := cfg.ledgerDir()
	fresh, err := withoutLedger(dir)
	if err != nil {
		return err
	}
	// A key is made only where there is no ledger yet; a ledger without its key cannot be continued.
	load := func() (*weir.Keyring, error) { return guard.LoadKey(cfg.keyFile()) }
	if _, err := os.Stat(cfg.keyFile()); fresh && errors.Is(err, os.ErrNotExist) {
		load = func() (*weir.Keyring, error) { return guard.CreateKey(cfg.keyFile()) }
	} else if opts.Keyring, err = load(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	acquire := ledger.AcquireLock
	if decided.takeOver {
		acquire = ledger.TakeOver
	}
	s.lock, err = acquire(dir, fmt.Sprintf("weir, process %d, listening on %s since %s", os.Getpid(), s.addr, time.Now().UTC().Format(time.RFC3339)))
	if err != nil {
		return err
	}
	if opts.Keyring == nil {
		if opts.Keyring, err = load(); err != nil {
			return errors.Join(err, s.lock.Release())
		}
	}
	if cfg.Guard.Checkpoints != "" {
		s.kept, err = openKept(cfg.file(cfg.Guard.Checkpoints), cfg.guardName(), opts.Keyring)
		if err != nil {
			return errors.Join(cfg.errorf("guard: checkpoints: %w", err), s.lock.Release())
		}
		opts.Log.Kept = s.kept.last
	}
	opts.Ledger, opts.Log.Owned = ledger.Dir(dir), s.lock.Held
	opts.Log.AcceptRollback, opts.Log.TakeOver = decided.rollback, decided.takeOver
	if s.guard, err = guard.Open(opts); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", dir, err), s.lock.Release())
	}
	s.keyring = opts.Keyring
	return nil
}

// withoutLedger reports whether the folder is missing or holds no volume.
func withoutLedger(dir string) (bool, error) {
	volumes, err := filepath.Glob(filepath.Join(dir, "*.weir"))
	return len(volumes) == 0, err
}

func (s *guardSide) serve(l net.Listener, h http.Handler) {
	srv := newServer(h)
	s.servers = append(s.servers, srv)
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failures <- err
		}
	}()
}

// newServer is a server with limits on what a caller may make it wait for or hold.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
}

// Close lets exchanges that are under way end, then closes the ledger and lets go of its lock.
func (s *guardSide) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, srv := range s.servers {
		errs = append(errs, srv.Shutdown(ctx))
	}
	return errors.Join(append(errs, s.follower.Close(), s.closeLedger())...)
}

func (s *guardSide) closeLedger() error {
	close(s.stop)
	err := s.guard.Close()
	s.upkeep.Wait()
	if s.kept != nil {
		err = errors.Join(err, s.kept.keep(s.guard.Checkpoint()))
	}
	return errors.Join(err, s.lock.Release())
}

// cause is the innermost error, which says what the system said.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
