package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Lint needs no config, reports everything at once, and says what to do.
func TestLint(t *testing.T) {
	if status, _, errs := weirRun(t, "", "register", "lint", "../../records"); status != 0 || !strings.Contains(errs, "no problem") {
		t.Fatalf("the built-in records: status %d, %s", status, errs)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"organisations.yaml": "- {id: x, name: X}\n", "sources.yaml": "- {id: s, publisher: P, type: press}\n",
		"one.yaml": "id: one\nvictim: x\nclaims:\n  - {property: date, value: soon, speaker: press, source: s}\n  - {property: people, of: all, value: \"37000000\", speaker: press, source: s}\n" +
			"  - {property: summary, value: \"It took 37 million.\", kind: assessed, speaker: editors, coder: c, reasoning: r}\n",
		"two.yaml": "id: two\nvictim: x\nclaims:\n  - {property: date, value: \"2022\", speaker: press, source: gone}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	status, out, errs := weirRun(t, "", "register", "lint", dir)
	if status != 1 || !strings.Contains(errs, "3 problems in 2 records") {
		t.Errorf("status %d, %s", status, errs)
	}
	for _, want := range []string{
		filepath.Join(dir, "one.yaml") + `:4: date: value "soon" is no date`, `one.yaml:6: summary: "37 million" stands bare in "It took 37 million." (write a reference: {people:all})`, `two.yaml:4: date: no source "gone"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	status, out, _ = weirRun(t, "", "register", "lint", "-format", "json", filepath.Join(dir, "two.yaml"))
	var report struct {
		Records  int
		Problems []struct {
			File, Property, What, Hint string
			Line                       int
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || status != 1 || report.Records != 1 || len(report.Problems) != 1 || report.Problems[0].Line != 4 || report.Problems[0].Property != "date" {
		t.Errorf("status %d, %s, %v", status, out, err)
	}
	for _, args := range [][]string{{"register", "lint"}, {"register", "lint", "-format", "xml", dir}, {"register", "lint", filepath.Join(dir, "nothing")}, {"register", "lint", t.TempDir()}} {
		if status, _, errs := weirRun(t, "", args...); status != 2 || errs == "" {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}

// The register comes out as it went in, and nothing that somebody wrote by hand is written over.
func TestExportAndVerify(t *testing.T) {
	w := newWorkplace(t)
	if status, _, errs := weirRun(t, "", "register", "verify", "-config", w.config); status != 2 || !strings.Contains(errs, "no register in") {
		t.Errorf("verify makes a register: status %d, %s", status, errs)
	}
	must(t, "register", "import", "-config", w.config)
	first := must(t, "register", "verify", "-config", w.config)
	hash := regexp.MustCompile(`[0-9a-f]{64}`).FindString(first)
	if !strings.HasPrefix(first, "1 revision, each as it was written") || hash == "" {
		t.Fatalf("verify: %s", first)
	}
	out := filepath.Join(w.dir, "out")
	must(t, "register", "export", "-config", w.config, "-o", out)
	if status, _, errs := weirRun(t, "", "register", "lint", out); status != 0 {
		t.Errorf("what was exported is not clean: %s", errs)
	}
	path := filepath.Join(out, "t-mobile-us-2018-08.yaml")
	record, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(record), "- property:", "- id: looked-at-again\n    property:", 1)
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := weirRun(t, "", "register", "import", "-config", w.config, "-replace", "-reason", "a note", path); status != 0 || !strings.Contains(errs, "1 new claim in 1 incident") {
		t.Fatalf("status %d, %s", status, errs)
	}
	must(t, "register", "export", "-config", w.config, "-o", out)
	if again, err := os.ReadFile(path); err != nil || strings.Count(string(again), "looked-at-again") != 1 || strings.Count(string(again), "\n") != strings.Count(string(record), "\n")+1 {
		t.Errorf("after the change the file differs in more than a line: %v", err)
	}
	if err := os.WriteFile(path, append([]byte("# mine\n"), record...), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := weirRun(t, "", "register", "export", "-config", w.config, "-o", out); status != 2 || !strings.Contains(errs, "has comments, which would be lost") {
		t.Errorf("status %d, %s", status, errs)
	}
	if kept, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(kept), "# mine\n") {
		t.Errorf("a file with comments was written over: %v", err)
	}
	must(t, "register", "verify", "-config", w.config, "-revision", "1", "-hash", hash)
	for _, args := range [][]string{{"-revision", "1", "-hash", strings.Repeat("0", 64)}, {"-revision", "9", "-hash", hash}, {"-hash", hash}} {
		if status, _, errs := weirRun(t, "", append([]string{"register", "verify", "-config", w.config}, args...)...); status != 1 || errs == "" {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	if status, _, _ := weirRun(t, "", "register", "verify", "-config", w.config, "-hash", "abc"); status != 2 {
		t.Errorf("what is no hash: status %d", status)
	}
}

// What is named is imported and nothing else: the built-in records come only where nothing is named.
func TestImportOfOneRecord(t *testing.T) {
	w := newWorkplace(t)
	dir := filepath.Join(w.dir, "mine")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"organisations.yaml": "- {id: x, name: X}\n", "sources.yaml": "- {id: s, publisher: P, type: press}\n",
		"mine.yaml": "id: mine\nvictim: x\nclaims:\n  - {property: date, value: \"2022\", speaker: press, source: s}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	held := func() string {
		out := filepath.Join(w.dir, "out")
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		must(t, "register", "export", "-config", w.config, "-o", out)
		names, err := filepath.Glob(filepath.Join(out, "*-20*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, " ")
	}
	if out := must(t, "register", "import", "-config", w.config, dir); out != "mine\n" {
		t.Errorf("imported: %s", out)
	}
	if names := held(); names != "" {
		t.Errorf("beside what was named: %s", names)
	}
	must(t, "register", "import", "-config", w.config)
	if names := held(); !strings.Contains(names, "t-mobile-us-2022-11.yaml") {
		t.Errorf("the built-in records: %s", names)
	}
}

// Asking how a command is used is no wrong use.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, cmd := range commands() {
		status, out, errs := weirRun(t, "", append(strings.Fields(cmd.name), "-help")...)
		if status != 0 || !strings.Contains(out+errs, "weir "+cmd.name) {
			t.Errorf("weir %s -help: status %d, %s%s", cmd.name, status, out, errs)
		}
	}
}
