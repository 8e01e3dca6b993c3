package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"weir"
	"weir/internal/ledger"
)

// person is a pseudonym as even as a real one.
func person(n int) (p weir.Pseudonym) {
	rng := rand.NewPCG(uint64(n), 77)
	binary.LittleEndian.PutUint64(p[:], rng.Uint64())
	binary.LittleEndian.PutUint64(p[8:], rng.Uint64())
	return p
}

// mixed appends so many disclosures of a ninth as many people: three of ten are single look-ups, the rest pages of fifty;
// half of both ask for whoever comes next, as a scraper or an export does, the other half for people of whom few are asked
// for often. People are in the log before they are counted, so nobody waits for a disk: 64 answers share a write.
func mixed(l *ledger.Log, disclosures int) error {
	people := disclosures/9 + 1
	rng := rand.New(rand.NewPCG(3, 4))
	next := 0
	var bodies []ledger.Body
	for n := 0; n < disclosures; {
		size, route := 50, "GET /v1/customers"
		if rng.IntN(100) < 95 { // three of ten disclosures
			size, route = 1, "GET /v1/customers/{id}"
		}
		walk := rng.IntN(2) == 0
		o := &ledger.Outcome{Outcome: weir.Outcome{
			Kind: weir.Disclosed, Route: route, Unit: "account", Status: 200, Bytes: int64(600*size + rng.IntN(100)), Principal: weir.Pseudonym{byte(rng.IntN(40))},
		}}
		for range size {
			who := next % people
			if walk {
				next++
			} else {
				who = int(float64(people) * math.Pow(rng.Float64(), 2))
			}
			o.Released = append(o.Released, weir.Record{DataSubject: person(who), Classes: weir.ClassSet(0x1ff) &^ weir.ClassSet(rng.IntN(4))})
		}
		bodies = append(bodies, o)
		n += size
		if len(bodies) == 64 || n >= disclosures {
			if err := l.Append(func(time.Time) []ledger.Body { return bodies }); err != nil {
				return err
			}
			bodies = bodies[:0]
		}
	}
	return nil
}

func folderSize(dir string) (n int64, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, nil
}

func (b *bench) bytes() error {
	opts := ledger.Options{VolumeSize: b.volume}
	if err := b.fill(opts); err != nil {
		return err
	}
	live, err := folderSize(b.dir)
	if err != nil {
		return err
	}
	l, err := ledger.Open(ledger.Dir(b.dir), opts)
	if err != nil {
		return err
	}
	at, used, before := time.Now(), cpu(), peak()
	n, err := l.Compact()
	if err != nil {
		return err
	}
	took, used, memory := time.Since(at), cpu()-used, peak()
	if err := l.Close(); err != nil {
		return err
	}
	sealed, err := folderSize(b.dir)
	if err != nil {
		return err
	}
	disclosures := b.millions * 1_000_000
	d := float64(disclosures)
	fmt.Printf("%d disclosures: live %.2f bytes each; %d volumes compact %.2f bytes each, made in %s (CPU %s), memory up to %.0f MB (%.0f before)\n", disclosures, float64(live)/d, n, float64(sealed)/d, took.Round(time.Second/10), used.Round(time.Second/10), memory, before)
	at, used = time.Now(), cpu()
	sum, err := ledger.Verify(ledger.Dir(b.dir), nil, false)
	if err != nil || len(sum.Faults) > 0 {
		return fmt.Errorf("what was made compact does not verify: %v, %v", sum, err)
	}
	took, used = time.Since(at), cpu()-used
	fmt.Printf("verify what is compact: %s, CPU %s, memory up to %.0f MB\n", took.Round(time.Second/10), used.Round(time.Second/10), peak())
	return nil
}

// fill makes a ledger of the load, unless the folder has one already: a large one can be measured again.
func (b *bench) fill(opts ledger.Options) error {
	if size, err := folderSize(b.dir); err != nil || size > 0 {
		return err
	}
	l, err := ledger.Open(ledger.Dir(b.dir), opts)
	if err != nil {
		return err
	}
	if err := mixed(l, b.millions*1_000_000); err != nil {
		return err
	}
	return l.Close()
}

func (b *bench) recover() error {
	opts := ledger.Options{VolumeSize: b.volume}
	if err := b.fill(opts); err != nil {
		return err
	}
	size, err := folderSize(b.dir)
	if err != nil {
		return err
	}
	records := 0
	opts.Replay = func(e ledger.Entry) {
		if o, ok := e.Body.(*ledger.Outcome); ok {
			records += len(o.Released)
		}
	}
	at, used := time.Now(), cpu()
	l, err := ledger.Open(ledger.Dir(b.dir), opts)
	if err != nil {
		return err
	}
	took, used := time.Since(at), cpu()-used
	if err := l.Close(); err != nil {
		return err
	}
	mb := float64(size) / 1e6
	fmt.Printf("start on %.0f MB, of which the last volume is read, %d records replayed: %s, CPU %s, %.0f MB per CPU second\n", mb, records, took.Round(time.Millisecond), used.Round(time.Millisecond), mb/used.Seconds())
	stop, err := b.startProfile()
	if err != nil {
		return err
	}
	defer stop()
	at, used = time.Now(), cpu()
	sum, err := ledger.Verify(ledger.Dir(b.dir), nil, false)
	if err != nil || len(sum.Faults) > 0 {
		return fmt.Errorf("does not verify: %v", err)
	}
	took, used = time.Since(at), cpu()-used
	fmt.Printf("verify: %s, CPU %s, %.0f MB per CPU second\n", took.Round(time.Millisecond), used.Round(time.Millisecond), mb/used.Seconds())
	return nil
}
