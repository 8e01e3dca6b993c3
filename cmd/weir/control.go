package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/guard"
	"weir/internal/ledger"
)

// The control socket lets an operator of this machine, and nobody else, tell a running guard what to do.
const controlName = "control.sock"

// listenControl opens the socket. The caller owns the folder, so a socket that is there already is a dead owner's.
func listenControl(dir string) (net.Listener, error) {
	path := filepath.Join(dir, controlName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w: choose a data folder with a shorter path if it is too long", path, cause(err))
	}
	if err := os.Chmod(path, 0o600); err != nil { // the folder is 0700 already; this says it once more
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// controlAnswer is what the socket says.
type controlAnswer struct {
	Principal string `json:"principal"`
	Changed   bool   `json:"changed"`
	Error     string `json:"error,omitempty"`
}

func controlHandler(g *guard.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /block", func(w http.ResponseWriter, r *http.Request) { writeControl(w, r, g, g.Block) })
	mux.HandleFunc("POST /unblock", func(w http.ResponseWriter, r *http.Request) { writeControl(w, r, g, g.Unblock) })
	return mux
}

func writeControl(w http.ResponseWriter, r *http.Request, g *guard.Guard, act func(guard.Principal) (bool, error)) {
	answer, err := actOn(g, r.FormValue("principal"), act)
	if err != nil {
		answer.Error = err.Error()
		w.WriteHeader(http.StatusConflict)
	}
	json.NewEncoder(w).Encode(answer)
}

func actOn(g *guard.Guard, name string, act func(guard.Principal) (bool, error)) (controlAnswer, error) {
	who, err := g.Resolve(name)
	if err != nil {
		return controlAnswer{}, err
	}
	changed, err := act(who)
	return controlAnswer{Principal: who.Name, Changed: changed}, err
}

func blockCommand(c *call) error {
	return c.contain("block", (*guard.Guard).Block, "blocked", "was blocked already")
}

func unblockCommand(c *call) error {
	return c.contain("unblock", (*guard.Guard).Unblock, "unblocked", "was not blocked")
}

// contain asks the running owner, or where there is none writes the entry itself.
func (c *call) contain(verb string, act func(*guard.Guard, guard.Principal) (bool, error), done, already string) error {
	if err := c.parse(1, -1); err != nil {
		return err
	}
	name := strings.Join(c.args, " ") // a pool's name holds spaces
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
		answer, err = askOwner(c, cfg.ledgerDir(), verb, name)
	} else {
		answer, err = c.withoutOwner(cfg, name, act)
	}
	if err != nil {
		return err
	}
	if !answer.Changed {
		return answerNo{fmt.Errorf("%s %s: nothing to do", answer.Principal, already)}
	}
	fmt.Fprintf(c.stdout, "%s %s\n", answer.Principal, done)
	return nil
}

func askOwner(ctx context.Context, dir, verb, name string) (answer controlAnswer, err error) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, controlName))
	}}}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://guard/"+verb+"?"+url.Values{"principal": {name}}.Encode(), nil)
	if err != nil {
		return answer, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer, fmt.Errorf("the running guard cannot be reached: %w", cause(err))
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("the running guard did not answer: %w", err)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// withoutOwner opens the ledger for the one entry. A ledger must be there: a principal of none cannot be blocked.
func (c *call) withoutOwner(cfg *config, name string, act func(*guard.Guard, guard.Principal) (bool, error)) (answer controlAnswer, err error) {
	opts, _, err := cfg.guardOptions()
	if err != nil {
		return answer, err
	}
	if fresh, err := withoutLedger(cfg.ledgerDir()); err != nil || fresh {
		return answer, errors.Join(err, fmt.Errorf("no ledger in %s: start the guard first", cfg.ledgerDir()))
	}
	side := &guardSide{addr: "nothing"}
	if err := side.open(cfg, opts); err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, side.closeLedger()) }()
	return actOn(side.guard, name, func(p guard.Principal) (bool, error) { return act(side.guard, p) })
}
