package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/sumdb/note"

	"weir"
	"weir/examples/carrier"
	"weir/internal/access"
	"weir/internal/exposure"
	"weir/internal/ledger"
	"weir/internal/store"
)

// The demo's figures: how much its callers ask for, and what the guard lets one of them have.
const (
	demoQuota   = 500
	demoPartner = 40
	demoScrape  = 1_000 // more than the quota, and a fraction of the customers
	demoLists   = 200   // of these, how many it asks for by lists
	demoPage    = 25
)

const demoConfig = `# The demo's config. It works with every other command while the demo is up, for example:
#   weir exposure -config THIS-FILE
data: data
guard:
  name: guard.examplecell.example
  listen: 127.0.0.1:0
  upstream: %s
  principal:
    - {header: X-Api-Key, keys: keys.txt}
  routes:
    - match: GET /v1/customers/{account}
      records: ""
      subject: /account_number
      unit: account
      classes: {/name: name, /email: email, /phone: phone, /birth_date: birth_date, /billing_address: postal_address, /plan: plan}
    - match: GET /v1/customers
      records: /items/*
      subject: /account_number
      unit: account
      classes: {/name: name, /email: email, /phone: phone, /birth_date: birth_date, /billing_address: postal_address, /plan: plan}
      over: cut
  unmatched: refuse
  quotas:
    - {principal: "*", subjects: %d, per: 24h}
    - {principal: unverified, subjects: 50, per: 24h}
register:
  listen: 127.0.0.1:0
`

// demoReport is what -json prints.
type demoReport struct {
	PeopleRequested       int            `json:"people_requested"`
	PeopleReleased        int            `json:"people_released"`
	Quota                 int            `json:"quota"`
	Blocked               bool           `json:"blocked"`
	SecondsToContainment  float64        `json:"seconds_to_containment"`
	AffectedPeople        int            `json:"affected_people"`
	AffectedByClass       map[string]int `json:"affected_by_class"`
	NoneFound             []string       `json:"none_found"`
	Coverage              float64        `json:"coverage"`
	ExposureEqualsReceive bool           `json:"exposure_equals_received"`
	LedgerVerified        bool           `json:"ledger_verified"`
	LedgerEntries         uint64         `json:"ledger_entries"`
	IncidentURL           string         `json:"incident_url"`
}

// theDemo is a running demo: a carrier, a guard before it and a register, all on loopback, in a folder of their own.
type theDemo struct {
	*call
	dir     string
	cfg     *config
	story   io.Writer
	fast    bool
	keys    map[string]string // by the name of the caller
	carrier *http.Server
	guard   *guardSide
	site    *registerSide
	report  demoReport
}

func demo(c *call) error {
	fast := c.flags.Bool("fast", false, "without the pauses that let one read")
	asJSON := c.flags.Bool("json", false, "print the figures and exit")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if *c.config != "" {
		return usageError{errors.New("the demo makes its own config")}
	}
	d := &theDemo{call: c, story: c.stdout, fast: *fast || *asJSON}
	if *asJSON {
		d.story = io.Discard
	}
	err := d.run(*asJSON)
	if c.Err() != nil && errors.Is(err, context.Canceled) {
		return answerNo{errors.New("interrupted before the end of the story")}
	}
	return err
}

func (d *theDemo) run(asJSON bool) (err error) {
	if d.dir, err = os.MkdirTemp("", "weir-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.start(); err != nil {
		return err
	}
	if err := d.partner(); err != nil {
		return err
	}
	received, err := d.scrape()
	if err != nil {
		return err
	}
	if err := d.account(received); err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(d.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(d.report); err != nil {
			return err
		}
	} else if err := d.farewell(); err != nil {
		return err
	}
	r := &d.report
	if !r.Blocked || !r.ExposureEqualsReceive || !r.LedgerVerified || r.PeopleReleased > r.Quota {
		return answerNo{errors.New("the figures are not as promised: please report this with the output of weir demo -json")}
	}
	if !asJSON {
		select {
		case <-d.Done():
		case err := <-d.guard.failures:
			return err
		case err := <-d.site.failures:
			return err
		}
	}
	return nil
}

