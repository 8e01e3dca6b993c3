package exposure

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/ledger"
)

// recount answers a query the plain way: it looks at every entry and keeps everybody in maps. It shares nothing with the index.
func recount(entries []ledger.Entry, q Query) (*Answer, []Person) {
	a := &Answer{Query: q, ByClass: map[string]int{}}
	people := map[weir.Pseudonym]*Person{}
	principals, units, gaps, blocks := map[weir.Pseudonym]bool{}, map[string]bool{}, map[weir.Reason]*Gap{}, map[weir.Pseudonym]int{}
	asked := func(who weir.Pseudonym, at time.Time) bool {
		return (q.Principal == nil || *q.Principal == who) && !at.Before(q.From) && (q.To.IsZero() || at.Before(q.To))
	}
	wanted := func(s weir.ClassSet) bool { return q.Classes == 0 || s&q.Classes != 0 }
	for _, e := range entries {
		a.Position = e.Seq + 1
		switch b := e.Body.(type) {
		case *ledger.Block:
			if asked(b.Principal, e.Time) {
				f := weir.Finding{Kind: "quota_block", Time: e.Time, Principal: b.Principal.String(), People: b.People, Quota: b.Quota, Window: b.Window.String()}
				if b.Cause == ledger.ByHand {
					f.Kind, f.Window = "manual_block", ""
				}
				blocks[b.Principal] = len(a.Findings)
				a.Findings = append(a.Findings, f)
			}
		case *ledger.Unblock:
			if at, ok := blocks[b.Principal]; ok {
				a.Findings[at].Ended = true
			}
		case *ledger.Outcome:
			if !asked(b.Principal, e.Time) || q.Route != "" && q.Route != b.Route {
				continue
			}
			a.Bytes += b.Bytes
			if b.Kind == weir.Gap {
				if gaps[b.Reason] == nil {
					gaps[b.Reason] = &Gap{Reason: b.Reason}
				}
				gaps[b.Reason].Responses++
				gaps[b.Reason].Bytes += b.Bytes
			}
			personal := false
			for _, r := range b.Released {
				if !wanted(r.Classes) {
					continue
				}
				personal = true
				p := people[r.DataSubject]
				if p == nil {
					p = &Person{DataSubject: r.DataSubject, First: e.Time}
					people[r.DataSubject] = p
				}
				p.Classes |= r.Classes
				p.Last = e.Time
				p.Count++
				a.Disclosures++
				if a.First.IsZero() {
					a.First = e.Time
				}
				a.Last = e.Time
			}
			if u := b.Unattached; (u.People > 0 || len(b.Released) > 0 && u.Classes != 0) && wanted(u.Classes) {
				personal = true
				a.Unattributed.People += u.People
				a.Unattributed.Classes |= u.Classes
			}
			if personal {
				principals[b.Principal], units[b.Unit] = true, true
			}
		}
	}
	a.People = len(people)
	var list []Person
	for _, p := range people {
		list = append(list, *p)
		for _, name := range p.Classes.Names() {
			a.ByClass[name]++
		}
	}
	slices.SortFunc(list, func(x, y Person) int { return slices.Compare(x.DataSubject[:], y.DataSubject[:]) })
	a.Unit = strings.Join(slices.Sorted(maps.Keys(units)), ",")
	a.Principals = slices.SortedFunc(maps.Keys(principals), func(x, y weir.Pseudonym) int { return slices.Compare(x[:], y[:]) })
	for _, g := range gaps {
		a.Gaps = append(a.Gaps, *g)
	}
	slices.SortFunc(a.Gaps, func(x, y Gap) int { return cmp.Compare(x.Reason, y.Reason) })
	return a, list
}

