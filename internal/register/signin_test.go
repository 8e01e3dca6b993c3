package register

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// Where a reader goes after signing in is a place of this register, whatever the address says and however a browser reads it.
func TestLocal(t *testing.T) {
	for _, path := range []string{"/", "/incidents", "/incidents/x?as_of=2023-01-20", "/search?q=a%20b", "/incidents/x#counts"} {
		if got := local(path); got != path {
			t.Errorf("%q leads to %q", path, got)
		}
	}
	for _, path := range []string{
		"", "incidents", "//example.com", "https://example.com/", "javascript:alert(1)", `/\example.com`, "/\t/example.com", "/\n/example.com", " //example.com",
		"///example.com", "/ /example.com", "/%zz", "\x00/", "/\x7f/example.com",
	} {
		if got := local(path); got != "/" {
			t.Errorf("%q leads to %q", path, got)
		}
	}
}

// Behind a proxy on this machine the proxy says who asks; nobody else can.
func TestClient(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "register.example.com"}
	for _, tt := range []struct {
		public *url.URL
		peer   string
		said   []string
		want   string
	}{
		{public, "127.0.0.1:999", []string{"192.0.2.1"}, "192.0.2.1"},
		{public, "[::1]:999", []string{"198.51.100.7, 192.0.2.1"}, "192.0.2.1"},
		{public, "127.0.0.1:999", []string{"198.51.100.7", "192.0.2.1"}, "192.0.2.1"},
		{public, "127.0.0.1:999", nil, "127.0.0.1"},
		{public, "127.0.0.1:999", []string{"anybody"}, "127.0.0.1"},
		{public, "203.0.113.9:999", []string{"192.0.2.1"}, "203.0.113.9"},
		{nil, "127.0.0.1:999", []string{"192.0.2.1"}, "127.0.0.1"},
	} {
		req := httptest.NewRequest("POST", "/login", nil)
		req.RemoteAddr = tt.peer
		req.Header["X-Forwarded-For"] = tt.said
		r := &register{public: tt.public}
		if got := r.client(req); got != tt.want {
			t.Errorf("from %s, which says %q: %s, want %s", tt.peer, tt.said, got, tt.want)
		}
		if got := r.sessionCookie(req, "x", 1).Secure; got != (tt.public != nil) {
			t.Errorf("public address %v: the cookie's Secure is %t", tt.public, got)
		}
	}
}

// The assets are the files that pages name, and no list of them.
func TestAssets(t *testing.T) {
	v := newSite(t).public()
	for path, want := range map[string]int{"/assets/weir.css": http.StatusOK, "/assets/": http.StatusNotFound, "/assets/none": http.StatusNotFound} {
		if status, _ := v.get(path); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
}
