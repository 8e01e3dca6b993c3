package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"weir"
	"weir/internal/incident"
	"weir/internal/store"
	"weir/records"
)

// importCommand reads everything before it writes anything. The register may be running: both use the same file.
func importCommand(c *call) (err error) {
	replace := c.flags.Bool("replace", false, "also take back the claims of these incidents that the files do not hold")
	reason := c.flags.String("reason", "imported", "what the revision says about `why`; everybody can read it")
	if err := c.parse(0, -1); err != nil {
		return err
	}
	cfg, err := c.loadRegister()
	if err != nil {
		return err
	}
	known, err := cfg.guards()
	if err != nil {
		return err
	}
	var sets []*incident.Set
	var errs []error
	for _, path := range c.args {
		set, err := readImport(path, known)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		sets = append(sets, set)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(c.args) == 0 {
		set, problems := incident.ReadRecords(records.Files)
		if len(problems) > 0 {
			return incident.Join(problems)
		}
		sets = append(sets, set)
	}
	s, err := store.Open(cfg.registerFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for i, set := range sets {
		added, err := s.Import(c, set, store.Who{Author: "weir register import", Reason: *reason}, *replace)
		if err != nil {
			if i > 0 {
				err = fmt.Errorf("%w: %s before this one imported", err, plural(i, "argument"))
			}
			return err
		}
		for _, r := range set.Records {
			fmt.Fprintln(c.stdout, r.ID)
		}
		fmt.Fprintf(c.stderr, "weir: %s in %s\n", plural(added, "new claim"), plural(len(set.Records), "incident"))
	}
	return nil
}

// maxStatement is far above what a statement can need.
const maxStatement = 4 << 20

// readImport reads a signed statement, a folder of records, or one record of such a folder.
func readImport(path string, known note.Verifiers) (*incident.Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if info.IsDir() || filepath.Ext(path) == ".yaml" {
		set, problems, err := readRecords(path)
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("nothing is imported, weir register lint shows more:\n%w", incident.Join(problems))
		}
		return set, err
	}
	if info.Size() > maxStatement {
		return nil, fmt.Errorf("%d bytes are too many for a statement", info.Size())
	}
	msg, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return readStatement(msg, known)
}

// readRecords reads a folder of records, or one record with the folder that it stands in.
func readRecords(path string) (*incident.Set, []incident.Problem, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, cause(err)
	}
	if info.IsDir() {
		set, problems := incident.ReadRecords(os.DirFS(path))
		if len(set.Records) == 0 && len(problems) == 0 {
			return nil, nil, errors.New("no records in it: a record is a file ID.yaml")
		}
		return set, problems, nil
	}
	set, problems := incident.ReadRecords(os.DirFS(filepath.Dir(path)))
	name := filepath.Base(path)
	problems = slices.DeleteFunc(problems, func(p incident.Problem) bool { return p.File != name })
	id := strings.TrimSuffix(name, ".yaml")
	set.Records = slices.DeleteFunc(set.Records, func(r incident.Record) bool { return r.ID != id })
	if len(set.Records) == 0 && len(problems) == 0 {
		return nil, nil, fmt.Errorf("holds no incident with the id %s: a record's file bears its id", id)
	}
	return set, problems, nil
}

// readStatement opens a guard's statement as a draft.
func readStatement(msg []byte, known note.Verifiers) (*incident.Set, error) {
	st, err := weir.OpenStatement(msg, known)
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return nil, errors.New("signed by no guard that the config knows: put its verifier key, which weir ledger stat prints, under register.guards")
	}
	if err != nil {
		return nil, fmt.Errorf("no signed statement, and no folder of records: %w", err)
	}
	return incident.FromStatement(st, msg), nil
}