// accounting is one person's, the plain way.
func accountingOf(entries []ledger.Entry, subject weir.Pseudonym) []weir.Disclosure {
	list := []weir.Disclosure{}
	for _, e := range entries {
		o, ok := e.Body.(*ledger.Outcome)
		if !ok {
			continue
		}
		for _, r := range o.Released {
			if r.DataSubject == subject {
				list = append(list, weir.Disclosure{Time: e.Time, Principal: o.Principal, DataSubject: subject, Classes: r.Classes, Route: o.Route})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b weir.Disclosure) int {
		return cmp.Or(a.Time.Compare(b.Time), slices.Compare(a.Principal[:], b.Principal[:]))
	})
	return list
}

// topOf is the principals with the most people, the plain way.
func topOf(entries []ledger.Entry, q Query, n int) []Receiver {
	all, _ := recount(entries, q)
	top := []Receiver{}
	for _, p := range all.Principals {
		q.Principal = &p
		if a, _ := recount(entries, q); a.People > 0 {
			top = append(top, Receiver{p, a.People})
		}
	}
	slices.SortFunc(top, func(a, b Receiver) int {
		return cmp.Or(cmp.Compare(b.People, a.People), slices.Compare(a.Principal[:], b.Principal[:]))
	})
	return top[:min(len(top), n)]
}

// memLedger is a ledger's folder in memory, which syncs at no cost.
type memLedger struct {
	mu    sync.Mutex
	files map[string]*memFile
}

type memFile struct {
	dir *memLedger
	b   []byte
}

func newMemLedger() *memLedger { return &memLedger{files: map[string]*memFile{}} }

func (m *memLedger) List() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files)), nil
}

func (m *memLedger) Open(name string) (ledger.Source, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.files[name]; f != nil {
		return f, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memLedger) Create(name string) (ledger.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		return nil, fs.ErrExist
	}
	m.files[name] = &memFile{dir: m}
	return m.files[name], nil
}

func (m *memLedger) Reopen(name string) (ledger.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f, nil
}

func (m *memLedger) SyncDir() error { return nil }

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	if end := int(off) + len(b); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], b), nil
}

func (f *memFile) Truncate(size int64) error {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	f.b = append(f.b[:min(int(size), len(f.b))], make([]byte, max(0, int(size)-len(f.b)))...)
	return nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	if off >= int64(len(f.b)) {
		return 0, io.EOF
	}
	n := copy(b, f.b[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Size() (int64, error) {
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	return int64(len(f.b)), nil
}

func (f *memFile) Sync() error  { return nil }
func (f *memFile) Close() error { return nil }

// quickDir returns a folder that syncs at no cost, where the machine has one.
func quickDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "weir-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func allEntries(t interface{ Fatalf(string, ...any) }, fsys ledger.FS) (entries []ledger.Entry) {
	sum, err := ledger.Read(fsys, ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		entries = append(entries, e)
		return nil
	}})
	if err != nil || len(sum.Faults) > 0 {
		t.Fatalf("%v, %v", err, sum)
	}
	return entries
}

// differs compares every question's answer with the recount, and returns the first difference.
func differs(x *Index, entries []ledger.Entry, q Query, n int) string {
	want, wantList := recount(entries, q)
	got, err := x.Answer(q)
	if err != nil {
		return err.Error()
	}
	if g, w := fmt.Sprintf("%+v", deref(got)), fmt.Sprintf("%+v", deref(want)); g != w {
		return fmt.Sprintf("answer\n%s, want\n%s", g, w)
	}
	var list []Person
	ask := func() error {
		list = nil
		return x.People(q, func(p *Person) error {
			list = append(list, *p)
			return nil
		})
	}
	err = ask()
	if errors.Is(err, errDoubt) && len(list) > 0 { // found in the middle of the list
		err = ask()
	}
	if err != nil {
		return err.Error()
	}
	slices.SortFunc(list, func(x, y Person) int { return slices.Compare(x.DataSubject[:], y.DataSubject[:]) })
	if !slices.Equal(list, wantList) {
		return fmt.Sprintf("people\n%+v, want\n%+v", list, wantList)
	}
	q.Principal = nil
	top, err := x.Top(q, n)
	if want := topOf(entries, q, n); err != nil || !slices.Equal(top, want) {
		return fmt.Sprintf("top %v, %v, want %v", top, err, want)
	}
	return ""
}

func deref(a *Answer) Answer {
	b := *a
	b.Query, b.Begins = Query{}, 0
	if len(b.Gaps) == 0 {
		b.Gaps = nil
	}
	return b
}

func accountingDiffers(x *Index, entries []ledger.Entry, subject weir.Pseudonym) string {
	got, err := x.Accounting(subject)
	if want := accountingOf(entries, subject); err != nil || !slices.Equal(got, want) {
		return fmt.Sprintf("accounting %v, %v, want %v", got, err, want)
	}
	return ""
}
