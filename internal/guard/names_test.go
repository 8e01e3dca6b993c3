package guard

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"weir"
	"weir/internal/ledger"
)

// P3: what the ledger's files hold names nobody: no key and no value of a record, no caller. The control shows that the
// search would find such a thing: the route's pattern, which is no secret, is there.
func TestLedgerNamesNobody(t *testing.T) {
	path := t.TempDir()
	g := open(t, options(t, path, 100))
	const body = `{"id":"acct-90210-77","name":"Sample Person","email":"sample.person@example.com","phone":"+1 212 555 0143"}`
	if _, no := ask(g, "/v1/customers/acct-90210-77", "partner", jsonBody(body)); no != nil {
		t.Fatal(no)
	}
	if _, err := g.Block(Principal{Name: "partner", ID: testKeyring(t).Principal("partner")}); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(path, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all []byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	for _, secret := range []string{"acct-90210-77", "90210", "Sample", "example.com", "555", "partner", "key of"} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("the ledger's files hold %q", secret)
		}
	}
	if !bytes.Contains(all, []byte(one)) {
		t.Error("the files do not hold the route's pattern: this test searches in the wrong place")
	}

	// Who has the ledger and another key cannot name the person either; who has the right one can.
	other, err := weir.NewKeyring(bytes.Repeat([]byte{4}, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	found := map[weir.Pseudonym]bool{}
	if _, err := ledger.Read(ledger.Dir(path), ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		if o, ok := e.Body.(*ledger.Outcome); ok {
			for _, r := range o.Released {
				found[r.DataSubject] = true
			}
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	if !found[testKeyring(t).DataSubject("account", "acct-90210-77")] || found[other.DataSubject("account", "acct-90210-77")] {
		t.Error("the person's pseudonym does not depend on the key")
	}
}
