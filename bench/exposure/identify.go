package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/internal/exposure"
)

// identify joins the scraper's people with a list of everybody and a tenth as many strangers, and checks the counts.
func (o *ours) identify(l *load, keyring *weir.Keyring, dir string) error {
	path := filepath.Join(dir, "customers.csv")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "account_number,name,email")
	for i := range l.people + l.people/10 {
		fmt.Fprintf(w, "%s,Sample Person,%d@example.com\n", key(i), i)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	begun, cpu := time.Now(), cpuTime()
	matched := 0
	found, err := o.x.Identify(o.query(l.principals, 0, 0), exposure.IdentifyOptions{
		List: f, Size: info.Size(), Key: "account_number",
		Pseudonym: func(key string) (weir.Pseudonym, error) {
			canonical, err := weir.CanonicalString(key)
			return keyring.DataSubject("account", canonical), err
		},
		Header: func([]string) error { return nil },
		Matched: func([]string, *exposure.Person) error {
			matched++
			return nil
		},
		Unmatched: func(*exposure.Unmatched) error { return nil },
		Progress:  func(string, uint64) error { return nil },
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Printf("identify: %d rows, %+v, in %.1f s, CPU %.1f s; peak memory of the process so far %s\n", found.Rows, found, time.Since(begun).Seconds(), (cpuTime() - cpu).Seconds(), peakMemory())
	if people := min(l.people, l.scraped); found.Matched != people || matched != people || found.NotFound != found.Rows-people || found.NotInList != 0 {
		return errors.New("the counts are not those of the load")
	}
	return nil
}
