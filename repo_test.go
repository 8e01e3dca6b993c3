package weir_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// A room is a package, what it may import of this module, and why it stands where it does.
type room struct {
	may []string
	why string
}

// rooms is the import table: arrows point downwards only. A package that is not here may not exist, and a row without a
// package neither.
var rooms = map[string]room{
	".":                            {nil, "the words and formats that both sides and other programs share; no I/O"},
	"internal/classify":            {[]string{"."}, "a recogniser knows classes and nothing of where a value came from"},
	"internal/inspect":             {[]string{".", "internal/classify"}, "reads bytes; what they mean for a quota or a ledger is not its business"},
	"internal/quota":               {[]string{"."}, "a pure state machine, so that a model can check it and a replay can rebuild it"},
	"internal/digest":              {nil, "hashes bytes; what they are of is not its business"},
	"internal/ledger":              {[]string{".", "internal/digest"}, "stores entries; who decides on them stands above it"},
	"internal/guard":               {[]string{".", "internal/inspect", "internal/quota", "internal/ledger"}, "P1 and P2 are kept in one place"},
	"internal/proxy":               {[]string{".", "internal/guard"}, "HTTP before the guard; other front ends can stand beside it"},
	"internal/exposure":            {[]string{".", "internal/ledger"}, "answers from the ledger alone (P5), so it may know nothing of the guard"},
	"internal/auditor":             {nil, "a second opinion about ledgers: it shares no code with what it judges, the root's formats included"},
	"internal/access":              {nil, "P7 is decided in one place, which knows no property and no page"},
	"internal/claim":               {[]string{"internal/access"}, "the property table says who may read what"},
	"internal/incident":            {[]string{".", "internal/access", "internal/claim"}, "the record is made of claims; of the guard's side it knows the statement only"},
	"internal/store":               {[]string{".", "internal/access", "internal/claim", "internal/incident"}, "the one place with SQL"},
	"internal/register":            {[]string{".", "internal/access", "internal/claim", "internal/incident", "internal/store"}, "shows what a view holds; no key and no ledger is in reach of what the public talks to"},
	"records":                      {nil, "data"},
	"examples/carrier":             {nil, "a stranger's API: it must not know the guard that stands before it"},
	"examples/carrier/cmd/carrier": {[]string{"examples/carrier"}, "the same, to run by itself"},
	"cmd/weir-audit":               {[]string{"internal/auditor"}, "what an auditor is handed: nothing of the program that wrote the ledger is in it"},
	"cmd/weir":                     {[]string{"*"}, "wiring: the one place where the guard's side meets the register's"},
}

// testData are the packages that tests of any room may import besides: they hold data, or judge it.
var testData = []string{"records", "examples/carrier", "internal/incident", "internal/auditor"}

// goFiles returns the Go files of this module by folder; modules within it are their own.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
		}
		if filepath.Ext(name) == ".go" {
			dir := filepath.ToSlash(filepath.Dir(name))
			files[dir] = append(files[dir], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestImportsPointDownwards(t *testing.T) {
	files := goFiles(t)
	for dir := range rooms {
		if len(files[dir]) == 0 {
			t.Errorf("%s is in the table and does not exist", dir)
		}
	}
	for dir, names := range files {
		r, ok := rooms[dir]
		if !ok || r.why == "" {
			t.Errorf("%s is not in the table, or without a reason", dir)
			continue
		}
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range f.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if imported != "weir" && !strings.HasPrefix(imported, "weir/") {
					continue
				}
				to := path.Join(".", strings.TrimPrefix(strings.TrimPrefix(imported, "weir"), "/"))
				may := slices.Contains(r.may, to) || slices.Contains(r.may, "*")
				if strings.HasSuffix(name, "_test.go") {
					may = may || to == dir || slices.Contains(testData, to) || slices.Contains(below(dir), to)
				}
				if !may {
					t.Errorf("%s imports %s: %s may import %v, because %s", name, imported, dir, r.may, r.why)
				}
			}
		}
	}
}

// below returns everything that a room rests on, directly or not.
func below(dir string) (all []string) {
	for _, d := range rooms[dir].may {
		if d != "*" {
			all = append(append(all, d), below(d)...)
		}
	}
	return all
}

// The table itself has no circle, and the two sides meet nowhere but in the command and in the root.
func TestSidesStayApart(t *testing.T) {
	guard := []string{"internal/classify", "internal/inspect", "internal/quota", "internal/ledger", "internal/guard", "internal/proxy", "internal/exposure"}
	register := []string{"internal/access", "internal/claim", "internal/incident", "internal/store", "internal/register"}
	for dir := range rooms {
		if slices.Contains(below(dir), dir) {
			t.Errorf("%s rests on itself", dir)
		}
		for _, d := range below(dir) {
			if slices.Contains(guard, dir) && slices.Contains(register, d) || slices.Contains(register, dir) && slices.Contains(guard, d) {
				t.Errorf("%s rests on %s, which is of the other side", dir, d)
			}
		}
	}
}

// Every package says in one sentence what it does; a sentence that needs an "and" is two packages.
func TestPackageSentences(t *testing.T) {
	for dir, names := range goFiles(t) {
		var docs []string
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				docs = append(docs, f.Doc.Text())
			}
		}
		if len(docs) == 0 && len(names) == len(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, "_test.go") })) {
			continue // tests only
		}
		if len(docs) != 1 {
			t.Errorf("%s has %d package comments", dir, len(docs))
			continue
		}
		first, _, _ := strings.Cut(docs[0], "\n")
		if !strings.HasPrefix(first, "Package ") && !strings.HasPrefix(first, "Command ") || !strings.HasSuffix(first, ".") || strings.Contains(first, " and ") {
			t.Errorf("%s: %q is not one sentence on one line without \"and\"", dir, first)
		}
	}
}

// Each direct dependency has its reason in ARCHITECTURE.md, and there are fewer than twenty.
func TestDependenciesHaveReasons(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	direct := 0
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		direct++
		if !strings.Contains(string(doc), "`"+r.Mod.Path+"`") {
			t.Errorf("ARCHITECTURE.md gives no reason for %s", r.Mod.Path)
		}
	}
	if direct >= 20 {
		t.Errorf("%d direct dependencies", direct)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// What the documents lead to is there, and every promise that they name is kept somewhere in the code.
func TestDocuments(t *testing.T) {
	promises := map[string]bool{}
	promise := regexp.MustCompile(`\bP[1-9]\b`)
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(string(m[1])); err != nil {
				t.Errorf("%s leads to %s: %v", name, m[1], err)
			}
		}
		for _, p := range promise.FindAllString(string(text), -1) {
			promises[p] = true
		}
	}
	var code strings.Builder
	for _, names := range goFiles(t) {
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(promises)) {
		if !regexp.MustCompile(`\b` + p + `\b`).MatchString(code.String()) {
			t.Errorf("no code says that it keeps %s", p)
		}
	}
}

// The README's commands are those that CI runs.
func TestReadmeAndCIAgree(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ci, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	const tests = "./test.sh"
	if !strings.Contains(string(readme), "\n"+tests+"\n") || !strings.Contains(string(ci), tests) {
		t.Errorf("README.md and .ci/run do not both run %q", tests)
	}
	if out, err := exec.Command("sh", "-n", "test.sh").CombinedOutput(); err != nil {
		t.Errorf("test.sh: %s", out)
	}
}
