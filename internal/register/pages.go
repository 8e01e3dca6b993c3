package register

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

// pageSize is how many incidents a list shows at once.
const pageSize = 50

func (r *register) home(req *http.Request, reader access.Reader) (*answer, error) {
	const few = 5
	newest, _, err := r.store.List(req.Context(), reader, store.Query{Limit: few})
	if err != nil {
		return nil, err
	}
	largest, _, err := r.store.List(req.Context(), reader, store.Query{Limit: few, Sort: "size"})
	if err != nil {
		return nil, err
	}
	years, err := r.store.Years(req.Context(), reader)
	return &answer{page: "home", title: "Register of data-theft incidents", data: struct {
		Newest, Largest []*incident.View
		Years           *barPlot
	}{newest, largest, plotYears(years)}}, err
}

// list returns a page of incidents; after is the id of the last one of the page before.
func (r *register) list(req *http.Request, reader access.Reader) (views []*incident.View, next string, err error) {
	q, err := query(req)
	if err != nil {
		return nil, "", err
	}
	views, next, err = r.store.List(req.Context(), reader, q)
	return append([]*incident.View{}, views...), next, err
}

func query(req *http.Request) (store.Query, error) {
	asked := req.URL.Query()
	q := store.Query{Limit: pageSize, After: asked.Get("after"), Sort: asked.Get("sort")}
	var err error
	if s := asked.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > 200 {
			return q, &readerError{http.StatusBadRequest, "limit must be 1 to 200"}
		}
	}
	if s := asked.Get("year"); s != "" {
		if q.Year, err = strconv.Atoi(s); err != nil || q.Year < 1 || q.Year > 9999 {
			return q, &readerError{http.StatusBadRequest, "year must be a year, such as 2022"}
		}
	}
	if q.Sort != "" && q.Sort != "date" && q.Sort != "size" {
		return q, &readerError{http.StatusBadRequest, "sort must be date or size"}
	}
	return q, nil
}

