package exposure

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is where an index keeps its files. A file gets its name once all of it is durable, and a segment's name is never
// used again; so what the manifest names is whole, whatever crashed.
type folder struct {
	path  string
	fault func(op, name string) error // tests: called before each change; its error is that change's
}

const manifestName = "manifest"

func (d folder) check(op, name string) error {
	if d.fault == nil {
		return nil
	}
	return d.fault(op, name)
}

// newFile is a file being written under a temporary name.
type newFile struct {
	*os.File
	dir  folder
	name string // that it will have
}

func (d folder) create(name string) (*newFile, error) {
	if err := d.check("create", name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(d.path, name+".tmp"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &newFile{f, d, name}, nil
}

func (f *newFile) Write(b []byte) (int, error) {
	if err := f.dir.check("write", f.name); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// keep makes the file durable and gives it its name. A crash before the rename leaves a temporary file, which the next owner
// removes; a crash behind it leaves a whole file that no manifest names, or the new manifest.
func (f *newFile) keep() error {
	err := f.dir.check("sync", f.name)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := f.dir.check("rename", f.name); err != nil {
		return err
	}
	if err := os.Rename(f.File.Name(), filepath.Join(f.dir.path, f.name)); err != nil {
		return err
	}
	return f.dir.sync()
}

func (d folder) sync() error {
	if err := d.check("syncdir", ""); err != nil {
		return err
	}
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d folder) remove(name string) error {
	if err := d.check("remove", name); err != nil {
		return err
	}
	return os.Remove(filepath.Join(d.path, name))
}

// manifest names the index's segments, in the order of what they cover, and how far they go. On disk it is one line of JSON
// and one with that line's SHA-256.
type manifest struct {
	Version   int               `json:"version"`
	Position  uint64            `json:"position"`   // entries of the ledger that the segments cover, from the first on
	LastEntry uint64            `json:"last_entry"` // digest of the last one of them
	Segments  []manifestSegment `json:"segments"`
}

type manifestSegment struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

const manifestVersion = 1

// readManifest returns nil where there is none.
func (d folder) readManifest() (*manifest, error) {
	raw, err := os.ReadFile(filepath.Join(d.path, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	line, sum, ok := bytes.Cut(raw, []byte("\n"))
	if want := sha256.Sum256(line); !ok || string(sum) != hex.EncodeToString(want[:])+"\n" {
		return nil, doubt("the manifest has another checksum")
	}
	m := &manifest{}
	if err := json.Unmarshal(line, m); err != nil || m.Version != manifestVersion {
		return nil, doubt("the manifest is of another version")
	}
	return m, nil
}

func (d folder) writeManifest(m *manifest) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := d.create(manifestName)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(line)
	if _, err := fmt.Fprintf(f, "%s\n%x\n", line, sum); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.keep()
}

// tidy removes what a crash, or a merge that a reader outlived, has left: everything of ours but the files that m names.
func (d folder) tidy(m *manifest) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	if m != nil {
		named[manifestName] = true
		for _, s := range m.Segments {
			named[s.Name] = true
		}
	}
	var errs []error
	for _, e := range entries {
		ours := strings.HasSuffix(e.Name(), ".seg") || strings.HasSuffix(e.Name(), ".tmp") || e.Name() == manifestName
		if ours && !named[e.Name()] {
			errs = append(errs, d.remove(e.Name()))
		}
	}
	return errors.Join(errs...)
}
