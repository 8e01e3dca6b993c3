// Command ledger measures what the ledger costs, beside its peers in the same run.
//
//	go run . append          disclosures per second, CPU and waits at 1, 16, 128 and 1,024 writers
//	go run . guard           CPU per request of guard, guard without ledger, bare reverse proxy
//	go run . bytes           bytes per disclosure, live and compact, on the mixed load
//	go run . recover         the time of a start, and of a whole verification, of a large ledger
//
// Each takes -dir, a folder on the disk to measure.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: ledger append|guard|bytes|recover [-dir FOLDER] [-for DURATION] …")
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	b := &bench{}
	flags.StringVar(&b.dir, "dir", "", "a folder on the disk to measure; a temporary one by default")
	flags.DurationVar(&b.lasts, "for", 3*time.Second, "how long each measurement lasts")
	flags.IntVar(&b.millions, "millions", 10, "bytes, recover: disclosures, in millions")
	flags.StringVar(&b.off, "off", "", "guard: a binary of this program built with -tags weir_ledger_off")
	flags.StringVar(&b.profile, "profile", "", "recover: write a CPU profile of the verification there; guard: one of each proxy, named by that, the records and a number")
	flags.StringVar(&b.upstream, "upstream", "", "of a process that this program starts")
	flags.IntVar(&b.records, "records", 0, "guard: only answers of so many records (1, 50 or 1000)")
	flags.Int64Var(&b.volume, "volume", 0, "bytes, recover: bytes of a volume; 0 for the default")
	flags.IntVar(&b.rounds, "rounds", 3, "guard: how often each measurement is taken")
	if err := flags.Parse(os.Args[2:]); err != nil {
		os.Exit(2)
	}
	run := map[string]func() error{
		"append": b.append, "guard": b.guards, "bytes": b.bytes, "recover": b.recover,
		"serve-upstream": b.serveUpstream, "serve-bare": b.serveBare, "serve-guard": b.serveGuard,
	}[os.Args[1]]
	if run == nil {
		fmt.Fprintf(os.Stderr, "ledger: no measurement %q\n", os.Args[1])
		os.Exit(2)
	}
	if err := b.prepare(); err != nil {
		fail(err)
	}
	err := run()
	if b.temporary {
		os.RemoveAll(b.dir)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "ledger:", err)
	os.Exit(1)
}

type bench struct {
	dir       string
	temporary bool
	lasts     time.Duration
	millions  int
	rounds    int
	records   int
	volume    int64
	off       string
	profile   string
	upstream  string
}

func (b *bench) prepare() (err error) {
	if b.dir != "" {
		return os.MkdirAll(b.dir, 0o700)
	}
	b.temporary = true
	b.dir, err = os.MkdirTemp("", "weir-bench")
	return err
}

// cpu is the time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a bad argument fails
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that this process has had, in megabytes.
func peak() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a bad argument fails
	}
	return float64(u.Maxrss) * 1024 / 1e6
}

// startProfile begins the CPU profile that was asked for, if one was; stop ends it.
func (b *bench) startProfile() (stop func(), err error) {
	if b.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}
