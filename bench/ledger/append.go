package main

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	_ "modernc.org/sqlite"

	"weir"
	"weir/internal/ledger"
)

// recordsEach is how many disclosures one append holds.
const recordsEach = 50

// store is something that makes disclosures durable.
type store struct {
	name   string
	append func(people []weir.Record) error
	close  func() error
}

func (b *bench) append() error {
	fmt.Printf("%d disclosures an append, %s each\n", recordsEach, b.lasts)
	fmt.Printf("%-28s %8s %14s %12s %10s %10s\n", "store", "writers", "disclosures/s", "CPU ns/disc", "p50", "p99")
	for _, writers := range []int{1, 16, 128, 1024} {
		for i, open := range []func(string) (*store, error){openLedger, openBare, openPebble, openSQLite} {
			dir := filepath.Join(b.dir, fmt.Sprintf("append-%d-%d", writers, i))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			s, err := open(dir)
			if err != nil {
				return err
			}
			if err := b.measure(s, writers); err != nil {
				return err
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) measure(s *store, writers int) error {
	var wg sync.WaitGroup
	waits := make([][]time.Duration, writers)
	errs := make([]error, writers)
	start, used := time.Now(), cpu()
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for time.Since(start) < b.lasts {
				people := make([]weir.Record, recordsEach)
				for i := range people {
					binary.LittleEndian.PutUint64(people[i].DataSubject[:], rng.Uint64())
					binary.LittleEndian.PutUint64(people[i].DataSubject[8:], rng.Uint64())
					people[i].Classes = 7
				}
				at := time.Now()
				if errs[w] = s.append(people); errs[w] != nil {
					return
				}
				waits[w] = append(waits[w], time.Since(at))
			}
		})
	}
	wg.Wait()
	took, used := time.Since(start), cpu()-used
	all := slices.Concat(waits...)
	slices.Sort(all)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	n := len(all) * recordsEach
	fmt.Printf("%-28s %8d %14.0f %12.0f %10s %10s\n", s.name, writers, float64(n)/took.Seconds(), float64(used.Nanoseconds())/float64(n),
		all[len(all)/2].Round(10*time.Microsecond), all[len(all)*99/100].Round(10*time.Microsecond))
	return s.close()
}

func openLedger(dir string) (*store, error) {
	l, err := ledger.Open(ledger.Dir(dir), ledger.Options{})
	if err != nil {
		return nil, err
	}
	return &store{"weir ledger", func(people []weir.Record) error {
		o := &ledger.Outcome{Outcome: weir.Outcome{Kind: weir.Disclosed, Route: "GET /v1/customers", Unit: "account", Status: 200, Bytes: 30_000, Released: people}}
		return l.Append(func(time.Time) []ledger.Body { return []ledger.Body{o} })
	}, l.Close}, nil
}

// bare is a group commit and nothing else: what comes while a write is under way goes out with the next one. It writes the
// bytes that the ledger would.
type bare struct {
	f       *os.File
	mu      sync.Mutex
	pending *bareBatch
	writing bool
	off     int64
	ahead   int64
}

type bareBatch struct {
	buf  []byte
	done chan struct{}
	err  error
}

func openBare(dir string) (*store, error) {
	f, err := os.Create(filepath.Join(dir, "segment"))
	if err != nil {
		return nil, err
	}
	b := &bare{f: f}
	return &store{"bare write + fdatasync", func(people []weir.Record) error {
		entry := make([]byte, 0, 17*len(people)+80)
		for i := range people {
			entry = append(entry, people[i].DataSubject[:]...)
			entry = append(entry, byte(people[i].Classes))
		}
		return b.append(entry)
	}, f.Close}, nil
}

func (b *bare) append(entry []byte) error {
	b.mu.Lock()
	if b.pending == nil {
		b.pending = &bareBatch{done: make(chan struct{}), buf: make([]byte, 64, 4096)} // as much as the ledger's frame adds
	}
	mine := b.pending
	mine.buf = append(mine.buf, entry...)
	mine.buf = append(mine.buf, make([]byte, 20)...)
	leads := !b.writing
	b.writing = true
	b.mu.Unlock()
	if !leads {
		<-mine.done
		return mine.err
	}
	b.turn()
	if b.more() {
		go func() {
			for {
				b.turn()
				if !b.more() {
					return
				}
			}
		}()
	}
	return mine.err
}

func (b *bare) more() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing = b.pending != nil
	return b.writing
}

func (b *bare) turn() {
	b.mu.Lock()
	batch := b.pending
	b.pending = nil
	b.mu.Unlock()
	out := batch.buf
	if end := b.off + int64(len(out)); end > b.ahead {
		b.ahead = end + ledger.DefaultAhead
		out = append(out, make([]byte, ledger.DefaultAhead)...)
	}
	_, batch.err = b.f.WriteAt(out, b.off)
	if batch.err == nil {
		batch.err = syscall.Fdatasync(int(b.f.Fd()))
	}
	b.off += int64(len(batch.buf))
	close(batch.done)
}

func openPebble(dir string) (*store, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	return &store{"Pebble, Sync", func(people []weir.Record) error {
		batch := db.NewBatch()
		defer batch.Close()
		for i := range people {
			if err := batch.Set(people[i].DataSubject[:], []byte{byte(people[i].Classes)}, nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.Sync)
	}, db.Close}, nil
}

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func openSQLite(dir string) (*store, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(60000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	if _, err := db.Exec("CREATE TABLE d (id INTEGER PRIMARY KEY, who BLOB, classes INTEGER)"); err != nil {
		return nil, err
	}
	return &store{"SQLite, WAL, synchronous full", func(people []weir.Record) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		insert, err := tx.Prepare("INSERT INTO d (who, classes) VALUES (?, ?)")
		if err != nil {
			tx.Rollback()
			return err
		}
		for i := range people {
			if _, err := insert.Exec(people[i].DataSubject[:], int64(people[i].Classes)); err != nil {
				tx.Rollback()
				return err
			}
		}
		return tx.Commit()
	}, db.Close}, nil
}
