package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"weir/internal/access"
	"weir/internal/incident"
	"weir/internal/register"
	"weir/internal/store"
	"weir/records"
)

// registerSide is a register: from listenRegister on it holds its address, from start on it answers there.
type registerSide struct {
	addr     string
	listener net.Listener
	store    *store.Store
	server   *http.Server
	failures chan error
}

// listenRegister checks what can be checked of the register that the config names, its address among it, and creates nothing.
func listenRegister(cfg *config) (*registerSide, error) {
	if _, err := cfg.guards(); err != nil {
		return nil, err
	}
	if _, err := cfg.publicURL(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Register.Listen)
	if err != nil {
		return nil, cfg.errorf("register: cannot listen on %q: %w: choose another address, or stop what listens there", cfg.Register.Listen, cause(err))
	}
	return &registerSide{addr: listener.Addr().String(), listener: listener, failures: make(chan error, 1)}, nil
}

// start opens the store and serves it. An empty register begins with the built-in records.
func (s *registerSide) start(ctx context.Context, cfg *config, log *slog.Logger) (err error) {
	if s.store, err = store.Open(cfg.registerFile()); err != nil {
		return err
	}
	if err := fill(ctx, s.store); err != nil {
		return err
	}
	public, err := cfg.publicURL()
	if err != nil {
		return err
	}
	s.server = newServer(register.New(register.Options{Store: s.store, Log: log, PublicURL: public}))
	go func() {
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failures <- err
		}
	}()
	return nil
}

// fill reads the built-in records into a register that has no incident.
func fill(ctx context.Context, s *store.Store) error {
	views, _, err := s.List(ctx, access.Reader{Tier: access.Editor}, store.Query{Limit: 1})
	if err != nil || len(views) > 0 {
		return err
	}
	set, problems := incident.ReadRecords(records.Files)
	if len(problems) > 0 {
		return incident.Join(problems)
	}
	_, err = s.Import(ctx, set, store.Who{Author: "weir", Reason: "the built-in records"}, false)
	return err
}

// Close lets requests that are under way end, then closes the store.
func (s *registerSide) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Shutdown(ctx)) // closes the listener
	} else {
		errs = append(errs, s.listener.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

// guards returns the verifiers of the guards whose statements the register takes.
func (cfg *config) guards() (note.Verifiers, error) {
	var known []note.Verifier
	for _, key := range cfg.Register.Guards {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, cfg.errorf("register: guards: %q is no verifier key: weir ledger stat prints a guard's", key)
		}
		known = append(known, v)
	}
	return note.VerifierList(known...), nil
}

// publicURL returns where readers reach the register through a proxy; nil if there is none.
func (cfg *config) publicURL() (*url.URL, error) {
	if cfg.Register.PublicURL == "" {
		return nil, nil
	}
	u, err := url.Parse(cfg.Register.PublicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, cfg.errorf("register: public_url: %q is no address such as https://register.example.com; the register needs a host name of its own", cfg.Register.PublicURL)
	}
	return u, nil
}

// loadRegister reads the config of a command that needs a register.
func (c *call) loadRegister() (*config, error) {
	cfg, err := c.loadConfig()
	if err == nil && cfg.Register == nil {
		return nil, cfg.errorf("no register in it: this command needs one")
	}
	return cfg, err
}
