package register

import (
	"net/http"

	"weir/internal/access"
	"weir/internal/incident"
)

func (r *register) apiIncidents(req *http.Request, reader access.Reader) (any, error) {
	views, next, err := r.list(req, reader)
	return incidentList{views, next}, err
}

// incidentList is a page of the list of incidents.
type incidentList struct {
	Items []*incident.View `json:"items"`
	Next  string           `json:"next"` // for the parameter after; empty on the last page
}

func (r *register) apiIncident(req *http.Request, reader access.Reader) (any, error) {
	m, err := moment(req)
	if err != nil {
		return nil, err
	}
	v, err := r.store.Incident(req.Context(), reader, req.PathValue("id"), m)
	if err == nil && v.Withdrawn != "" {
		return nil, &readerError{http.StatusGone, "Withdrawn: " + v.Withdrawn}
	}
	return v, err
}

// revisionList is the history of an incident's record.
type revisionList struct {
	Items []incident.RevisionView `json:"items"`
}

func (r *register) apiRevisions(req *http.Request, reader access.Reader) (any, error) {
	all, err := r.store.Revisions(req.Context(), reader, req.PathValue("id"))
	return revisionList{append([]incident.RevisionView{}, all...)}, err
}

func (r *register) apiProperties(*http.Request, access.Reader) (any, error) {
	return struct {
		Items []propertyRow `json:"items"`
	}{propertyRows()}, nil
}

func (r *register) apiDescription(*http.Request, access.Reader) (any, error) { return openAPI(), nil }

func (r *register) apiRecordSchema(*http.Request, access.Reader) (any, error) {
	return recordSchema(), nil
}
