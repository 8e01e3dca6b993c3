// Command weir-audit checks a copy of a ledger by its published format, without the program that wrote it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"weir/internal/auditor"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 0 if all is well, 1 if there are faults, 2 for wrong use.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("weir-audit", flag.ContinueOnError)
	flags.SetOutput(stderr)
	key := flags.String("key", "", "the guard's verifier key, as weir ledger stat prints it")
	held := flags.String("checkpoint", "", "a `file` with a checkpoint of the ledger that you hold")
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: weir-audit [-key VERIFIER-KEY] [-checkpoint FILE] FOLDER\n")
		flags.PrintDefaults()
	}
	if flags.Parse(args) != nil || flags.NArg() != 1 {
		return 2
	}
	opts := auditor.Options{Key: *key}
	if *held != "" {
		text, err := os.ReadFile(*held)
		if err != nil {
			fmt.Fprintf(stderr, "weir-audit: %v\n", err)
			return 2
		}
		opts.Checkpoint = string(text)
	}
	r, err := auditor.Run(os.DirFS(flags.Arg(0)), opts)
	if err != nil {
		fmt.Fprintf(stderr, "weir-audit: %v\n", err)
		return 2
	}
	for _, f := range r.Faults {
		fmt.Fprintln(stderr, "weir-audit:", f)
	}
	verdict := "ok"
	if len(r.Faults) > 0 {
		verdict = fmt.Sprintf("%d faults", len(r.Faults))
	}
	fmt.Fprintf(stdout, "%d volumes (%d signed), %d entries, %d records, %d bytes, root %x, %s\n", r.Volumes, r.Signed, r.Entries, r.Records, r.Bytes, r.Root, verdict)
	if len(r.Faults) > 0 {
		return 1
	}
	return 0
}
