package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"weir/internal/access"
	"weir/internal/store"
)

// withAccounts opens the register for a command about accounts that are there.
func (c *call) withAccounts(do func(*store.Store) error) (err error) {
	s, err := c.openRegister()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

// parseTier reads a tier that an account can have.
func parseTier(name string) (access.Tier, error) {
	tier, err := access.ParseTier(name)
	if err != nil || tier == access.Public {
		return tier, usageError{fmt.Errorf("tier %q is none of member, responder and editor", name)}
	}
	return tier, nil
}

func userAddCommand(c *call) (err error) {
	tierName := c.flags.String("tier", "member", "member, responder or editor")
	if err := c.parse(1, 1); err != nil {
		return err
	}
	tier, err := parseTier(*tierName)
	if err != nil {
		return err
	}
	cfg, err := c.loadRegister()
	if err != nil {
		return err
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

func userListCommand(c *call) error {
	if err := c.parse(0, 0); err != nil {
		return err
	}
	return c.withAccounts(func(s *store.Store) error {
		list, err := s.Accounts(c)
		for _, a := range list {
			fmt.Fprintf(c.stdout, "%-9s %s\n", a.Tier, a.Name)
		}
		return err
	})
}

func userPasswordCommand(c *call) error {
	if err := c.parse(1, 1); err != nil {
		return err
	}
	return c.changeAccount(c.args[0], func(a *access.Account) (done string, err error) {
		password, err := c.readPassword()
		if err != nil {
			return "", err
		}
		*a, err = access.NewAccount(a.Name, password, a.Tier)
		return "has another password, and must sign in again", err
	})
}

func userTierCommand(c *call) error {
	if err := c.parse(2, 2); err != nil {
		return err
	}
	tier, err := parseTier(c.args[1])
	if err != nil {
		return err
	}
	return c.changeAccount(c.args[0], func(a *access.Account) (done string, err error) {
		a.Tier = tier
		return fmt.Sprintf("is %s now, and must sign in again", tier), nil
	})
}

var errNoAccount = errors.New("there is none: weir register user list shows all")

// changeAccount puts what change makes of an account in its place.
func (c *call) changeAccount(name string, change func(*access.Account) (done string, err error)) error {
	return c.withAccounts(func(s *store.Store) error {
		a, err := s.Account(c, name)
		if err == nil && a == nil {
			err = errNoAccount
		}
		done := ""
		if err == nil {
			done, err = change(a)
		}
		if err == nil {
			err = s.ChangeAccount(c, *a)
		}
		if err != nil {
			return fmt.Errorf("account %s: %w", name, err)
		}
		fmt.Fprintf(c.stderr, "weir: %s %s\n", name, done)
		return nil
	})
}

func userRemoveCommand(c *call) error {
	if err := c.parse(1, 1); err != nil {
		return err
	}
	return c.withAccounts(func(s *store.Store) error {
		err := s.RemoveAccount(c, c.args[0])
		if errors.Is(err, store.ErrNotFound) {
			err = errNoAccount
		}
		if err != nil {
			return fmt.Errorf("account %s: %w", c.args[0], err)
		}
		fmt.Fprintf(c.stderr, "weir: %s may not sign in any more\n", c.args[0])
		return nil
	})
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
