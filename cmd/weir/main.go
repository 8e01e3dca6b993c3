// Command weir records whose data an API gives out, stops whoever takes too much, keeps the register of such incidents.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// version is the program's version; see CHANGELOG.md.
const version = "0.1.0"

// A command is one word of the command line, or two.
type command struct {
	name  string
	args  string
	about string
	run   func(*call) error
}

// commands is the whole program as its user sees it, in the order of the usage text.
func commands() []command {
	return []command{
		{"demo", "[-fast] [-json]", "one incident, end to end, on this machine", demo},
		{"serve", "[-take-over]", "guard and register: what the config names", serve},
		{"exposure", "[-principal P] [-route R] [-class C] [-from T] [-to T] [-list | -top N | -identify FILE -key COLUMN] [-format table|json|csv]", "whose data left, which classes, by whom", exposureCommand},
		{"statement", "[-from T] [-to T] [-principal P] -o FILE", "sign an exposure statement", statementCommand},
		{"statement verify", "[-key VERIFIER-KEY] [-data COPY] [-format table|json|csv] FILE", "check a statement's signature; against a copy of the ledger, count every figure again", verifyStatementCommand},
		{"accounting", "[-route R | -unit U] [-format table|json|csv] SUBJECT-KEY", "who has seen this person's data", accountingCommand},
		{"pseudonym", "[-unit U] [KEY ... | -]", "the ledger's name for a person, one line per key (- reads standard input)", pseudonymCommand},
		{"ledger verify", "[-checkpoint FILE] [-key VERIFIER-KEY]", "check every byte of the ledger, or of a copy", verifyCommand},
		{"ledger stat", "", "what the ledger holds, and the guard's public key", statCommand},
		{"ledger checkpoint", "", "sign the ledger's present state", checkpointCommand},
		{"ledger accept-rollback", "", "go on with a ledger that is older than its checkpoint; recorded", acceptRollbackCommand},
		{"ledger accept-clock", "", "believe a wall clock that is far from the ledger's time; recorded", acceptClockCommand},
		{"block", "PRINCIPAL", "bar a principal, at once", blockCommand},
		{"unblock", "PRINCIPAL", "lift a principal's block", unblockCommand},
		{"grant", "-subjects N -for D PRINCIPAL", "let a principal exceed its quotas for a time", grantCommand},
		{"register lint", "[-format text|json] PATH ...", "report everything that is wrong with records", lintCommand},
		{"register import", "[-replace] [-reason WHY] [PATH ...]", "read incident records, or the built-in ones; or signed statements", importCommand},
		{"register export", "-o FOLDER", "write the register as a folder of records", exportCommand},
		{"register verify", "[-revision N] [-hash H]", "check that no past revision was changed", verifyRegisterCommand},
		{"register user add", "[-tier T] NAME", "make an account; the password is read from standard input", userAddCommand},
		{"register user list", "", "who may sign in, and as what", userListCommand},
		{"register user password", "NAME", "give an account the password that standard input holds; who has signed in must do it again", userPasswordCommand},
		{"register user tier", "NAME T", "make an account a member, responder or editor", userTierCommand},
		{"register user remove", "NAME", "take an account away; what it changed keeps its name", userRemoveCommand},
		{"version", "", "print the version", func(c *call) error {
			if err := c.parse(0, 0); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.stdout, "weir", version)
			return err
		}},
	}
}

// call is one run of a command.
type call struct {
	context.Context
	command command
	flags   *flag.FlagSet
	config  *string
	args    []string // what is neither a flag nor a flag's value, once parse has returned
	raw     []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

// usageError is wrong use of the program; it ends with exit status 2 and a line that says how the command is used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// answerNo is an answer that is no, or a check that failed; it ends with exit status 1.
type answerNo struct{ error }

// parse reads the flags, which may stand before, between and behind the other arguments.
func (c *call) parse(least, most int) error {
	rest := c.raw
	for len(rest) > 0 {
		if err := c.flags.Parse(rest); err != nil {
			return usageError{err}
		}
		rest = c.flags.Args()
		if len(rest) > 0 {
			c.args = append(c.args, rest[0])
			rest = rest[1:]
		}
	}
	if len(c.args) < least || most >= 0 && len(c.args) > most {
		return usageError{fmt.Errorf("%d arguments given", len(c.args))}
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without the process around it; it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		usage(stdout)
		return 0
	}
	cmd, rest, ok := find(args)
	if !ok {
		fmt.Fprintf(stderr, "weir: no command %q: run weir help to see them all\n", strings.Join(args[:min(2, len(args))], " "))
		return 2
	}
	c := &call{Context: ctx, command: cmd, raw: rest, stdin: stdin, stdout: stdout, stderr: stderr}
	c.flags = flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard)
	c.config = c.flags.String("config", "", "the config `file` (default weir.yaml, where there is one)")
	err := cmd.run(c)
	var wrong usageError
	var no answerNo
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "usage: weir %s %s\n\n%s\n\n", cmd.name, cmd.args, cmd.about)
		c.flags.SetOutput(stdout)
		c.flags.PrintDefaults()
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "weir: %v: usage: weir %s %s\n", err, cmd.name, cmd.args)
		return 2
	case errors.As(err, &no):
		fmt.Fprintf(stderr, "weir: %v\n", err)
		return 1
	}
	fmt.Fprintf(stderr, "weir: %v\n", err)
	return 2
}

// find returns the command with the longest name that args begin with.
func find(args []string) (best command, rest []string, ok bool) {
	words := 0
	for _, cmd := range commands() {
		name := strings.Fields(cmd.name)
		if len(name) > words && len(name) <= len(args) && strings.Join(args[:len(name)], " ") == cmd.name {
			best, words = cmd, len(name)
		}
	}
	return best, args[words:], words > 0
}

func usage(w io.Writer) {
	fmt.Fprint(w, "weir records whose data an API gives out before it gives it out, stops whoever takes too much,\nand keeps the register where every figure shows who says so.\n\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  weir %-23s %s\n", cmd.name, cmd.about)
	}
	fmt.Fprint(w, "\nTry weir demo first. Each command takes -config FILE and -help.\n")
}