func (r *register) incidents(req *http.Request, reader access.Reader) (*answer, error) {
	views, next, err := r.list(req, reader)
	asked := req.URL.Query()
	asked.Set("after", next)
	return &answer{page: "incidents", title: "Incidents", data: struct {
		Incidents []*incident.View
		Next      string
		BySize    bool
		Year      string
	}{views, pick(next == "", "", "/incidents?"+asked.Encode()), asked.Get("sort") == "size", asked.Get("year")}}, err
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// moment reads from a request which time it asks of: as_of is source time, revision is record time.
func moment(req *http.Request) (m store.Moment, err error) {
	asked := req.URL.Query()
	if s := asked.Get("as_of"); s != "" {
		if m.AsOf, err = time.Parse("2006-01-02", s); err != nil {
			return m, &readerError{http.StatusBadRequest, "as_of must be a day, such as 2023-01-20"}
		}
	}
	if s := asked.Get("revision"); s != "" {
		if m.Revision, err = strconv.ParseInt(s, 10, 64); err != nil || m.Revision < 1 {
			return m, &readerError{http.StatusBadRequest, "revision must be a number from 1 on"}
		}
	}
	return m, nil
}

func (r *register) incident(req *http.Request, reader access.Reader) (*answer, error) {
	m, err := moment(req)
	if err != nil {
		return nil, err
	}
	v, err := r.store.Incident(req.Context(), reader, req.PathValue("id"), m)
	if err != nil {
		return nil, err
	}
	a := &answer{page: "incident", title: v.Title, data: struct {
		*incident.View
		Asked   store.Moment
		Largest *incident.Figure
		Plot    *dotPlot
		MayEdit bool
	}{v, m, v.People(), plotClaims(v), reader.MayPublish()}}
	if v.Withdrawn != "" {
		a.status = http.StatusGone
	}
	return a, nil
}

func (r *register) revisions(req *http.Request, reader access.Reader) (*answer, error) {
	id := req.PathValue("id")
	all, err := r.store.Revisions(req.Context(), reader, id)
	return &answer{page: "revisions", title: "Revisions of " + id, data: struct {
		ID        string
		Revisions []incident.RevisionView
		MayEdit   bool
	}{id, all, reader.MayPublish()}}, err
}

// about returns the incidents of a query on the reader's list, the latest first; what no such incident names is not known.
func (r *register) about(req *http.Request, reader access.Reader, q store.Query) ([]*incident.View, error) {
	views, _, err := r.store.List(req.Context(), reader, q)
	if err == nil && len(views) == 0 && !reader.MayPublish() {
		err = store.ErrNotFound
	}
	return views, err
}

func (r *register) organisation(req *http.Request, reader access.Reader) (*answer, error) {
	o, err := r.store.Organisation(req.Context(), req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	views, err := r.about(req, reader, store.Query{Victim: o.ID})
	if err != nil {
		return nil, err
	}
	slices.Reverse(views) // a history begins at its beginning
	var counts []incident.Count
	for _, v := range views {
		if v.History != nil {
			counts = longest(counts, v.History.Counts)
		}
	}
	slices.SortStableFunc(counts, func(a, b incident.Count) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
	return &answer{page: "organisation", title: o.Name, data: struct {
		incident.Organisation
		Incidents []*incident.View
		Plot      *spanPlot
		Counts    []incident.Count
		MayEdit   bool
	}{o, views, plotHistory(o.Name, views), counts, reader.MayPublish()}}, nil
}

// longest keeps for each rule the count that reaches farthest.
func longest(all, more []incident.Count) []incident.Count {
	for _, c := range more {
		at := slices.IndexFunc(all, func(x incident.Count) bool { return x.Name == c.Name })
		switch {
		case at < 0:
			all = append(all, c)
		case c.Ordinal > all[at].Ordinal:
			all[at] = c
		}
	}
	return all
}

// actor shows a threat actor to readers for whom some incident names it.
func (r *register) actor(req *http.Request, reader access.Reader) (*answer, error) {
	if p, _ := claim.Find("actor"); p.Access.Level(reader) != access.Value {
		return nil, &readerError{http.StatusForbidden, "Threat actors are available to members"}
	}
	a, err := r.store.Actor(req.Context(), req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	views, err := r.about(req, reader, store.Query{Actor: a.ID})
	if err != nil {
		return nil, err
	}
	type appearance struct {
		*incident.View
		As           incident.ActorView
		Attributions []incident.Figure
	}
	var all []appearance
	for _, v := range views {
		x := appearance{View: v}
		for _, as := range v.Actors.Items {
			if as.ID == a.ID {
				x.As = as
			}
		}
		for _, f := range v.Section("coding").Figures {
			if f.Property == "attribution" && f.Of == strings.ReplaceAll(a.ID, "_", " ") {
				x.Attributions = append(x.Attributions, f)
			}
		}
		all = append(all, x)
	}
	return &answer{page: "actor", title: a.Name, data: struct {
		incident.Actor
		Incidents []appearance
		MayEdit   bool
	}{a, all, reader.MayPublish()}}, nil
}

func (r *register) source(req *http.Request, reader access.Reader) (*answer, error) {
	s, err := r.store.Source(req.Context(), req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	views, err := r.about(req, reader, store.Query{Source: s.ID})
	if err != nil {
		return nil, err
	}
	type resting struct {
		*incident.View
		Figures []incident.Figure
	}
	var all []resting
	for _, v := range views {
		all = append(all, resting{v, slices.DeleteFunc(v.Figures(), func(f incident.Figure) bool { return f.Source == nil || f.Source.ID != s.ID })})
	}
	return &answer{page: "source", title: s.Publisher, data: struct {
		claim.Source
		Incidents []resting
		MayEdit   bool
	}{s, all, reader.MayPublish()}}, nil
}

// propertyRow is a property of the table as readers see it.
type propertyRow struct {
	Object  string            `json:"object"`
	Name    string            `json:"name"`
	Label   string            `json:"label"`
	Help    string            `json:"help"`
	Type    string            `json:"type"`
	Unit    string            `json:"unit,omitempty"`
	Words   []string          `json:"words,omitempty"`
	Of      string            `json:"of,omitempty"`
	OfWords []string          `json:"of_words,omitempty"`
	Values  string            `json:"values"` // one or many
	Tiers   map[string]string `json:"tiers"`  // what each sees: hidden, count or value
	Levels  []string          `json:"-"`      // the same in the order of the tiers
	VERIS   string            `json:"veris,omitempty"`
	STIX    string            `json:"stix,omitempty"`
	Source  string            `json:"catalogue,omitempty"`
}

func propertyRows() (rows []propertyRow) {
	for _, p := range claim.Properties() {
		x := propertyRow{
			Object: string(p.Object), Name: p.Name, Label: p.Label, Help: p.Help, Type: string(p.Type), Unit: p.Unit, Words: p.Words(), Of: p.Of, OfWords: p.OfWords,
			Values: string(p.Values), Tiers: map[string]string{}, VERIS: p.VERIS, STIX: p.STIX, Source: p.Catalogue,
		}
		for _, t := range access.Tiers() {
			level := [...]string{"hidden", "count", "value"}[p.Access.Level(access.Reader{Tier: t})]
			x.Tiers[t.String()] = level
			x.Levels = append(x.Levels, level)
		}
		rows = append(rows, x)
	}
	return rows
}

func (r *register) properties(*http.Request, access.Reader) (*answer, error) {
	return &answer{page: "properties", title: "What can be said", data: propertyRows()}, nil
}

func (r *register) search(req *http.Request, reader access.Reader) (*answer, error) {
	words := req.URL.Query().Get("q")
	if len(words) > 200 {
		return nil, &readerError{http.StatusBadRequest, "A search may have 200 bytes"}
	}
	q, err := query(req)
	if err != nil {
		return nil, err
	}
	var views []*incident.View
	next := ""
	if words != "" {
		q.Search = words
		views, next, err = r.store.List(req.Context(), reader, q)
	}
	asked := req.URL.Query()
	asked.Set("after", next)
	return &answer{page: "search", title: "Search", data: struct {
		Query     string
		Incidents []*incident.View
		Next      string
	}{words, views, pick(next == "", "", "/search?"+asked.Encode())}}, err
}

func (r *register) members(*http.Request, access.Reader) (*answer, error) {
	return &answer{page: "members", title: "What members see"}, nil
}
