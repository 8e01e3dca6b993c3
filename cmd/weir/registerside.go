package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/term"

	"weir"
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
	s.server = newServer(register.New(register.Options{Store: s.store, Log: log}))
	go func() {
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failures <- err
		}
	}()
	return nil
}

// fill reads the built-in records into a register that has no incident.
func fill(ctx context.Context, s *store.Store) error {
	views, err := s.Incidents(ctx, access.Reader{Tier: access.Editor})
	if err != nil || len(views) > 0 {
		return err
	}
	set, err := incident.ReadRecords(records.Files)
	if err != nil {
		return err
	}
	_, err = s.Import(ctx, set)
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

// loadRegister reads the config of a command that needs a register.
func (c *call) loadRegister() (*config, error) {
	cfg, err := c.loadConfig()
	if err == nil && cfg.Register == nil {
		return nil, cfg.errorf("no register in it: this command needs one")
	}
	return cfg, err
}

// importCommand reads everything before it writes anything. The register may be running: both use the same file.
func importCommand(c *call) (err error) {
	if err := c.parse(0, -1); err != nil {
		return err
	}
	cfg, err := c.loadRegister()
	if err != nil {
		return err
	}
	known, err := cfg.guards()
	if err != nil {
		return err
	}
	var sets []*incident.Set
	var errs []error
	for _, path := range c.args {
		set, err := readImport(path, known)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		sets = append(sets, set)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(c.args) == 0 {
		set, err := incident.ReadRecords(records.Files)
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	s, err := store.Open(cfg.registerFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := fill(c, s); err != nil {
		return err
	}
	for i, set := range sets {
		added, err := s.Import(c, set)
		if err != nil {
			if i > 0 {
				err = fmt.Errorf("%w: the %d arguments before this one are imported", err, i)
			}
			return err
		}
		for _, r := range set.Records {
			fmt.Fprintln(c.stdout, r.ID)
		}
		fmt.Fprintf(c.stderr, "weir: %d new claims in %d incidents\n", added, len(set.Records))
	}
	return nil
}

// maxStatement is far above what a statement can need.
const maxStatement = 4 << 20

// readImport reads a signed statement, a folder of records, or one record of such a folder.
func readImport(path string, known note.Verifiers) (*incident.Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if info.IsDir() {
		return incident.ReadRecords(os.DirFS(path))
	}
	if filepath.Ext(path) == ".yaml" {
		set, err := incident.ReadRecords(os.DirFS(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		id := strings.TrimSuffix(filepath.Base(path), ".yaml")
		for _, r := range set.Records {
			if r.ID == id {
				set.Records = []incident.Record{r}
				return set, nil
			}
		}
		return nil, fmt.Errorf("holds no incident with the id %s: a record's file bears its id", id)
	}
	if info.Size() > maxStatement {
		return nil, fmt.Errorf("%d bytes are too many for a statement", info.Size())
	}
	msg, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return readStatement(msg, known)
}

// readStatement opens a guard's statement as a draft.
func readStatement(msg []byte, known note.Verifiers) (*incident.Set, error) {
	st, err := weir.OpenStatement(msg, known)
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return nil, errors.New("signed by no guard that the config knows: put its verifier key, which weir ledger stat prints, under register.guards")
	}
	if err != nil {
		return nil, fmt.Errorf("no signed statement, and no folder of records: %w", err)
	}
	return incident.FromStatement(st, msg), nil
}

func userAddCommand(c *call) (err error) {
	tierName := c.flags.String("tier", "member", "member, responder or editor")
	if err := c.parse(1, 1); err != nil {
		return err
	}
	cfg, err := c.loadRegister()
	if err != nil {
		return err
	}
	tier, err := access.ParseTier(*tierName)
	if err != nil || tier == access.Public {
		return usageError{fmt.Errorf("-tier %q is none of member, responder and editor", *tierName)}
	}
	password, err := c.readPassword()
	if err != nil {
		return err
	}
	account, err := access.NewAccount(c.args[0], password, tier)
	if err != nil {
		return err
	}
	s, err := store.Open(cfg.registerFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.AddAccount(c, account); err != nil {
		return fmt.Errorf("account %s: %w", account.Name, err)
	}
	fmt.Fprintf(c.stderr, "weir: %s may sign in as %s\n", account.Name, tier)
	return nil
}

// readPassword reads a line of standard input; on a terminal it asks for it and does not show it.
func (c *call) readPassword() (string, error) {
	var line []byte
	var err error
	if f, ok := c.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.stderr, "password: ")
		line, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.stderr)
	} else {
		line, err = io.ReadAll(io.LimitReader(c.stdin, 1<<10))
		line, _, _ = bytes.Cut(line, []byte("\n"))
	}
	return strings.TrimSuffix(string(line), "\r"), err
}