// say tells a line of the story, and gives time to read it.
func (d *theDemo) say(format string, args ...any) {
	fmt.Fprintf(d.story, format+"\n", args...)
	d.pause(time.Second)
}

func (d *theDemo) pause(t time.Duration) {
	if d.fast {
		return
	}
	select {
	case <-time.After(t):
	case <-d.Done():
	}
}

func (d *theDemo) close() error {
	var errs []error
	if d.site != nil {
		errs = append(errs, d.site.Close())
	}
	if d.guard != nil {
		errs = append(errs, d.guard.Close())
	}
	if d.carrier != nil {
		errs = append(errs, d.carrier.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}

// start brings up carrier and guard, with a key for each caller, and then the register, which is told the guard's key.
func (d *theDemo) start() error {
	d.keys = map[string]string{"partner": rand.Text(), "kiosk": rand.Text()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.carrier = newServer(carrier.Handler(slices.Collect(maps.Values(d.keys))))
	go d.carrier.Serve(listener) // ends when the demo closes it
	var list strings.Builder
	for name, key := range d.keys {
		fmt.Fprintf(&list, "%x %s\n", sha256.Sum256([]byte(key)), name)
	}
	path := filepath.Join(d.dir, "weir.yaml")
	text := fmt.Sprintf(demoConfig, "http://"+listener.Addr().String(), demoQuota)
	if err := errors.Join(os.WriteFile(filepath.Join(d.dir, "keys.txt"), []byte(list.String()), 0o600), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		return err
	}
	*d.config = path
	if d.cfg, err = d.loadConfig(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(d.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if d.guard, err = startGuard(d.cfg, log); err != nil {
		return err
	}
	vkey, err := d.guard.keyring.VerifierKey(d.cfg.guardName())
	if err != nil {
		return err
	}
	d.cfg.Register.Guards = []string{vkey}
	more, err := yaml.Marshal(map[string][]string{"guards": d.cfg.Register.Guards})
	if err != nil {
		return err
	}
	text += "  " + strings.ReplaceAll(strings.TrimSpace(string(more)), "\n", "\n  ") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if d.site, err = listenRegister(d.cfg); err != nil {
		return err
	}
	if err := d.site.start(d, d.cfg, log); err != nil {
		return err
	}
	d.say("Examplecell, a carrier that does not exist, has %s customers and an API.", thousands(carrier.Customers))
	d.say("Its flaw is that of November 2022: any key may read any customer.")
	d.say("A guard stands before it. Each caller may receive %d distinct people in 24 hours.\n", demoQuota)
	return nil
}

// customer is what a caller makes of an answer, by its own reading of it.
type customer struct {
	Account   string          `json:"account_number"`
	Name      json.RawMessage `json:"name"`
	Email     json.RawMessage `json:"email"`
	Phone     json.RawMessage `json:"phone"`
	BirthDate json.RawMessage `json:"birth_date"`
	Address   json.RawMessage `json:"billing_address"`
	Plan      json.RawMessage `json:"plan"`
	SSN       json.RawMessage `json:"ssn"`
	Card      json.RawMessage `json:"payment_card"`
}

func (c *customer) classes() (set weir.ClassSet) {
	for class, field := range map[weir.Class]json.RawMessage{
		weir.Name: c.Name, weir.Email: c.Email, weir.Phone: c.Phone, weir.BirthDate: c.BirthDate, weir.PostalAddress: c.Address,
		weir.Plan: c.Plan, weir.SSN: c.SSN, weir.PaymentCard: c.Card,
	} {
		if len(field) > 0 {
			set |= weir.Set(class)
		}
	}
	return set | weir.Set(weir.AccountNumber)
}

// caller is an API client that keeps what it received: which classes of which account.
type caller struct {
	ctx      context.Context
	base     string
	key      string
	received map[string]weir.ClassSet
}

func (d *theDemo) caller(name string) *caller {
	return &caller{d, "http://" + d.guard.addr, d.keys[name], map[string]weir.ClassSet{}}
}

// get reads a customer or a list of them. next is where a list goes on.
func (c *caller) get(path string) (status int, next string, err error) {
	req, err := http.NewRequestWithContext(c.ctx, "GET", c.base+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("X-Api-Key", c.key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return res.StatusCode, "", err
	}
	var answer struct {
		customer
		Items []customer `json:"items"`
		Next  string     `json:"next"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return res.StatusCode, "", err
	}
	if answer.Account != "" {
		answer.Items = []customer{answer.customer}
	}
	for _, x := range answer.Items {
		c.received[x.Account] |= x.classes()
	}
	return res.StatusCode, answer.Next, nil
}

// must is get where anything but an answer is an error.
func (c *caller) must(path string) (next string, err error) {
	status, next, err := c.get(path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s ended with status %d", path, status)
	}
	return next, err
}

// partner is ordinary traffic: a shop looks up the customers who stand before it.
func (d *theDemo) partner() error {
	c := d.caller("partner")
	for i := range demoPartner {
		if _, err := c.must("/v1/customers/" + carrier.At(i*900_001%carrier.Customers).AccountNumber); err != nil {
			return err
		}
		d.pause(10 * time.Millisecond)
	}
	d.say("partner   looked up %d customers, one at a time. All answered, all recorded before they were answered.", len(c.received))
	return nil
}

// scrape walks through the customers with a stolen key: by lists at first, then one by one, and goes on when it is refused.
func (d *theDemo) scrape() (*caller, error) {
	c := d.caller("kiosk")
	d.say("kiosk     somebody has this caller's key, and walks through all customers with it ...")
	asked, next := 0, ""
	for ; asked < demoLists; asked += demoPage {
		var err error
		if next, err = c.must(fmt.Sprintf("/v1/customers?limit=%d&after=%s", demoPage, next)); err != nil {
			return nil, err
		}
	}
	d.say("kiosk     %d received, %d at a time", len(c.received), demoPage)
	for refused := false; asked < demoScrape; asked++ {
		status, _, err := c.get("/v1/customers/" + carrier.At(asked).AccountNumber)
		switch {
		case err != nil:
			return nil, err
		case status != http.StatusOK && !refused:
			refused = true
			d.say("guard     person %d is one too many: refused with status %d, and the caller is blocked until somebody lifts that", asked+1, status)
		case status == http.StatusOK && len(c.received)%100 == 0:
			d.say("kiosk     %d received, one at a time", len(c.received))
		}
	}
	d.say("kiosk     %d people asked for, %d received. Without the guard: all %s, at ten a second after %d days.",
		asked, len(c.received), thousands(carrier.Customers), carrier.Customers/10/86_400)
	partner := d.caller("partner")
	if _, err := partner.must("/v1/customers/" + carrier.At(1).AccountNumber); err != nil {
		return nil, err
	}
	d.say("partner   is answered as before: only who takes too much is cut off.\n")
	d.report.PeopleRequested, d.report.PeopleReleased, d.report.Quota = asked, len(c.received), demoQuota
	return c, nil
}

// account asks the ledger who is affected, and compares its answer with what the scraper holds.
func (d *theDemo) account(c *caller) (err error) {
	dir := ledger.Dir(d.cfg.ledgerDir())
	principal := d.guard.keyring.Principal("kiosk")
	q := exposure.Query{Principal: &principal}
	x, err := exposure.Open(exposure.Options{Ledger: dir, Dir: indexDir(d.cfg.ledgerDir())})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := x.Refresh(d); err != nil {
		return err
	}
	a, err := x.Answer(q)
	if err != nil {
		return err
	}
	r := &d.report
	r.AffectedPeople, r.AffectedByClass, r.Coverage = a.People, a.ByClass, a.Coverage()
	r.NoneFound = (^a.Seen() & weir.Set(weir.SSN, weir.PaymentCard, weir.Password)).Names()
	for _, f := range a.Findings {
		r.Blocked = true
		r.SecondsToContainment = f.Time.Sub(a.First).Seconds()
	}
	r.ExposureEqualsReceive = a.People == len(c.received) && a.Unattributed.People == 0
	exposed := map[weir.Pseudonym]weir.ClassSet{}
	if err := x.People(q, func(p *exposure.Person) error {
		exposed[p.DataSubject] = p.Classes
		return nil
	}); err != nil {
		return err
	}
	for account, classes := range c.received {
		key, err := weir.CanonicalString(account)
		if err != nil {
			return err
		}
		if exposed[d.guard.keyring.DataSubject("account", key)] != classes {
			r.ExposureEqualsReceive = false
		}
	}
	sum, err := ledger.Verify(dir, nil, true)
	if err != nil {
		return err
	}
	r.LedgerVerified, r.LedgerEntries = len(sum.Faults) == 0, sum.Entries
	d.say("ledger    %d entries, each chained to the one before; verified: %s", sum.Entries, yesNo(r.LedgerVerified))
	d.say("exposure  %d people are affected; the scraper's own files say the same, person by person and class by class: %s", r.AffectedPeople, yesNo(r.ExposureEqualsReceive))
	w := tabwriter.NewWriter(d.story, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, class := range weir.Classes() {
		name := class.String()
		if n := r.AffectedByClass[name]; n > 0 {
			fmt.Fprintf(w, "\t%d\t\t%s\n", n, name)
		} else if slices.Contains(r.NoneFound, name) {
			fmt.Fprintf(w, "\tnone found\t\t%s (at coverage %g)\n", name, r.Coverage)
		}
	}
	return w.Flush()
}

// open signs a statement, imports it as a draft and publishes that, as an editor would.
func (d *theDemo) open() error {
	principal := d.guard.keyring.Principal("kiosk")
	msg, err := makeStatement(ledger.Dir(d.cfg.ledgerDir()), d.guard.keyring, d.cfg.guardName(), exposure.Query{Principal: &principal})
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(d.dir, "statement.txt"), msg); err != nil {
		return err
	}
	v, err := note.NewVerifier(d.cfg.Register.Guards[0])
	if err != nil {
		return err
	}
	set, err := readStatement(msg, note.VerifierList(v))
	if err != nil {
		return err
	}
	if _, err := d.site.store.Import(d, set, store.Who{Author: d.cfg.guardName(), Reason: "the guard's signed statement"}, false); err != nil {
		return err
	}
	id := set.Records[0].ID
	d.report.IncidentURL = "http://" + d.site.addr + "/incidents/" + id
	d.say("\nseam      the guard signs these figures; the register takes the statement as a draft incident of measured claims")
	if err := d.site.store.Publish(d, store.Who{Author: "editor", Reason: "published"}, id); err != nil {
		return err
	}
	d.say("register  an editor publishes it, beside the real incident of 2022")
	return nil
}

// farewell makes the accounts and prints where to look.
func (d *theDemo) farewell() error {
	password := rand.Text()[:12]
	for _, tier := range []access.Tier{access.Member, access.Editor} {
		account, err := access.NewAccount(tier.String(), password, tier)
		if err != nil {
			return err
		}
		if err := d.site.store.AddAccount(d, account); err != nil {
			return err
		}
	}
	r := &d.report
	site := "http://" + d.site.addr
	w := tabwriter.NewWriter(d.story, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\ncontained after\t%.1f s, at %d of %d people (quota %d)\n", r.SecondsToContainment, r.PeopleReleased, r.PeopleRequested, r.Quota)
	fmt.Fprintf(w, "this incident\t%s\n", r.IncidentURL)
	fmt.Fprintf(w, "the one of 2022\t%s/incidents/t-mobile-us-2022-11\n", site)
	fmt.Fprintf(w, "member's view\t%s/login  name member (or editor), password %s\n", site, password)
	fmt.Fprintf(w, "ask the ledger\tgo run ./cmd/weir exposure -config %s\n", *d.config)
	fmt.Fprintf(w, "as the scraper\tcurl -H 'X-Api-Key: %s' http://%s/v1/customers/%s\n", d.keys["kiosk"], d.guard.addr, carrier.At(0).AccountNumber)
	fmt.Fprintf(w, "as the partner\tcurl -H 'X-Api-Key: %s' http://%s/v1/customers/%s\n", d.keys["partner"], d.guard.addr, carrier.At(0).AccountNumber)
	fmt.Fprint(w, "\nAll of it is up until you interrupt it (Ctrl-C); then its folder is removed.\n")
	return w.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
