package register

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"weir/internal/access"
)

// signIn is what the sign-in page shows.
type signIn struct {
	Name  string
	Next  string
	Wrong string
}

func (r *register) loginForm(req *http.Request, _ access.Reader) (*answer, error) {
	return loginPage(http.StatusOK, signIn{Next: local(req.URL.Query().Get("next"))}), nil
}

func loginPage(status int, s signIn) *answer {
	return &answer{page: "login", status: status, title: "Sign in", data: s}
}

// local returns the path if it is one of this register's; anything else could lead a reader away.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || r <= ' ' || r == 0x7f }) { // browsers drop some and read others as /
		return "/"
	}
	return path
}

func (r *register) login(req *http.Request, _ access.Reader) (*answer, error) {
	req.Body = http.MaxBytesReader(nil, req.Body, 8<<10)
	if err := req.ParseForm(); err != nil {
		return nil, &readerError{http.StatusBadRequest, "The form cannot be read"}
	}
	form := signIn{Name: req.PostFormValue("name"), Next: local(req.PostFormValue("next"))}
	host := r.client(req)
	if !r.tries.allow(host, form.Name, time.Now()) {
		form.Wrong = "Too many tries. Wait a quarter of an hour, then try again."
		return loginPage(http.StatusTooManyRequests, form), nil
	}
	account, err := r.store.Account(req.Context(), form.Name)
	if err != nil {
		return nil, err
	}
	reader, err := access.SignIn(account, req.PostFormValue("password"))
	if errors.Is(err, access.ErrSignIn) {
		form.Wrong = "The name or the password is wrong."
		return loginPage(http.StatusUnauthorized, form), nil
	} else if err != nil {
		return nil, err
	}
	r.tries.forget(host, form.Name)
	token, hash := access.NewToken()
	if err := r.store.StartSession(req.Context(), hash, reader.Account, time.Now().Add(access.SessionLife)); err != nil {
		return nil, err
	}
	return &answer{redirect: form.Next, cookie: r.sessionCookie(req, token, int(access.SessionLife.Seconds()))}, nil
}

func (r *register) sessionCookie(req *http.Request, token string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: req.TLS != nil || r.public != nil && r.public.Scheme == "https",
	}
}

// client returns the address that a request came from. Behind a proxy on this machine it is the last of X-Forwarded-For: the
// one that the proxy itself saw. Those before it anybody can invent.
func (r *register) client(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if said := req.Header.Values("X-Forwarded-For"); err == nil && peer.IsLoopback() && r.public != nil && len(said) > 0 {
		last := said[len(said)-1]
		if addr, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndex(last, ",")+1:])); err == nil {
			return addr.String()
		}
	}
	return host
}

func (r *register) logout(req *http.Request, _ access.Reader) (*answer, error) {
	if cookie, err := req.Cookie(cookieName); err == nil {
		if err := r.store.EndSession(req.Context(), access.TokenHash(cookie.Value)); err != nil {
			return nil, err
		}
	}
	return &answer{redirect: "/", cookie: r.sessionCookie(req, "", -1)}, nil
}

// tries counts failed sign-ins by account and by address. It is bounded: when it is full it forgets everything, which lets
// a few more tries through and keeps memory small.
type tries struct {
	mu     sync.Mutex
	failed map[string]int // guarded by mu
	since  time.Time      // guarded by mu
}

const (
	triesPerWindow = 10
	triesWindow    = 15 * time.Minute
	triesKept      = 10_000
)

func newTries() *tries { return &tries{failed: map[string]int{}} }

// allow counts a try, and reports whether it may be made.
func (t *tries) allow(host, name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) > triesWindow || len(t.failed) > triesKept {
		t.failed, t.since = map[string]int{}, now
	}
	t.failed["name "+name]++
	t.failed["host "+host]++
	return t.failed["name "+name] <= triesPerWindow && t.failed["host "+host] <= 3*triesPerWindow
}

func (t *tries) forget(host, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, "name "+name)
	delete(t.failed, "host "+host)
}
