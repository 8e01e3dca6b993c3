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
	"strconv"
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
	mux.HandleFunc("POST /grant", func(w http.ResponseWriter, r *http.Request) {
		people, _ := strconv.Atoi(r.FormValue("subjects"))
		lasts, _ := time.ParseDuration(r.FormValue("for")) // what cannot be read is zero, which Grant refuses
		writeControl(w, r, g, granting(people, lasts)(g))
	})
	mux.HandleFunc("POST /accept-clock", func(w http.ResponseWriter, r *http.Request) {
		changed, err := g.AcceptClock()
		answer := controlAnswer{Principal: "the clock", Changed: changed}
		if err != nil {
			answer.Error = err.Error()
			w.WriteHeader(http.StatusConflict)
		}
		json.NewEncoder(w).Encode(answer)
	})
	return mux
}

// granting is Guard.Grant as an act on a principal.
func granting(people int, lasts time.Duration) func(*guard.Guard) func(guard.Principal) (bool, error) {
	return func(g *guard.Guard) func(guard.Principal) (bool, error) {
		return func(who guard.Principal) (bool, error) {
			_, err := g.Grant(who, people, lasts)
			return err == nil, err
		}
	}
}

// adminHandler says how the guard is, to whoever balances load or watches. It tells nothing about anybody.
func adminHandler(g *guard.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := g.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
		if g.ClockHeld() {
			fmt.Fprintln(w, "the wall clock is far from the ledger's time, so no quota expires by it: set it right, or run weir ledger accept-clock")
		}
	})
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
	if err := c.parse(1, -1); err != nil {
		return err
	}
	return c.contain("block", nil, func(g *guard.Guard) act { return g.Block }, "blocked", "was blocked already")
}

func unblockCommand(c *call) error {
	if err := c.parse(1, -1); err != nil {
		return err
	}
	return c.contain("unblock", nil, func(g *guard.Guard) act { return g.Unblock }, "unblocked", "was not blocked")
}

func grantCommand(c *call) error {
	subjects := c.flags.Int("subjects", 0, "how many `people` more than its quotas, in each of their windows")
	lasts := c.flags.Duration("for", 0, "how long the exception lasts, such as 24h")
	if err := c.parse(1, -1); err != nil {
		return err
	}
	if *subjects < 1 || *lasts < time.Second {
		return usageError{errors.New("give -subjects and -for")}
	}
	form := url.Values{"subjects": {fmt.Sprint(*subjects)}, "for": {lasts.String()}}
	done := fmt.Sprintf("may receive %d people more than its quotas for %s", *subjects, *lasts)
	return c.contain("grant", form, granting(*subjects, *lasts), done, "has that grant")
}

// act is done to a principal by a guard; it reports whether that changed anything.
type act = func(guard.Principal) (bool, error)

// contain asks the running owner, or where there is none writes the entry itself.
func (c *call) contain(verb string, form url.Values, do func(*guard.Guard) act, done, already string) error {
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
		if form == nil {
			form = url.Values{}
		}
		form.Set("principal", name)
		answer, err = askOwner(c, cfg.ledgerDir(), verb, form)
	} else {
		answer, err = c.withoutOwner(cfg, ruling{}, func(g *guard.Guard) (controlAnswer, error) { return actOn(g, name, do(g)) })
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

func askOwner(ctx context.Context, dir, verb string, form url.Values) (answer controlAnswer, err error) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, controlName))
	}}}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://guard/"+verb+"?"+form.Encode(), nil)
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
func (c *call) withoutOwner(cfg *config, decided ruling, do func(*guard.Guard) (controlAnswer, error)) (answer controlAnswer, err error) {
	opts, _, err := cfg.guardOptions()
	if err != nil {
		return answer, err
	}
	if fresh, err := withoutLedger(cfg.ledgerDir()); err != nil || fresh {
		return answer, errors.Join(err, fmt.Errorf("no ledger in %s: start the guard first", cfg.ledgerDir()))
	}
	side := &guardSide{addr: "nothing"}
	if err := side.open(cfg, opts, decided); err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, side.closeLedger()) }()
	return do(side.guard)
}
