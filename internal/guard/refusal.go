package guard

import (
	"encoding/json"
	"net/http"

	"weir"
)

// A Refusal is what a caller gets instead of an answer: a problem document (RFC 9457). It says which rule refused and what
// the caller can do; it says nothing about the answer or about anybody in it.
type Refusal struct {
	Status int         `json:"status"`
	Type   string      `json:"type"`
	Title  string      `json:"title"`
	Detail string      `json:"detail"`
	Reason weir.Reason `json:"-"`
}

var refusals = map[weir.Reason]struct {
	status        int
	title, detail string
}{
	weir.QuotaExceeded:  {http.StatusForbidden, "Quota used up", "This answer holds more people than this caller may still receive. The caller is blocked now; only the operator of this service can lift that."},
	weir.Blocked:        {http.StatusForbidden, "Caller blocked", "This caller is blocked. Only the operator of this service can lift that."},
	weir.NoRoute:        {http.StatusForbidden, "Not a known route", "No route of this service's guard matches this request."},
	weir.Protocol:       {http.StatusBadRequest, "Request cannot be guarded", "Send a plain request: a path without dot segments, double or encoded slashes, and no protocol upgrade."},
	weir.TooLarge:       {http.StatusBadGateway, "Answer too large", "The answer is larger than what the guard reads at once. Ask for less, such as a shorter page."},
	weir.NotJSON:        {http.StatusBadGateway, "Answer not readable", "The answer is not JSON, and this route does not release other formats."},
	weir.Irregular:      {http.StatusBadGateway, "Answer ambiguous", "Readers may understand the answer differently, and this route does not release such documents."},
	weir.Unreadable:     {http.StatusBadGateway, "Answer not readable", "The answer is not a whole JSON document."},
	weir.NoSubject:      {http.StatusBadGateway, "Answer without a subject", "The answer holds a record without the key of its person."},
	weir.Coding:         {http.StatusBadGateway, "Answer not readable", "The answer has a content coding that the guard does not read."},
	weir.UpstreamFailed: {http.StatusBadGateway, "No answer", "The service behind the guard gave no complete answer."},
}

func refusal(reason weir.Reason) *Refusal {
	r := refusals[reason]
	return &Refusal{Status: r.status, Type: "urn:weir:refused:" + reason.String(), Title: r.title, Detail: r.detail, Reason: reason}
}

// unavailable is what callers get when the guard itself cannot go on.
var unavailable = &Refusal{
	Status: http.StatusServiceUnavailable, Type: "urn:weir:refused:unavailable", Title: "Guard cannot record",
	Detail: "The guard cannot write its ledger, so it releases nothing. Try again later.",
}

// Body returns the problem document; its media type is application/problem+json.
func (r *Refusal) Body() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and a number always marshal
	}
	return b
}
