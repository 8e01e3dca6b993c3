// Command exposure measures the exposure index beside other stores of the same disclosures.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir"
)

// A store is a way to keep disclosures and to answer for them.
type store interface {
	name() string
	sizes(disclosures int) string
	distinct(principal int, from, to int64) (int, error) // people; from and to are Unix ms, 0 and 0 for all
	accounting(person int) (int, error)                  // disclosures of one person
	list(principal int) (int, error)                     // people, each with classes, first, last, count
	close() error
}

func main() {
	log.SetFlags(0)
	people := flag.Int("people", 4_000_000, "")
	disclosures := flag.Int("disclosures", 37_000_000, "")
	scraped := flag.Int("scraped", 6_800_000, "of the disclosures, those of the scraper")
	dir := flag.String("dir", "", "a folder for everything; the ledger in it is used again")
	peers := flag.String("stores", "weir", "joined by commas: weir, duckdb, duckdb-dense, sqlite, pebble")
	identify := flag.Bool("identify", false, "also join the scraper's people with a list of everybody")
	profile := flag.String("cpuprofile", "", "")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	l := &load{people: *people, disclosures: *disclosures, scraped: *scraped, principals: 10_000, identify: *identify}
	if err := run(l, *dir, strings.Split(*peers, ",")); err != nil {
		log.Fatal(err)
	}
}

func run(l *load, dir string, stores []string) error {
	keyring, err := weir.NewKeyring(make([]byte, weir.SeedSize))
	if err != nil {
		return err
	}
	names, principals := l.pseudonyms(keyring)
	ledgerDir := filepath.Join(dir, "ledger")
	if _, err := os.Stat(ledgerDir); err != nil {
		if err := os.MkdirAll(ledgerDir, 0o700); err != nil {
			return err
		}
		begun := time.Now()
		if err := l.record(ledgerDir, keyring.ID(), names, principals); err != nil {
			return err
		}
		fmt.Printf("ledger written in %.0f s, %d bytes a disclosure\n", time.Since(begun).Seconds(), folderSize(ledgerDir)/int64(l.disclosures))
	}
	var open []store
	for _, name := range stores {
		path := filepath.Join(dir, name)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		begun, cpu := time.Now(), cpuTime()
		s, err := build(name, l, ledgerDir, path, names, principals)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took, used := time.Since(begun), cpuTime()-cpu
		fmt.Printf("%s: loaded in %.1f s, %.2f us CPU a disclosure, %.2f M disclosures/s; peak memory so far %s; %s\n", s.name(), took.Seconds(),
			used.Seconds()*1e6/float64(l.disclosures), float64(l.disclosures)/1e6/took.Seconds(), peakMemory(), s.sizes(l.disclosures))
		open = append(open, s)
		if o, ok := s.(*ours); ok && l.identify {
			if err := o.identify(l, keyring, dir); err != nil {
				return err
			}
		}
	}
	return ask(l, open)
}

func build(name string, l *load, ledgerDir, path string, people, principals []weir.Pseudonym) (store, error) {
	switch name {
	case "weir":
		o := &ours{people: people, principals: principals}
		return o, o.build(ledgerDir, path)
	case "duckdb", "duckdb-dense":
		return newDuck(l, path, name == "duckdb-dense", people, principals)
	case "sqlite":
		return newLite(l, path)
	case "pebble":
		return newStones(l, path)
	}
	return nil, fmt.Errorf("no such store")
}

// question is asked of every store; all must give the same answer.
type question struct {
	name string
	ask  func(store) (int, error)
	most int // times
}

func ask(l *load, stores []store) error {
	day := int64(24 * time.Hour / time.Millisecond)
	scraper := l.principals
	questions := []question{
		{"scraper, 41 days", func(s store) (int, error) { return s.distinct(scraper, 0, 0) }, 5},
		{"scraper, 33.5 days", func(s store) (int, error) { return s.distinct(scraper, begin+3*day+day/2, begin+37*day) }, 5},
		{"scraper, one day", func(s store) (int, error) { return s.distinct(scraper, begin+20*day, begin+21*day) }, 9},
		{"scraper, one day from 12:34:56.789", func(s store) (int, error) {
			return s.distinct(scraper, begin+20*day+45_296_789, begin+21*day+45_296_789)
		}, 9},
		{"ordinary principal, 7 days", func(s store) (int, error) { return s.distinct(4711, begin+20*day, begin+27*day) }, 9},
		{"one person", func(s store) (int, error) { return s.accounting(123_456) }, 9},
		{"list of the scraper's people", func(s store) (int, error) { return s.list(scraper) }, 3},
	}
	for _, q := range questions {
		want := -1
		for _, s := range stores {
			var times []time.Duration
			cpu := cpuTime()
			for n := 0; n < q.most; n++ {
				begun := time.Now()
				got, err := q.ask(s)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.name(), q.name, err)
				}
				times = append(times, time.Since(begun))
				if want >= 0 && got != want {
					return fmt.Errorf("%s: %s: %d, the first store says %d", s.name(), q.name, got, want)
				}
				want = got
				if times[0] > 20*time.Second {
					break
				}
			}
			used := (cpuTime() - cpu) / time.Duration(len(times))
			first := times[0]
			slices.Sort(times)
			fmt.Printf("%-36s %-14s %10d  median %9.3f ms, least %9.3f ms, first %9.3f ms; CPU %9.3f ms\n", q.name, s.name(), want, ms(times[len(times)/2]), ms(times[0]), ms(first), ms(used))
		}
	}
	for _, s := range stores {
		if err := s.close(); err != nil {
			return err
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most that the process had resident.
func peakMemory() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "not known here"
	}
	for line := range strings.Lines(string(status)) {
		if what, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(what)
		}
	}
	return "not known here"
}

func folderSize(dir string) (sum int64) {
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}
