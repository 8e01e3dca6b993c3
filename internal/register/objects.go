package register

import (
	"errors"
	"net/http"
	"strconv"
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
	Base     int64 // the revision that the edit began from; 0 for a new one
	Fields   []objectField
	Reason   string
	Problems []incident.Problem
}

type objectField struct {
	claim.Property
	Value string // several are separated by semicolons
}

// newID stands where the id of an object would, for one that has none yet.
const newID = "new"

// objectFor begins a form; its fields are filled by value.
func objectFor(req *http.Request, value func(name string) string) (*objectForm, error) {
	f := &objectForm{Object: claim.Object(req.PathValue("object")), ID: req.PathValue("id")}
	if f.Object != claim.OfOrganisation && f.Object != claim.OfActor && f.Object != claim.OfSource {
		return nil, store.ErrNotFound
	}
	f.New = f.ID == newID
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

// wrong shows the form again, with what the editor wrote and what is wrong with it.
func (f *objectForm) wrong(status int, problems ...incident.Problem) (*answer, error) {
	f.Problems = problems
	return f.answer(status), nil
}

func (r *register) objectForm(req *http.Request, _ access.Reader) (*answer, error) {
	// The base is read before the values: should somebody write between the two, saving is refused and not theirs overwritten.
	base, err := r.store.ObjectRevision(req.Context(), req.PathValue("object"), req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	values, err := r.objectValues(req)
	if err != nil {
		return nil, err
	}
	f, err := objectFor(req, func(name string) string { return values[name] })
	if err != nil {
		return nil, err
	}
	f.Base = base
	return f.answer(http.StatusOK), nil
}

func (r *register) objectValues(req *http.Request) (map[string]string, error) {
	ctx, id := req.Context(), req.PathValue("id")
	if id == newID {
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
		f.ID = id
	} else if f.Base, err = strconv.ParseInt(req.PostFormValue("base"), 10, 64); err != nil || f.Base < 1 {
		return nil, &readerError{http.StatusBadRequest, "The form has no base revision: open the editor again"}
	}
	set := objectSet(f.Object, id, get)
	f.Reason = get("reason")
	if f.Reason == "" {
		return f.wrong(http.StatusUnprocessableEntity, incident.Problem{Property: "reason", What: "is missing"})
	}
	err = r.store.PutObject(req.Context(), store.Who{Author: reader.Account, Reason: f.Reason}, f.Base, string(f.Object), id, set)
	var lint *store.LintError
	var faster *store.ConflictError
	switch {
	case errors.As(err, &lint):
		return f.wrong(http.StatusUnprocessableEntity, lint.Problems...)
	case errors.As(err, &faster):
		f.Base = faster.Now
		return f.wrong(http.StatusConflict, incident.Problem{
			What: "somebody else changed it while you wrote: nothing of yours is written yet",
			Hint: "compare with the page as it is now, in another window; saving again puts what stands here in its place",
		})
	case errors.Is(err, store.ErrTaken):
		return f.wrong(http.StatusUnprocessableEntity, incident.Problem{Property: "id", What: "is taken already", Hint: "choose another, or edit the one that has it"})
	}
	return &answer{redirect: "/" + string(f.Object) + "s/" + id}, err
}

// objectSet returns the set that holds the one object of a form.
func objectSet(object claim.Object, id string, get func(name string) string) *incident.Set {
	set := &incident.Set{}
	switch object {
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
	return set
}

func several(s string) (all []string) {
	for part := range strings.SplitSeq(s, ";") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}
