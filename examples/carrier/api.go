package carrier

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
)

// MaxPage is the largest number of customers in one list, DefaultPage that of a list that does not say.
const (
	MaxPage     = 100
	DefaultPage = 50
)

// answer is what the API tells of a person. It has no place for a social security number or a payment card.
type answer struct {
	AccountNumber string   `json:"account_number"`
	Name          string   `json:"name"`
	Email         string   `json:"email,omitempty"`
	Phone         string   `json:"phone,omitempty"`
	BirthDate     string   `json:"birth_date,omitempty"`
	Address       *Address `json:"billing_address,omitempty"`
	Plan          *Plan    `json:"plan,omitempty"`
}

func answerOf(p Person) answer {
	return answer{p.AccountNumber, p.Name, p.Email, p.Phone, p.BirthDate, p.Address, p.Plan}
}

// Handler returns the API. keys are the values of X-Api-Key that it takes; each may read every customer, which is the flaw.
//
//	GET /v1/customers/{account}        one customer
//	GET /v1/customers?after=&limit=    customers in the order of their index; next is the value for after
//	GET /v1/lookup?phone=              one customer by phone number
func Handler(keys []string) http.Handler {
	known := map[string]bool{}
	for _, k := range keys {
		known[k] = true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/customers/{account}", func(w http.ResponseWriter, r *http.Request) {
		index, ok := ByAccount(r.PathValue("account"))
		writeOne(w, r, index, ok)
	})
	mux.HandleFunc("GET /v1/lookup", func(w http.ResponseWriter, r *http.Request) {
		index, ok := ByPhone(r.URL.Query().Get("phone"))
		writeOne(w, r, index, ok)
	})
	mux.HandleFunc("GET /v1/customers", list)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { problem(w, http.StatusNotFound, "no such endpoint") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !known[r.Header.Get("X-Api-Key")] {
			problem(w, http.StatusUnauthorized, "send a known key in X-Api-Key")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func writeOne(w http.ResponseWriter, r *http.Request, index int, ok bool) {
	if !ok {
		problem(w, http.StatusNotFound, "no such customer")
		return
	}
	body, err := json.Marshal(answerOf(At(index)))
	if err != nil {
		problem(w, http.StatusInternalServerError, "the answer cannot be written")
		return
	}
	sum := fnv.New64a()
	sum.Write(body)
	tag := fmt.Sprintf(`"%016x"`, sum.Sum64())
	w.Header().Set("Etag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, http.StatusOK, "application/json", body)
}

func list(w http.ResponseWriter, r *http.Request) {
	start, limit := 0, DefaultPage
	if after := r.URL.Query().Get("after"); after != "" {
		index, ok := ByAccount(after)
		if !ok {
			problem(w, http.StatusBadRequest, "after is no account number")
			return
		}
		start = index + 1
	}
	if s := r.URL.Query().Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > MaxPage {
			problem(w, http.StatusBadRequest, fmt.Sprintf("limit must be 1 to %d", MaxPage))
			return
		}
		limit = n
	}
	page := struct {
		Items []answer `json:"items"`
		Next  string   `json:"next,omitempty"`
	}{Items: []answer{}}
	for index := start; index < min(start+limit, Customers); index++ {
		page.Items = append(page.Items, answerOf(At(index)))
	}
	if start+limit < Customers {
		page.Next = page.Items[len(page.Items)-1].AccountNumber
	}
	body, err := json.Marshal(page)
	if err != nil {
		problem(w, http.StatusInternalServerError, "the answer cannot be written")
		return
	}
	write(w, http.StatusOK, "application/json", body)
}

// problem writes a problem document (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
	if err != nil {
		body = nil
	}
	write(w, status, "application/problem+json", body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
