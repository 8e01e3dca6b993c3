package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/guard"
	"weir/internal/ledger"
	"weir/internal/quota"
)

// setup puts a guard before the handler and returns the guard's address and its ledger's folder.
func setup(t testing.TB, upstream http.HandlerFunc) (base, path string) {
	t.Helper()
	up := httptest.NewServer(upstream)
	t.Cleanup(up.Close)
	return setupURL(t, up.URL)
}

func setupURL(t testing.TB, upstream string) (base, path string) {
	t.Helper()
	path = t.TempDir()
	keyring, err := weir.NewKeyring(bytes.Repeat([]byte{3}, weir.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := guard.ReadKeyList(strings.NewReader(fmt.Sprintf("%x partner\n", sha256.Sum256([]byte("secret")))), "X-Api-Key")
	if err != nil {
		t.Fatal(err)
	}
	g, err := guard.Open(guard.Options{
		Ledger: ledger.Dir(path), Keyring: keyring, Keys: []*guard.KeyList{keys}, Hold: 4096,
		Routes: []*guard.Route{
			{Match: "GET /people/{id}", Subject: "/id"},
			{Match: "GET /people", Records: "/items", Subject: "/id", Cut: true},
			{Match: "GET /files/{name}", Subject: "/id", PassOther: true},
		},
		Quotas: quota.Rules{{Principal: quota.Everyone, Limit: quota.Limit{Subjects: 3, Window: time.Hour}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(New(Options{Guard: g, Upstream: target, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(front.Close)
	return front.URL, path
}

func get(t testing.TB, req *http.Request) (*http.Response, string) {
	t.Helper()
	req.Header.Set("X-Api-Key", "secret")
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func newRequest(t testing.TB, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func lastOutcome(t testing.TB, path string) (last weir.Outcome, n int) {
	t.Helper()
	if _, err := ledger.Read(ledger.Dir(path), ledger.ReadOptions{Visit: func(e ledger.Entry) error {
		if o, ok := e.Body.(*ledger.Outcome); ok {
			last = o.Outcome
			n++
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	return last, n
}

func problemType(t testing.TB, body string) string {
	t.Helper()
	var p struct{ Type string }
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return strings.TrimPrefix(p.Type, "urn:weir:refused:")
}

func compressed(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.Bytes()
}

func TestReleases(t *testing.T) {
	var seen http.Header
	base, path := setup(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Etag", `"v1"`)
		h.Set("Digest", "sha-256=x")
		h.Set("Alt-Svc", `h3=":443"`)
		h.Set("Weir-Withheld", "9")
		h.Set("X-Kept", "yes")
		io.WriteString(w, `{"id":1,"name":"Kim"}`)
	})
	req := newRequest(t, "GET", base+"/people/1")
	for name, value := range map[string]string{
		"Range": "bytes=0-3", "If-None-Match": `"v1"`, "Accept-Encoding": "br, gzip", "X_Api_Key": "other", "X-Forwarded-For": "203.0.113.9",
	} {
		req.Header.Set(name, value)
	}
	resp, body := get(t, req)
	if resp.StatusCode != 200 || body != `{"id":1,"name":"Kim"}` || resp.Header.Get("X-Kept") != "yes" {
		t.Errorf("%s, %s", resp.Status, body)
	}
	if got := resp.Header; got.Get("Cache-Control") != "private, no-store" || got.Get("Alt-Svc") != "" || got.Get("Weir-Withheld") != "" {
		t.Errorf("headers of personal data: %v", got)
	}
	if seen.Get("Accept-Encoding") != "identity" || seen.Get("Range") != "" || seen.Get("If-None-Match") != "" || seen["X_api_key"] != nil ||
		strings.Contains(seen.Get("X-Forwarded-For"), "203.0.113.9") || seen.Get("X-Api-Key") != "secret" {
		t.Errorf("the upstream was asked with %v", seen)
	}
	if o, n := lastOutcome(t, path); n != 1 || len(o.Released) != 1 || o.Bytes != int64(len(body)) || o.Status != 200 {
		t.Errorf("%d outcomes, %+v", n, o)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	secret := `{"id":1,"name":"Kim"}`
	for _, tt := range []struct {
		what, path string
		upstream   http.HandlerFunc
		want       string // the reason; empty for a release of secret
	}{
		{"gzip is decoded", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "GZIP")
			w.Write(compressed(secret))
		}, ""},
		{"gzip with something behind it", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(append(compressed(secret), secret...))
		}, "coding"},
		{"gzip cut off", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := compressed(secret)
			w.Write(z[:len(z)-4])
		}, "coding"},
		{"gzip bomb", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(compressed(strings.Repeat(" ", 1<<20)))
		}, "too_large"},
		{"a coding that lies", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, secret)
		}, "coding"},
		{"unknown coding", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, secret)
		}, "coding"},
		{"too large, said so", "/people/1", func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte(" "), 5000)) }, "too_large"},
		{"too large, found out", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				w.Write(bytes.Repeat([]byte(" "), 1000))
				w.(http.Flusher).Flush()
			}
		}, "too_large"},
		{"part of a body", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-9/30")
			w.WriteHeader(206)
			io.WriteString(w, secret[:10])
		}, "unreadable"},
		{"cut off by the upstream", "/people/1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, secret)
		}, "upstream_failed"},
		{"upstream gone", "/people/1", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "upstream_failed"},
		{"HTML", "/people/1", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<p>Kim") }, "not_json"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			base, path := setup(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Secret", "Kim")
				if tt.what != "HTML" {
					w.Header().Set("Content-Type", "application/json")
				}
				tt.upstream(w, r)
			})
			resp, body := get(t, newRequest(t, "GET", base+tt.path))
			o, n := lastOutcome(t, path)
			if n != 1 {
				t.Errorf("%d outcomes", n)
			}
			if tt.want == "" {
				if body != secret || resp.Header.Get("Content-Encoding") != "" || len(o.Released) != 1 {
					t.Errorf("%v %s", resp.Header, body)
				}
				return
			}
			if problemType(t, body) != tt.want || o.Kind != weir.Refused || o.Reason.String() != tt.want || o.Bytes != 0 {
				t.Errorf("%s; outcome %+v; want %s", body, o, tt.want)
			}
			if strings.Contains(body, "Kim") || resp.Header.Get("X-Secret") != "" {
				t.Errorf("something of the answer leaked: %v %s", resp.Header, body)
			}
		})
	}
}

