package register

import (
	"net/http"
	"slices"
	"strconv"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

// pageSize is how many incidents a list shows at once.
const pageSize = 50

func (r *register) home(req *http.Request, reader access.Reader) (*answer, error) {
	views, err := r.store.Incidents(req.Context(), reader)
	if err != nil {
		return nil, err
	}
	return &answer{page: "home", title: "Register of data-theft incidents", data: struct {
		Newest []*incident.View
		Count  int
	}{views[:min(len(views), 10)], len(views)}}, nil
}

// list returns a page of incidents; after is the id of the last one of the page before.
func (r *register) list(req *http.Request, reader access.Reader) (views []*incident.View, next string, err error) {
	limit := pageSize
	if s := req.URL.Query().Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > 200 {
			return nil, "", &readerError{http.StatusBadRequest, "limit must be 1 to 200"}
		}
	}
	all, err := r.store.Incidents(req.Context(), reader)
	if err != nil {
		return nil, "", err
	}
	start := 0
	if after := req.URL.Query().Get("after"); after != "" {
		start = slices.IndexFunc(all, func(v *incident.View) bool { return v.ID == after }) + 1
		if start == 0 {
			return nil, "", &readerError{http.StatusBadRequest, "after is no incident of the list"}
		}
	}
	views = append([]*incident.View{}, all[start:min(start+limit, len(all))]...)
	if start+limit < len(all) {
		next = views[len(views)-1].ID
	}
	return views, next, nil
}

func (r *register) incidents(req *http.Request, reader access.Reader) (*answer, error) {
	views, next, err := r.list(req, reader)
	return &answer{page: "incidents", title: "Incidents", data: struct {
		Incidents []*incident.View
		Next      string
	}{views, next}}, err
}

func (r *register) incident(req *http.Request, reader access.Reader) (*answer, error) {
	v, err := r.store.Incident(req.Context(), reader, req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return &answer{page: "incident", title: v.Title, data: struct {
		*incident.View
		MayPublish bool
	}{v, v.Draft && reader.MayPublish()}}, nil
}

// about returns the incidents that f accepts.
func (r *register) about(req *http.Request, reader access.Reader, f func(*incident.View) bool) ([]*incident.View, error) {
	views, err := r.store.Incidents(req.Context(), reader)
	return slices.DeleteFunc(views, func(v *incident.View) bool { return !f(v) }), err
}

func (r *register) organisation(req *http.Request, reader access.Reader) (*answer, error) {
	o, err := r.store.Organisation(req.Context(), req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	views, err := r.about(req, reader, func(v *incident.View) bool { return v.Victim.ID == o.ID })
	if err == nil && len(views) == 0 { // it may have drafts only: then it is not known either
		err = store.ErrNotFound
	}
	return &answer{page: "organisation", title: o.Name, data: struct {
		incident.Organisation
		Incidents []*incident.View
	}{o, views}}, err
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
	views, err := r.about(req, reader, func(v *incident.View) bool {
		return slices.ContainsFunc(v.Actors.Items, func(x incident.ActorView) bool { return x.ID == a.ID })
	})
	if err == nil && len(views) == 0 {
		err = store.ErrNotFound
	}
	return &answer{page: "actor", title: a.Name, data: struct {
		incident.Actor
		Incidents []*incident.View
	}{a, views}}, err
}

func (r *register) source(req *http.Request, reader access.Reader) (*answer, error) {
	s, err := r.store.Source(req.Context(), req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	views, err := r.about(req, reader, func(v *incident.View) bool {
		return slices.ContainsFunc(v.Sources, func(l incident.Link) bool { return l.ID == s.ID })
	})
	if err == nil && len(views) == 0 {
		err = store.ErrNotFound
	}
	return &answer{page: "source", title: s.Publisher, data: struct {
		claim.Source
		Incidents []*incident.View
	}{s, views}}, err
}

func (r *register) properties(*http.Request, access.Reader) (*answer, error) {
	type row struct {
		claim.Property
		Levels []string
	}
	var rows []row
	for _, p := range claim.Properties() {
		x := row{Property: p}
		for _, t := range access.Tiers() {
			x.Levels = append(x.Levels, [...]string{"hidden", "count", "value"}[p.Access.Level(access.Reader{Tier: t})])
		}
		rows = append(rows, x)
	}
	return &answer{page: "properties", title: "What can be said about an incident", data: rows}, nil
}

func (r *register) search(req *http.Request, reader access.Reader) (*answer, error) {
	query := req.URL.Query().Get("q")
	if len(query) > 200 {
		return nil, &readerError{http.StatusBadRequest, "A search may have 200 bytes"}
	}
	ids, err := r.store.Search(req.Context(), reader, query)
	if err != nil {
		return nil, err
	}
	views, err := r.about(req, reader, func(v *incident.View) bool { return slices.Contains(ids, v.ID) })
	return &answer{page: "search", title: "Search", data: struct {
		Query     string
		Incidents []*incident.View
	}{query, views}}, err
}

func (r *register) members(*http.Request, access.Reader) (*answer, error) {
	return &answer{page: "members", title: "What members see"}, nil
}

func (r *register) publish(req *http.Request, reader access.Reader) (*answer, error) {
	if !reader.MayPublish() {
		return nil, &readerError{http.StatusForbidden, "Only an editor publishes"}
	}
	id := req.PathValue("id")
	if err := r.store.Publish(req.Context(), id); err != nil {
		return nil, err
	}
	return &answer{redirect: "/incidents/" + id}, nil
}
