package exposure

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir"
)

func identify(t *testing.T, x *Index, keyring *weir.Keyring, list string) (found Identified, rows []string, unmatched []Unmatched, err error) {
	t.Helper()
	found, err = x.Identify(Query{}, IdentifyOptions{
		List: strings.NewReader(list), Size: int64(len(list)), Key: "account",
		Pseudonym: func(key string) (weir.Pseudonym, error) {
			canonical, err := weir.CanonicalString(key)
			return keyring.DataSubject("account", canonical), err
		},
		Header: func(columns []string) error { return nil },
		Matched: func(row []string, p *Person) error {
			rows = append(rows, fmt.Sprintf("%s %s %d", strings.Join(row, "|"), p.Classes, p.Count))
			return nil
		},
		Unmatched: func(u *Unmatched) error {
			unmatched = append(unmatched, *u)
			return nil
		},
		Progress: func(string, uint64) error {
			names, _ := filepath.Glob(filepath.Join(os.TempDir(), "weir-identify-*", "*"))
			for _, name := range names { // nothing personal is written but what Matched is given
				if b, _ := os.ReadFile(name); strings.Contains(string(b), "example.com") {
					t.Errorf("%s holds an address", name)
				}
			}
			return nil
		},
	})
	return found, rows, unmatched, err
}

func TestIdentify(t *testing.T) {
	keyring, err := weir.NewKeyring(make([]byte, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	of := func(key string) weir.Pseudonym { return keyring.DataSubject("account", key) }
	o := disclosed(1, "GET /a", weir.Set(weir.Name))
	for _, key := range []string{"007", "7", "ghost"} {
		o.Released = append(o.Released, weir.Record{DataSubject: of(key), Classes: weir.Set(weir.Name)})
	}
	more := disclosed(2, "GET /a", weir.Set(weir.Email))
	more.Released = append(more.Released, weir.Record{DataSubject: of("7"), Classes: weir.Set(weir.Email)})
	x := opened(t, write(t, t.TempDir(), o, more))
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)

	list := "\xef\xbb\xbfmail,account\n\"a,\n@example.com\", 7 \nb@example.com,8\nc@example.com,\nd@example.com,007\ne@example.com,7\n"
	found, rows, unmatched, err := identify(t, x, keyring, list)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identified{Rows: 5, Matched: 3, NotInList: 1, NotFound: 1, BadKeys: 1}); found != want {
		t.Errorf("%+v, want %+v", found, want)
	}
	if want := []string{"a,\n@example.com| 7  email,name 2", "d@example.com|007 name 1", "e@example.com|7 email,name 2"}; !slices.Equal(rows, want) {
		t.Errorf("%q, want %q", rows, want)
	}
	for _, want := range []Unmatched{{Line: 4, DataSubject: of("8")}, {Line: 5, BadKey: true}, {DataSubject: of("ghost")}} {
		if !slices.Contains(unmatched, want) || len(unmatched) != 3 {
			t.Errorf("%+v is not among %+v", want, unmatched)
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	for _, bad := range []string{"", "mail,number\na@example.com,7\n", "mail,account\na@example.com,7,8\n"} {
		if _, _, _, err := identify(t, x, keyring, bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Every row of a long list ends in exactly one count, whatever part of the work it falls into.
func TestIdentifyMany(t *testing.T) {
	keyring, err := weir.NewKeyring(make([]byte, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	o := disclosed(1, "GET /a", 0)
	for i := range 3000 {
		o.Released = append(o.Released, weir.Record{DataSubject: keyring.DataSubject("account", fmt.Sprint(2*i)), Classes: weir.Set(weir.Name)})
	}
	x := opened(t, write(t, t.TempDir(), o))
	var list strings.Builder
	w := csv.NewWriter(&list)
	w.Write([]string{"account", "mail"})
	for i := 8999; i >= 0; i-- {
		w.Write([]string{fmt.Sprint(i), fmt.Sprintf("%d@example.com", i)})
	}
	w.Flush()
	found, rows, unmatched, err := identify(t, x, keyring, list.String())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identified{Rows: 9000, Matched: 3000, NotFound: 6000}); found != want || len(rows) != 3000 || len(unmatched) != 6000 {
		t.Errorf("%+v, want %+v; %d rows, %d unmatched", found, want, len(rows), len(unmatched))
	}
	for i, row := range rows { // in the list's order
		if want := fmt.Sprintf("%d|%d@example.com name 1", 5998-2*i, 5998-2*i); row != want {
			t.Fatalf("row %d is %q, want %q", i, row, want)
		}
	}
}
