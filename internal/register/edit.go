package register

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

// maxForm bounds what an editor may send; a long record has some 100 KB.
const maxForm = 2 << 20

// editors lets only those through who may change the record.
func editors(f pageFunc) pageFunc {
	return func(req *http.Request, reader access.Reader) (*answer, error) {
		if !reader.MayPublish() {
			return nil, &readerError{http.StatusForbidden, "Only editors change the record"}
		}
		req.Body = http.MaxBytesReader(nil, req.Body, maxForm)
		if err := req.ParseForm(); err != nil {
			return nil, &readerError{http.StatusRequestEntityTooLarge, "The form cannot be read: it may have 2 MB"}
		}
		return f(req, reader)
	}
}

// editing is what the page of a record's text shows. Whatever goes wrong, the editor's text stays in it.
type editing struct {
	ID       string
	New      bool
	Base     int64 // the revision that the text began from
	Text     string
	Reason   string
	Problems []incident.Problem
	Conflict *conflict
}

// conflict is shown when somebody else was faster.
type conflict struct {
	Now       int64
	Revisions []incident.RevisionView // theirs, since the base
	Mine      string                  // the text as it was sent
}

func (e *editing) answer(status int) *answer {
	return &answer{page: "edit", status: status, title: pick(e.New, "New incident", "Edit "+e.ID), data: e}
}

func (r *register) editForm(req *http.Request, _ access.Reader) (*answer, error) {
	id := req.PathValue("id")
	st, err := r.store.State(req.Context(), id, 0)
	if err != nil {
		return nil, err
	}
	text, err := st.File()
	return (&editing{ID: id, Base: st.Changed, Text: string(text)}).answer(http.StatusOK), err
}

// firstText is what a new record begins from.
const firstText = `id: organisation-2026-01
victim: organisation
draft: true
claims:
  - property: date
    value: "2026-01"
    speaker: press
    source: a-source
    as_of: "2026-01-31"
`

func (r *register) newForm(*http.Request, access.Reader) (*answer, error) {
	return (&editing{New: true, Text: firstText}).answer(http.StatusOK), nil
}

func (r *register) create(req *http.Request, reader access.Reader) (*answer, error) {
	e := &editing{New: true, Text: plain(req.PostFormValue("text")), Reason: strings.TrimSpace(req.PostFormValue("reason"))}
	e.ID = incident.RecordID([]byte(e.Text))
	return r.save(req, reader, e)
}

func (r *register) edit(req *http.Request, reader access.Reader) (*answer, error) {
	base, err := strconv.ParseInt(req.PostFormValue("base"), 10, 64)
	if err != nil || base < 1 {
		return nil, &readerError{http.StatusBadRequest, "The form has no base revision: open the editor again"}
	}
	return r.save(req, reader, &editing{
		ID: req.PathValue("id"), Base: base, Text: plain(req.PostFormValue("text")), Reason: strings.TrimSpace(req.PostFormValue("reason")),
	})
}