func TestQuotaOverHTTP(t *testing.T) {
	asked := 0
	base, path := setup(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Repr-Digest", "sha-256=:x:")
		io.WriteString(w, `{"items":[{"id":1},{"id":2},{"id":3},{"id":4}]}`)
	})
	resp, body := get(t, newRequest(t, "GET", base+"/people"))
	if want := `{"items":[{"id":1},{"id":2},{"id":3}]}`; body != want || resp.Header.Get("Weir-Withheld") != "1" || resp.ContentLength != int64(len(want)) {
		t.Errorf("%s, %v", body, resp.Header)
	}
	if resp.Header.Get("Etag") != "" || resp.Header.Get("Repr-Digest") != "" {
		t.Errorf("headers of the whole list describe the cut one: %v", resp.Header)
	}
	resp, body = get(t, newRequest(t, "GET", base+"/people"))
	if resp.StatusCode != 403 || problemType(t, body) != "blocked" || asked != 1 {
		t.Errorf("%s, %s, the upstream was asked %d times", resp.Status, body, asked)
	}
	if _, n := lastOutcome(t, path); n != 2 {
		t.Errorf("%d outcomes", n)
	}
}

func TestHeadTellsNothingOfTheBody(t *testing.T) {
	base, path := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Length", "21")
	})
	resp, _ := get(t, newRequest(t, "HEAD", base+"/people/1"))
	if resp.StatusCode != 200 || resp.Header.Get("Etag") != "" || resp.Header.Get("Content-Length") != "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if o, n := lastOutcome(t, path); n != 1 || o.Kind != weir.NoneFound || o.Bytes != 0 {
		t.Errorf("%d outcomes, %+v", n, o)
	}
}

// Informational responses and trailers pass by a guard that holds bodies; here they do not.
func TestNoSideDoors(t *testing.T) {
	base, _ := setup(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", "</kim>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
		h.Set("Content-Type", "application/json")
		h.Set("Trailer", "X-Late")
		io.WriteString(w, `{"id":1}`)
		h.Set("X-Late", "Kim")
		h.Set(http.TrailerPrefix+"X-Undeclared", "Kim")
	})
	req := newRequest(t, "GET", base+"/people/1")
	early := 0
	req = req.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { early++; return nil },
	}))
	resp, body := get(t, req)
	if body != `{"id":1}` || early != 0 || len(resp.Trailer) != 0 || resp.Header.Get("Trailer") != "" || resp.Header.Get("Link") != "" {
		t.Errorf("%s, %d early hints, trailer %v, header %v", body, early, resp.Trailer, resp.Header)
	}
}

func TestUpgradeIsRefused(t *testing.T) {
	base, path := setup(t, func(w http.ResponseWriter, _ *http.Request) { t.Error("the upstream was asked") })
	req := newRequest(t, "GET", base+"/people/1")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	resp, body := get(t, req)
	if resp.StatusCode != 400 || problemType(t, body) != "protocol" {
		t.Errorf("%s %s", resp.Status, body)
	}
	if o, n := lastOutcome(t, path); n != 1 || o.Reason != weir.Protocol {
		t.Errorf("%d outcomes, %+v", n, o)
	}
}

// An upstream that switches protocols though nobody asked it to.
func TestUnaskedUpgrade(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n{\"id\":1}")
			c.Close()
		}
	}()
	base, path := setupURL(t, "http://"+l.Addr().String())
	resp, body := get(t, newRequest(t, "GET", base+"/people/1"))
	if resp.StatusCode != 502 || strings.Contains(body, `"id"`) {
		t.Errorf("%s %s", resp.Status, body)
	}
	if o, n := lastOutcome(t, path); n != 1 || o.Kind != weir.Refused {
		t.Errorf("%d outcomes, %+v", n, o)
	}
}

func TestBinaryPassesWhereAllowed(t *testing.T) {
	base, path := setup(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("\x89PNG\r\n")) })
	resp, body := get(t, newRequest(t, "GET", base+"/files/x"))
	if resp.StatusCode != 200 || body != "\x89PNG\r\n" {
		t.Errorf("%s %q", resp.Status, body)
	}
	if o, _ := lastOutcome(t, path); o.Kind != weir.Gap || o.Bytes != 6 {
		t.Errorf("%+v", o)
	}
}

// Each caller gets the body of their own answer, however many share the buffers: one given back before its body has gone out
// would be the next answer's.
func TestBodiesStayApart(t *testing.T) {
	base, _ := setup(t, func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/files/")
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, strings.Repeat(name+"\n", 3000/(len(name)+1)))
	})
	var all sync.WaitGroup
	for c := range 16 {
		all.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("%0*d", c*40+1, c*1000+i)
				req, err := http.NewRequest("GET", base+"/files/"+name, nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := strings.Repeat(name+"\n", 3000/(len(name)+1)); err != nil || string(body) != want {
					t.Errorf("%s got %.60q of %d bytes: %v", name, body, len(body), err)
					return
				}
			}
		})
	}
	all.Wait()
}
