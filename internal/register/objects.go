package register

import (
	"errors"
	"net/http"
	"strings"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

// objectForm is the form for an organisation, an actor or a source; its fields are the rows of the property table.
type objectForm struct {
	Object   claim.Object
	ID       string
	New      bool
	Fields   []objectField
	Reason   string
	Problems []incident.Problem
}

type objectField struct {
	claim.Property
	Value string // several are separated by semicolons
}

// objectFor begins a form; its fields are filled by value.
func objectFor(req *http.Request, value func(name string) string) (*objectForm, error) {
	f := &objectForm{Object: claim.Object(req.PathValue("object")), ID: req.PathValue("id")}
	if f.Object != claim.OfOrganisation && f.Object != claim.OfActor && f.Object != claim.OfSource {
		return nil, store.ErrNotFound
	}
	f.New = f.ID == "new"
	for _, p := range claim.Properties() {
		if p.Object == f.Object {
			f.Fields = append(f.Fields, objectField{p, value(p.Name)})
		}
	}
	return f, nil
}

func (f *objectForm) answer(status int) *answer {
	return &answer{page: "object", status: status, title: pick(f.New, "New ", "Edit ") + string(f.Object), data: f}
}

func (r *register) objectForm(req *http.Request, _ access.Reader) (*answer, error) {
	values, err := r.objectValues(req)
	if err != nil {
		return nil, err
	}
	f, err := objectFor(req, func(name string) string { return values[name] })
	if err != nil {
		return nil, err
	}
	return f.answer(http.StatusOK), nil
}

func (r *register) objectValues(req *http.Request) (map[string]string, error) {
	ctx, id := req.Context(), req.PathValue("id")
	if id == "new" {
		return nil, nil
	}
	switch claim.Object(req.PathValue("object")) {
	case claim.OfOrganisation:
		o, err := r.store.Organisation(ctx, id)
		return map[string]string{"name": o.Name, "country": o.Country, "sector": o.Sector, "aliases": strings.Join(o.Aliases, "; ")}, err
	case claim.OfActor:
		a, err := r.store.Actor(ctx, id)
		return map[string]string{"name": a.Name, "aliases": strings.Join(a.Aliases, "; ")}, err
	case claim.OfSource:
		s, err := r.store.Source(ctx, id)
		return map[string]string{
			"publisher": s.Publisher, "title": s.Title, "type": s.Type, "published": s.Published, "retrieved": s.Retrieved, "url": s.URL, "sha256": s.SHA256,
			"archived": s.Archived, "note": s.Note,
		}, err
	}
	return nil, store.ErrNotFound
}

// putObject writes an object as a revision of the register.
func (r *register) putObject(req *http.Request, reader access.Reader) (*answer, error) {
	get := func(name string) string { return strings.TrimSpace(plain(req.PostFormValue(name))) }
	f, err := objectFor(req, get)
	if err != nil {
		return nil, err
	}
	id := f.ID
	if f.New {
		id = get("id")
	}
	var set incident.Set
	switch f.Object {
	case claim.OfOrganisation:
		set.Organisations = []incident.Organisation{{ID: id, Name: get("name"), Country: get("country"), Sector: get("sector"), Aliases: several(get("aliases"))}}
	case claim.OfActor:
		set.Actors = []incident.Actor{{ID: id, Name: get("name"), Aliases: several(get("aliases"))}}
	case claim.OfSource:
		set.Sources = []claim.Source{{
			ID: id, Publisher: get("publisher"), Title: get("title"), Type: get("type"), Published: get("published"), Retrieved: get("retrieved"), URL: get("url"),
			SHA256: get("sha256"), Archived: get("archived"), Note: get("note"),
		}}
	}
	f.Reason = get("reason")
	if f.Reason == "" {
		f.Problems = append(f.Problems, incident.Problem{Property: "reason", What: "is missing"})
		return f.answer(http.StatusUnprocessableEntity), nil
	}
	_, err = r.store.Import(req.Context(), &set, store.Who{Author: reader.Account, Reason: f.Reason}, false)
	var lint *store.LintError
	if errors.As(err, &lint) {
		f.Problems = lint.Problems
		return f.answer(http.StatusUnprocessableEntity), nil
	}
	return &answer{redirect: "/" + string(f.Object) + "s/" + id}, err
}

func several(s string) (all []string) {
	for part := range strings.SplitSeq(s, ";") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}