// lintCommand reports all problems at once. It needs no register and no config.
func lintCommand(c *call) error {
	format := c.flags.String("format", "text", "text or json")
	if err := c.parse(1, -1); err != nil {
		return err
	}
	if *format != "text" && *format != "json" {
		return usageError{fmt.Errorf("-format %q is neither text nor json", *format)}
	}
	problems, read := []incident.Problem{}, 0
	for _, path := range c.args {
		set, found, err := readRecords(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		read += len(set.Records)
		dir := path
		if filepath.Ext(path) == ".yaml" {
			dir = filepath.Dir(path)
		}
		for _, p := range found {
			p.File = filepath.Join(dir, p.File)
			problems = append(problems, p)
		}
	}
	if *format == "json" {
		out := json.NewEncoder(c.stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(map[string]any{"records": read, "problems": problems}); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Fprintln(c.stdout, p)
		}
	}
	if n := len(problems); n > 0 {
		return answerNo{fmt.Errorf("%s in %s", plural(n, "problem"), plural(read, "record"))}
	}
	fmt.Fprintf(c.stderr, "weir: %s, no problem\n", plural(read, "record"))
	return nil
}

// openRegister opens the register that the config names; unlike serve and import it makes none.
func (c *call) openRegister() (*store.Store, error) {
	cfg, err := c.loadRegister()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(cfg.registerFile()); err != nil {
		return nil, fmt.Errorf("no register in %s: name the config of one with -config", cfg.registerFile())
	}
	return store.Open(cfg.registerFile())
}

// exportCommand writes the register as a folder of records. What it would destroy it refuses to touch: a file with comments
// that it would have to write anew.
func exportCommand(c *call) (err error) {
	dir := c.flags.String("o", "", "the `folder` to write to; it is made if it is not there")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if *dir == "" {
		return usageError{errors.New("-o is missing")}
	}
	s, err := c.openRegister()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	set, err := s.Set(c)
	if err != nil {
		return err
	}
	files, err := set.Files()
	if err != nil {
		return err
	}
	var names []string
	var refused []error
	for name, data := range files {
		have, err := os.ReadFile(filepath.Join(*dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return err
		case bytes.Equal(have, data):
			continue
		case incident.HasComments(have):
			refused = append(refused, fmt.Errorf("%s has comments, which would be lost", filepath.Join(*dir, name)))
		}
		names = append(names, name)
	}
	if len(refused) > 0 {
		return fmt.Errorf("nothing is written: export to a new folder and compare:\n%w", errors.Join(refused...))
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := writeFile(filepath.Join(*dir, name), files[name]); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.stderr, "weir: %s in %s, %s written, all others are as the register has them\n", plural(len(set.Records), "incident"), *dir, plural(len(names), "file"))
	return nil
}

// verifyRegisterCommand recomputes the chain of revisions, and everything that the register shows from it.
func verifyRegisterCommand(c *call) (err error) {
	revision := c.flags.Int64("revision", 0, "a `number` whose hash was noted earlier; the latest if it is not given")
	noted := c.flags.String("hash", "", "the `hash` that was noted, to compare")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	want, err := hex.DecodeString(*noted)
	if err != nil || *noted != "" && len(want) != 32 {
		return usageError{fmt.Errorf("-hash %q is no hash: it has 64 hexadecimal digits", *noted)}
	}
	s, err := c.openRegister()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	v, err := s.Verify(c, *revision)
	if err != nil {
		return err
	}
	if v.Fault != "" {
		return answerNo{fmt.Errorf("the register is not as it was written: %s", v.Fault)}
	}
	have, of := v.Head, v.Revisions
	if *revision != 0 {
		have, of = v.HeadAt, *revision
	}
	switch {
	case of > v.Revisions:
		return answerNo{fmt.Errorf("there is no revision %d: the latest is %d, so revisions were removed, or the hash is another register's", of, v.Revisions)}
	case *noted != "" && !bytes.Equal(want, have[:]):
		return answerNo{fmt.Errorf("revision %d has the hash %x: the register was written anew since yours was noted", of, have)}
	}
	fmt.Fprintf(c.stdout, "%s, each as it was written; hash of revision %d: %x\n", plural(v.Revisions, "revision"), of, have)
	return nil
}

func plural[N int | int64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
