package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/examples/carrier"
)

// served is a workplace whose guard has answered: 30 customers by a list, one of them again by itself.
func served(t *testing.T) (*workplace, *serving) {
	w := newWorkplace(t)
	s := w.serve()
	for _, path := range []string{"/v1/customers?limit=30", "/v1/customers/" + carrier.At(7).AccountNumber} {
		if status, body := get(t, s.guard+path, testKey); status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
	}
	return w, s
}

func TestExposureForms(t *testing.T) {
	w, s := served(t)
	for _, running := range []bool{true, false} {
		if !running {
			s.stop()
		}
		for _, removed := range []bool{false, true} { // the index is made again from the ledger alone
			if removed && !running {
				if err := os.RemoveAll(filepath.Join(w.dir, "data", "guard", "index")); err != nil {
					t.Fatal(err)
				}
			}
			if out := must(t, "exposure", "-config", w.config, "-format", "csv"); !strings.Contains(out, "\npeople (account),30\n") || !strings.Contains(out, "none found") {
				t.Errorf("csv: %s", out)
			}
		}
	}
	if out := must(t, "exposure", "-config", w.config, "-top", "3", "-format", "json"); out != `{"principal":"partner","people":30}`+"\n" {
		t.Errorf("top: %s", out)
	}
	if out := must(t, "exposure", "-config", w.config, "-class", "ssn,password", "-list", "-format", "json"); out != "" {
		t.Errorf("a class that did not leave: %s", out)
	}
	list := must(t, "exposure", "-config", w.config, "-class", "name", "-list", "-format", "json")
	seen := 0
	for line := range strings.Lines(list) {
		var one struct {
			DataSubject string   `json:"data_subject"`
			Classes     []string `json:"classes"`
			First, Last string
			Count       int
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil || len(one.DataSubject) != 32 || len(one.Classes) < 2 || one.First > one.Last {
			t.Errorf("%s: %+v, %v", line, one, err)
		}
		seen += one.Count
	}
	if seen != 31 {
		t.Errorf("%d disclosures", seen)
	}
	for args, status := range map[string]int{
		"-top 3 -list": 2, "-class nothing": 2, "-key account_number": 2, "-identify customers.csv": 2, "-top -1": 2,
		"-identify nothing.csv -key account": 2, "-from yesterday": 2,
	} {
		if got, _, errs := weirRun(t, "", append([]string{"exposure", "-config", w.config}, strings.Fields(args)...)...); got != status || errs == "" {
			t.Errorf("%s: status %d, %s", args, got, errs)
		}
	}
}

func TestExposureIdentify(t *testing.T) {
	w, _ := served(t)
	var list strings.Builder
	fmt.Fprintln(&list, "account_number,mail")
	for i := range 5 {
		fmt.Fprintf(&list, "%s,%d@example.com\n", carrier.At(2*i+1).AccountNumber, i)
	}
	fmt.Fprintf(&list, "%s,far@example.com\n,none@example.com\n", carrier.At(5000).AccountNumber)
	w.write("customers.csv", list.String())
	unmatched := filepath.Join(w.dir, "unmatched.csv")
	status, out, errs := weirRun(t, "", "exposure", "-config", w.config, "-identify", filepath.Join(w.dir, "customers.csv"), "-key", "account_number", "-unmatched", unmatched)
	if want := "7 rows in the list: 5 of people in the answer, 1 of nobody in it, 1 without a usable key; 25 people of the answer are not in the list"; status != 0 || !strings.Contains(errs, want) {
		t.Errorf("status %d, %s", status, errs)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 6 || rows[4][1] != "3@example.com" || rows[4][6] != "2" || !strings.Contains(rows[4][3], "postal_address") {
		t.Errorf("%q, %v", rows, err)
	}
	text, err := os.ReadFile(unmatched)
	if err != nil || strings.Count(string(text), "\nledger,") != 25 || !strings.Contains(string(text), "\nlist,8,,no usable key\n") || strings.Contains(string(text), "example.com") || strings.Contains(string(text), carrier.At(5000).AccountNumber) {
		t.Errorf("unmatched: %s, %v", text, err)
	}
}
