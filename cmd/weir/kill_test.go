package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/examples/carrier"
	"weir/internal/auditor"
)

// lines reads lines as they come and keeps them.
type lines struct {
	scanner *bufio.Scanner
	mu      sync.Mutex
	kept    strings.Builder // guarded by mu
}

func newLines(r io.Reader) *lines { return &lines{scanner: bufio.NewScanner(r)} }

func (l *lines) next() (string, bool) {
	if !l.scanner.Scan() {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(&l.kept, l.scanner.Text())
	return l.scanner.Text(), true
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String()
}

// drain reads to the end, so that the writer is never held up.
func (l *lines) drain() {
	for ok := true; ok; _, ok = l.next() {
	}
}

// build makes the real binary.
func build(t *testing.T, tags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// kills is how often the guard is killed in the test.
const kills = 50

// P1 against the kernel's view of a crash: the process is killed at a random moment of a scrape, again and again, and after
// each restart every account that the client received is in the ledger. A build that releases before it writes does not
// pass, which shows that the test can fail.
func TestKilledGuardLosesNothing(t *testing.T) {
	rounds := kills
	if testing.Short() {
		rounds = 8
	} else if long() {
		rounds = 4 * kills
	}
	if round, missing, received := killRounds(t, build(t, ""), rounds); missing > 0 {
		t.Errorf("after kill %d: %d of %d received accounts are not in the ledger", round, missing, received)
	} else {
		t.Logf("%d kills, %d received accounts, all of them in the ledger", rounds, received)
	}
}

func TestControlThatReleasesEarlyIsCaught(t *testing.T) {
	round, missing, received := killRounds(t, build(t, "weir_release_early"), kills)
	if missing == 0 {
		t.Errorf("%d kills of a guard that releases before it writes show nothing: the test above proves nothing", kills)
	}
	t.Logf("kill %d: %d of %d received accounts are not in the ledger", round, missing, received)
}

var accountNumber = regexp.MustCompile(`"account_number":"(\d+)"`)

// killRounds kills a serving weir that often, and stops at the first round that has received accounts missing.
func killRounds(t *testing.T, binary string, rounds int) (round, missing, received int) {
	w := newWorkplace(t)
	s := &scrape{got: map[string]bool{}}
	for round = 1; round <= rounds; round++ {
		cmd := exec.Command(binary, "serve", "-config", w.config)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out := newLines(stderr)
		address := ""
		for address == "" {
			line, ok := out.next()
			if !ok {
				t.Fatalf("round %d: weir serve ended: %s", round, out.all())
			}
			if m := listening.FindStringSubmatch(line); m != nil && m[1] == "guard" {
				address = m[2]
			}
		}
		// It has recovered from the kill before: what was received until then must be in the ledger.
		if missing = s.missing(t, w); missing > 0 {
			cmd.Process.Kill()
			cmd.Wait()
			return round, missing, len(s.got)
		}
		go out.drain()
		timer := time.AfterFunc(time.Duration(5+rand.IntN(100))*time.Millisecond, func() { cmd.Process.Kill() })
		s.run(address)
		timer.Stop()
		cmd.Wait() // its status is that it was killed
	}
	s.verify(t, w, binary)
	return rounds, s.missing(t, w), len(s.got)
}

// scrape is a client that walks through the carrier's customers until the guard is gone.
type scrape struct {
	index atomic.Int64
	mu    sync.Mutex
	got   map[string]bool // guarded by mu while run runs
}

func (s *scrape) run(address string) {
	var wg sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	for worker := range 8 {
		wg.Go(func() {
			for {
				from := int(s.index.Add(10))
				path := "/v1/customers/" + carrier.At(from).AccountNumber
				if worker%4 == 0 {
					path = "/v1/customers?limit=10&after=" + carrier.At(from).AccountNumber
				}
				req, err := http.NewRequest("GET", address+path, nil)
				if err != nil {
					panic(err) // the address is the guard's own
				}
				req.Header.Set("X-Api-Key", testKey)
				res, err := transport.RoundTrip(req)
				if err != nil {
					return
				}
				body, err := io.ReadAll(res.Body) // what came before an error counts too
				res.Body.Close()
				s.mu.Lock()
				for _, m := range accountNumber.FindAllSubmatch(body, -1) {
					s.got[string(m[1])] = true
				}
				s.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

// missing counts the received accounts that the ledger does not hold.
func (s *scrape) missing(t *testing.T, w *workplace) (n int) {
	t.Helper()
	if len(s.got) == 0 {
		return 0
	}
	exposed := map[string]bool{}
	for line := range strings.Lines(must(t, "exposure", "-config", w.config, "-list", "-format", "csv")) {
		name, _, _ := strings.Cut(line, ",")
		exposed[name] = true
	}
	var keys strings.Builder
	for account := range s.got {
		fmt.Fprintln(&keys, account)
	}
	status, names, errs := weirRun(t, keys.String(), "pseudonym", "-config", w.config, "-")
	if status != 0 {
		t.Fatal(errs)
	}
	for name := range strings.Lines(names) {
		if !exposed[strings.TrimSpace(name)] {
			n++
		}
	}
	return n
}

// verify checks that what was killed so often is whole: a torn tail is sealed, never hidden.
func (s *scrape) verify(t *testing.T, w *workplace, binary string) {
	t.Helper()
	w.serve().stop() // recovers from the last kill
	out, err := exec.Command(binary, "ledger", "verify", "-config", w.config).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), ", ok\n") {
		t.Errorf("%v: %s", err, out)
	}
	vkey := regexp.MustCompile(`guard\.example\.com\+\S+`).FindString(must(t, "ledger", "stat", "-config", w.config))
	report, err := auditor.Run(os.DirFS(filepath.Join(w.dir, "data", "guard")), auditor.Options{Key: vkey})
	if err != nil || len(report.Faults) > 0 || report.Signed != report.Volumes-unopened(t, w) {
		t.Errorf("the auditor: %v, %+v", err, report)
	}
	if len(s.got) < 100 {
		t.Errorf("only %d accounts received: the test shows nothing", len(s.got))
	}
}

// unopened counts the volumes whose owner was killed before their opening was whole.
func unopened(t *testing.T, w *workplace) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "data", "guard", "*.weir"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) < 8 || string(raw[:7]) != "weirled" && string(raw[:7]) != "weircmp" { // as it was written, or compact
			n++
		}
	}
	return n
}