// plain undoes the line ends that browsers send.
func plain(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// save writes the text that an editor sent, or shows it again with what is wrong.
func (r *register) save(req *http.Request, reader access.Reader, e *editing) (*answer, error) {
	file := e.ID + ".yaml"
	mine, problems := incident.ReadRecord(file, []byte(e.Text))
	if e.Reason == "" {
		problems = append(problems, incident.Problem{File: file, Property: "reason", What: "is missing", Hint: "say in a few words what you change and why; everybody can read it"})
	}
	if len(problems) == 0 && incident.HasComments([]byte(e.Text)) {
		problems = append(problems, incident.Problem{File: file, What: "comments would be lost: the register keeps claims only", Hint: "put them into a claim's note"})
	}
	if len(problems) == 0 {
		number, err := r.write(req.Context(), reader, e, mine)
		var lint *store.LintError
		var faster *store.ConflictError
		switch {
		case errors.As(err, &lint):
			problems = lint.Problems
		case errors.As(err, &faster):
			return r.conflict(req.Context(), reader, e, mine, faster)
		case errors.Is(err, store.ErrTaken):
			problems = []incident.Problem{{File: file, Property: "id", What: "there is such an incident already", Hint: "choose another id, or edit that incident"}}
		case err != nil:
			return nil, err
		default:
			return &answer{redirect: saved(mine.ID, number)}, nil
		}
	}
	e.Problems = problems
	return e.answer(http.StatusUnprocessableEntity), nil
}

func saved(id string, number int64) string {
	if number == 0 { // nothing was changed
		return "/incidents/" + id
	}
	return "/incidents/" + id + "/revisions#r" + strconv.FormatInt(number, 10)
}

func (r *register) write(ctx context.Context, reader access.Reader, e *editing, mine incident.Record) (int64, error) {
	who := store.Who{Author: reader.Account, Reason: e.Reason}
	if e.New {
		return r.store.Create(ctx, who, mine)
	}
	return r.store.Edit(ctx, who, e.Base, mine)
}

// conflict shows what others changed since, and puts the editor's own changes on top of theirs, to be looked through and
// saved anew. Nothing is written, and nothing is lost: the text as it was sent is on the page too.
func (r *register) conflict(ctx context.Context, reader access.Reader, e *editing, mine incident.Record, faster *store.ConflictError) (*answer, error) {
	base, err := r.store.State(ctx, e.ID, faster.Base)
	if err != nil {
		return nil, err
	}
	theirs, err := r.store.State(ctx, e.ID, faster.Now)
	if err != nil {
		return nil, err
	}
	all, err := r.store.Revisions(ctx, reader, e.ID)
	if err != nil {
		return nil, err
	}
	merged, err := incident.Merge(base.Record, mine, theirs.Record).File()
	if err != nil {
		return nil, err
	}
	e.Conflict = &conflict{
		Now: faster.Now, Mine: e.Text,
		Revisions: slices.DeleteFunc(all, func(v incident.RevisionView) bool { return v.Number <= faster.Base }),
	}
	e.Base, e.Text = faster.Now, string(merged)
	return e.answer(http.StatusConflict), nil
}

// claimForm is the form for one claim, made from the property's row of the table.
type claimForm struct {
	ID         string
	Properties []claim.Property
	Sections   []claim.Section
	Property   *claim.Property // nil until one is chosen
	Base       int64
	Claim      claim.Claim
	Sources    []string
	Qualifiers []string
	Reason     string
	Problems   []incident.Problem
	Speakers   []claim.Speaker
	Tiers      []access.Tier
}

func (r *register) newClaimForm(ctx context.Context, id, property string) (*claimForm, *incident.State, error) {
	st, err := r.store.State(ctx, id, 0)
	if err != nil {
		return nil, nil, err
	}
	f := &claimForm{ID: id, Base: st.Changed, Properties: claim.Properties(), Sections: claim.Sections(), Speakers: claim.Speakers(), Tiers: access.Tiers()[1:]}
	if property == "" {
		return f, st, nil
	}
	p, ok := claim.Find(property)
	if !ok {
		return nil, nil, &readerError{http.StatusBadRequest, "There is no property " + property}
	}
	f.Property = p
	f.Qualifiers = slices.Clone(p.OfWords)
	for _, c := range st.Claims {
		if c.Property == property && c.Qualifier != "" && !slices.Contains(f.Qualifiers, c.Qualifier) {
			f.Qualifiers = append(f.Qualifiers, c.Qualifier)
		}
	}
	f.Sources, err = r.store.SourceIDs(ctx)
	return f, st, err
}

func (f *claimForm) answer(status int) *answer {
	return &answer{page: "claim", status: status, title: "Add a claim to " + f.ID, data: f}
}

func (r *register) claimForm(req *http.Request, _ access.Reader) (*answer, error) {
	f, _, err := r.newClaimForm(req.Context(), req.PathValue("id"), req.URL.Query().Get("property"))
	if err != nil {
		return nil, err
	}
	return f.answer(http.StatusOK), nil
}

// addClaim adds one claim to what stands. It cannot lose what others changed meanwhile, so it asks for no base, and tries
// again if somebody wrote between its reading and its writing.
func (r *register) addClaim(req *http.Request, reader access.Reader) (*answer, error) {
	f, st, err := r.newClaimForm(req.Context(), req.PathValue("id"), req.PostFormValue("property"))
	if err != nil {
		return nil, err
	}
	if f.Property == nil {
		return nil, &readerError{http.StatusBadRequest, "The form names no property"}
	}
	f.Claim, f.Reason = claimOf(req.PostForm), strings.TrimSpace(req.PostFormValue("reason"))
	if f.Reason == "" {
		f.Problems = append(f.Problems, incident.Problem{Property: "reason", What: "is missing", Hint: "say in a few words why; everybody can read it"})
		return f.answer(http.StatusUnprocessableEntity), nil
	}
	var lint *store.LintError
	var faster *store.ConflictError
	for {
		record := st.Record
		record.Claims = append(slices.Clone(record.Claims), f.Claim)
		number, err := r.store.Edit(req.Context(), store.Who{Author: reader.Account, Reason: f.Reason}, st.Changed, record)
		switch {
		case errors.As(err, &lint):
			f.Problems = lint.Problems
			return f.answer(http.StatusUnprocessableEntity), nil
		case errors.As(err, &faster):
			if st, err = r.store.State(req.Context(), f.ID, 0); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		default:
			return &answer{redirect: saved(f.ID, number)}, nil
		}
	}
}

// claimOf reads a claim from a form.
func claimOf(form url.Values) claim.Claim {
	get := func(name string) string { return strings.TrimSpace(plain(form.Get(name))) }
	c := claim.Claim{
		Property: get("property"), Qualifier: get("of"), Value: get("value"), Approx: get("approx") != "", Kind: claim.Kind(get("kind")),
		Speaker: claim.Speaker(get("speaker")), Who: get("who"), Source: get("source"), Quote: get("quote"), Place: get("place"), AsOf: get("as_of"),
		Confidence: claim.Confidence(get("confidence")), Coder: get("coder"), Reasoning: get("reasoning"), Note: get("note"), Visible: get("visible"), Embargo: get("embargo"),
	}
	return c
}

func (r *register) publish(req *http.Request, reader access.Reader) (*answer, error) {
	id := req.PathValue("id")
	return &answer{redirect: "/incidents/" + id}, r.store.Publish(req.Context(), store.Who{Author: reader.Account, Reason: "published"}, id)
}

func (r *register) restore(req *http.Request, reader access.Reader) (*answer, error) {
	id := req.PathValue("id")
	to, err := strconv.ParseInt(req.PostFormValue("revision"), 10, 64)
	if err != nil || to < 1 {
		return nil, &readerError{http.StatusBadRequest, "revision must be a number from 1 on"}
	}
	number, err := r.store.Restore(req.Context(), store.Who{Author: reader.Account, Reason: "restored revision " + strconv.FormatInt(to, 10)}, id, to)
	return &answer{redirect: saved(id, number)}, err
}

func (r *register) withdraw(req *http.Request, reader access.Reader) (*answer, error) {
	id, reason := req.PathValue("id"), strings.TrimSpace(req.PostFormValue("reason"))
	if reason == "" {
		return nil, &readerError{http.StatusUnprocessableEntity, "A withdrawal needs a reason: it stands in place of the page"}
	}
	return &answer{redirect: "/incidents/" + id}, r.store.Withdraw(req.Context(), store.Who{Author: reader.Account, Reason: reason}, id)
}
