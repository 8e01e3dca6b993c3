// Package register serves the web register: its pages, its JSON API.
//
// Every page and every answer of the API is made of incident.View, so what a reader's tier does not show cannot be printed.
package register

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
	"weir/internal/store"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// Options are the settings of a register.
type Options struct {
	Store *store.Store
	Log   *slog.Logger // nil means slog.Default()
}

// New returns the register's handler.
func New(opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	r := &register{store: opts.Store, log: opts.Log, pages: parsePages(), tries: newTries()}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", r.page(r.home))
	mux.Handle("GET /incidents", r.page(r.incidents))
	mux.Handle("GET /incidents/{id}", r.page(r.incident))
	mux.Handle("GET /organisations/{id}", r.page(r.organisation))
	mux.Handle("GET /actors/{id}", r.page(r.actor))
	mux.Handle("GET /sources/{id}", r.page(r.source))
	mux.Handle("GET /properties", r.page(r.properties))
	mux.Handle("GET /search", r.page(r.search))
	mux.Handle("GET /members", r.page(r.members))
	mux.Handle("GET /login", r.page(r.loginForm))
	mux.Handle("POST /login", r.page(r.login))
	mux.Handle("POST /logout", r.page(r.logout))
	mux.Handle("POST /incidents/{id}/publish", r.page(r.publish))
	mux.Handle("GET /api/v1/incidents", r.api(r.apiIncidents))
	mux.Handle("GET /api/v1/incidents/{id}", r.api(r.apiIncident))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	assets, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	mux.Handle("/api/", r.api(func(*http.Request, access.Reader) (any, error) { return nil, store.ErrNotFound }))
	mux.Handle("/", r.page(func(*http.Request, access.Reader) (*answer, error) { return nil, store.ErrNotFound }))
	return secure(http.NewCrossOriginProtection().Handler(mux))
}

// secure sets what every answer carries.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Vary", "Cookie")
		next.ServeHTTP(w, r)
	})
}

type register struct {
	store *store.Store
	log   *slog.Logger
	pages map[string]*template.Template
	tries *tries
}

var pageNames = []string{"home", "incidents", "incident", "organisation", "actor", "source", "properties", "search", "members", "login", "error"}

// parsePages panics on a template that cannot be parsed; the tests render each.
func parsePages() map[string]*template.Template {
	pages := map[string]*template.Template{}
	functions := template.FuncMap{
		"recorded": func(s string) string {
			if s == "" {
				return claim.NotRecorded
			}
			return s
		},
		"plural": func(n int, one string) string {
			if n == 1 {
				return fmt.Sprintf("%d %s", n, one)
			}
			return fmt.Sprintf("%d %ss", n, one)
		},
		"title": func(s string) string {
			if s == "" {
				return s
			}
			if s = strings.ReplaceAll(s, "_", " "); s == "ssn" {
				return "SSN"
			}
			return strings.ToUpper(s[:1]) + s[1:]
		},
		"join": strings.Join,
	}
	for _, name := range pageNames {
		pages[name] = template.Must(template.New(name).Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return pages
}

// answer is a page before it is printed: its template with its data, or a redirect.
type answer struct {
	page     string
	status   int // 0 means 200
	title    string
	data     any
	redirect string
	cookie   *http.Cookie
}

// frame is what the layout shows around a page.
type frame struct {
	Title  string
	Reader access.Reader
	Signed bool
	Query  string
	Path   string
	Data   any
}

const cookieName = "weir_session"

// reader returns who asks: anybody, unless a session says otherwise.
func (r *register) reader(req *http.Request) access.Reader {
	cookie, err := req.Cookie(cookieName)
	if err != nil {
		return access.Anybody()
	}
	reader, err := r.store.Session(req.Context(), access.TokenHash(cookie.Value), time.Now())
	if err != nil {
		r.log.Error("a session cannot be read", "error", err)
		return access.Anybody()
	}
	return reader
}

// page prints what f returns, or the page of its error. It is the one place that decides what a stranger reads of an error.
func (r *register) page(f func(*http.Request, access.Reader) (*answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		reader := r.reader(req)
		a, err := f(req, reader)
		if err != nil {
			status, words := r.explain(req, err)
			a = &answer{page: "error", status: status, title: words, data: words}
		}
		if a.cookie != nil {
			http.SetCookie(w, a.cookie)
		}
		if a.redirect != "" {
			http.Redirect(w, req, a.redirect, http.StatusSeeOther)
			return
		}
		var b bytes.Buffer
		err = r.pages[a.page].ExecuteTemplate(&b, "layout.html", frame{
			Title: a.title, Reader: reader, Signed: reader.Account != "", Query: req.URL.Query().Get("q"), Path: req.URL.Path, Data: a.data,
		})
		if err != nil {
			r.log.Error("a page cannot be printed", "page", a.page, "error", err)
			http.Error(w, "something went wrong here", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		setCaching(w, reader)
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		w.Write(b.Bytes())
	})
}

// setCaching keeps what a signed-in reader sees out of shared caches.
func setCaching(w http.ResponseWriter, reader access.Reader) {
	if reader.Account != "" {
		w.Header().Set("Cache-Control", "private, no-store")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
}

func (r *register) explain(req *http.Request, err error) (status int, words string) {
	var e *readerError
	switch {
	case errors.As(err, &e):
		return e.status, e.words
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, "There is nothing here"
	case errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, "The request was cancelled"
	}
	r.log.Error("a request failed", "method", req.Method, "path", req.URL.Path, "error", err)
	return http.StatusInternalServerError, "Something went wrong here"
}

// readerError is an error whose words are meant for the reader.
type readerError struct {
	status int
	words  string
}

func (e *readerError) Error() string { return e.words }

// api answers in JSON; its errors are problem documents (RFC 9457).
func (r *register) api(f func(*http.Request, access.Reader) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		reader := r.reader(req)
		body, err := f(req, reader)
		status, kind := http.StatusOK, "application/json"
		if err != nil {
			var words string
			status, words = r.explain(req, err)
			kind = "application/problem+json"
			body = map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": words}
		}
		out, err := json.Marshal(body)
		if err != nil {
			r.log.Error("an answer cannot be written", "error", err)
			status, out = http.StatusInternalServerError, []byte(`{"title":"Internal Server Error","status":500}`)
		}
		w.Header().Set("Content-Type", kind)
		setCaching(w, reader)
		w.WriteHeader(status)
		w.Write(append(out, '\n'))
	})
}

func (r *register) apiIncidents(req *http.Request, reader access.Reader) (any, error) {
	views, next, err := r.list(req, reader)
	return struct {
		Items []*incident.View `json:"items"`
		Next  string           `json:"next"`
	}{views, next}, err
}

func (r *register) apiIncident(req *http.Request, reader access.Reader) (any, error) {
	return r.store.Incident(req.Context(), reader, req.PathValue("id"))
}
