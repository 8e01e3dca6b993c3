package carrier

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersAreBijections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.IntRange(0, Customers-1).Draw(t, "index")
		p := At(index)
		if got, ok := ByAccount(p.AccountNumber); !ok || got != index {
			t.Fatalf("account %s of %d leads to %d, %t", p.AccountNumber, index, got, ok)
		}
		if got, ok := ByPhone(p.Phone); ok != (p.Phone != "") || ok && got != index {
			t.Fatalf("phone %q of %d leads to %d, %t", p.Phone, index, got, ok)
		}
	})
	for _, bad := range []string{"", "1", "899999999", "937000000", "0900000001", "9e8", "+900000001"} {
		if _, ok := ByAccount(bad); ok {
			t.Errorf("account %q was found", bad)
		}
	}
	for _, bad := range []string{"", "+1 201 555 0100", "+1 201 555 0100 x99999", "+1 200 555 0100 x00000"} {
		if _, ok := ByPhone(bad); ok {
			t.Errorf("phone %q was found", bad)
		}
	}
}

// An index gives the same person on every machine, for ever: examples and figures rest on it.
func TestPeopleStay(t *testing.T) {
	for index, want := range map[int]string{0: golden0, 1_000_000: golden1, Customers - 1: golden2} {
		body, err := json.Marshal(answerOf(At(index)))
		if err != nil || string(body) != want {
			t.Errorf("customer %d is\n%s, want\n%s", index, body, want)
		}
	}
}

func TestSharesOfMissingFields(t *testing.T) {
	const n = 20_000
	var email, phone, birth, address, plan float64
	for i := range n {
		p := At(i * 1847)
		if p.SSN == "" || p.PaymentCard == "" {
			t.Fatal("a person without the classes that must never leave")
		}
		for missing, count := range map[*float64]bool{&email: p.Email == "", &phone: p.Phone == "", &birth: p.BirthDate == "", &address: p.Address == nil, &plan: p.Plan == nil} {
			if count {
				*missing++
			}
		}
	}
	for what, c := range map[string][2]float64{"email": {email, .13}, "phone": {phone, .03}, "birth_date": {birth, .29}, "address": {address, .17}, "plan": {plan, .07}} {
		if got := c[0] / n; math.Abs(got-c[1]) > .01 {
			t.Errorf("%s is missing for %.3f, documented %.2f", what, got, c[1])
		}
	}
}

func get(t *testing.T, path, key string) (*http.Response, string) {
	t.Helper()
	req := httptest.NewRequest("GET", path, nil)
	req.Header.Set("X-Api-Key", key)
	w := httptest.NewRecorder()
	Handler([]string{"a", "b"}).ServeHTTP(w, req)
	resp := w.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// The flaw: two keys, and either reads anybody.
func TestAnyKeyReadsAnybody(t *testing.T) {
	p := At(77)
	_, first := get(t, "/v1/customers/"+p.AccountNumber, "a")
	_, second := get(t, "/v1/lookup?phone="+url.QueryEscape(p.Phone), "b")
	if first != second || !strings.Contains(first, p.Name) {
		t.Errorf("%s\n%s", first, second)
	}
	for path, want := range map[string]int{
		"/v1/customers/12": 404, "/v1/lookup?phone=x": 404, "/v1/customers?limit=101": 400, "/v1/customers?after=x": 400, "/v2": 404,
	} {
		if resp, body := get(t, path, "a"); resp.StatusCode != want || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
	if resp, _ := get(t, "/v1/customers/"+p.AccountNumber, "c"); resp.StatusCode != 401 {
		t.Errorf("an unknown key: %s", resp.Status)
	}
}

func TestPagesCoverAllAndNeverTellSecrets(t *testing.T) {
	seen, next := map[string]bool{}, ""
	for range 100 {
		_, body := get(t, "/v1/customers?limit=100&after="+next, "a")
		var page struct {
			Items []map[string]any
			Next  string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			account := item["account_number"].(string)
			if seen[account] {
				t.Fatalf("%s is listed twice", account)
			}
			seen[account] = true
			index, _ := ByAccount(account)
			for _, secret := range []string{At(index).SSN, At(index).PaymentCard} {
				if strings.Contains(body, secret) {
					t.Fatalf("the answer tells %s", secret)
				}
			}
		}
		next = page.Next
	}
	if len(seen) != 10_000 {
		t.Errorf("%d customers on 100 pages", len(seen))
	}
	last := At(Customers - 3).AccountNumber
	if _, body := get(t, "/v1/customers?after="+last, "a"); strings.Contains(body, "next") || strings.Count(body, "account_number") != 2 {
		t.Errorf("the last page: %s", body)
	}
}
