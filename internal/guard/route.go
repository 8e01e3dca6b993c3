package guard

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"weir"
	"weir/internal/inspect"
)

// A Route says how the answers to some requests are read and what may be done with them.
type Route struct {
	Match     string                // a pattern of net/http.ServeMux without a host, such as "GET /v1/customers/{id}"
	Records   string                // see inspect.Mapping
	Subject   string                // see inspect.Mapping; empty when SubjectIn is given
	SubjectIn string                // the wildcard of Match that holds the data subject's key
	Unit      string                // what one data subject is; "account" if empty
	Classes   map[string]weir.Class // see inspect.Mapping
	Cut       bool                  // an answer beyond the quota is cut down to what fits; otherwise it is refused
	Irregular bool                  // irregular documents are read and released; otherwise they are refused
	PassOther bool                  // what is not JSON is released as a gap; otherwise it is refused
	Observe   bool                  // record everything, refuse nothing

	plan    *inspect.Plan
	access  access
	pattern []string // the path's segments, for SubjectIn
}

// access says what is done with a route's answers before they are read.
type access uint8

const (
	inspected access = iota
	passed
	refused
)

// The names of what is done with requests that no route matches; each also is the route's name in the ledger.
const (
	UnmatchedInspect = "inspect"
	UnmatchedRefuse  = "refuse"
	UnmatchedPass    = "pass"
	unmatchedName    = "unmatched"
)

// compile checks the route and prepares it.
func (rt *Route) compile() error {
	if rt.Unit == "" {
		rt.Unit = "account"
	}
	if err := weir.CheckUnit(rt.Unit); err != nil {
		return err
	}
	_, p, ok := strings.Cut(rt.Match, " ")
	if !ok || !strings.HasPrefix(p, "/") {
		return errors.New("match must be a method, a space and a path, such as \"GET /v1/customers/{id}\"")
	}
	if p != "/" && strings.HasSuffix(p, "/") {
		return errors.New("match must not end in a slash: end it in {$} for that path alone, or in {rest...} for all below it")
	}
	rt.pattern = strings.Split(p, "/")
	if rt.SubjectIn != "" {
		if rt.Subject != "" {
			return errors.New("subject is either a pointer or {path: name}, not both")
		}
		if rt.segment() < 0 {
			return fmt.Errorf("match has no wildcard {%s} for the subject", rt.SubjectIn)
		}
	} else if rt.Subject == "" && rt.access == inspected && rt.Match != unmatchedName {
		return errors.New("subject is missing: give the pointer to the key of the person within a record, or {path: name}")
	}
	plan, err := inspect.Compile(inspect.Mapping{Records: rt.Records, Subject: rt.Subject, FromPath: rt.SubjectIn != "", Classes: rt.Classes})
	rt.plan = plan
	return err
}

func (rt *Route) segment() int {
	for i, s := range rt.pattern {
		if s == "{"+rt.SubjectIn+"}" {
			return i
		}
	}
	return -1
}

// pathKey returns the canonical key of the data subject that the path names, or "".
func (rt *Route) pathKey(path string) string {
	segments := strings.Split(path, "/")
	i := rt.segment()
	if i < 0 || i >= len(segments) {
		return ""
	}
	key, err := weir.CanonicalString(segments[i])
	if err != nil {
		return ""
	}
	return key
}

// ServeHTTP exists so that a ServeMux can hold routes; it is never called.
func (rt *Route) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "a route is not served", http.StatusInternalServerError)
}

// table finds the route of a request.
type table struct {
	mux       *http.ServeMux
	unmatched *Route
}

// newTable compiles the routes. The mux panics on patterns that it cannot read or that conflict; that becomes an error.
func newTable(routes []*Route, unmatched *Route) (t *table, err error) {
	t = &table{mux: http.NewServeMux(), unmatched: unmatched}
	for _, rt := range routes {
		if err := rt.compile(); err != nil {
			return nil, fmt.Errorf("route %q: %w", rt.Match, err)
		}
		if err := handle(t.mux, rt); err != nil {
			return nil, fmt.Errorf("route %q: %w", rt.Match, err)
		}
	}
	return t, nil
}

func handle(mux *http.ServeMux, rt *Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("match cannot be used: %v", p)
		}
	}()
	mux.Handle(rt.Match, rt)
	return nil
}

// find returns the request's route; what no route matches has the unmatched one.
func (t *table) find(r *http.Request) *Route {
	h, _ := t.mux.Handler(r)
	if rt, ok := h.(*Route); ok {
		return rt
	}
	return t.unmatched
}

// plainPath reports whether the path means the same to everybody who reads it: no empty segment, no dot segment, no encoded
// slash, backslash or dot. Any other path could match one route here and another one at the upstream.
func plainPath(r *http.Request) bool {
	p := r.URL.Path
	if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\\\x00") {
		return false
	}
	if clean := path.Clean(p); clean != p && clean+"/" != p {
		return false
	}
	raw := strings.ToLower(r.URL.EscapedPath())
	return !strings.Contains(raw, "%2f") && !strings.Contains(raw, "%5c") && !strings.Contains(raw, "%2e")
}
