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
	"net/url"
	"time"

	"weir/internal/access"
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

	// PublicURL is where readers reach the register if a proxy stands before it; nil if none does. Over https the session cookie
	// is Secure; and what a proxy on this machine says of a reader's address is believed.
	PublicURL *url.URL
}

// New returns the register's handler.
func New(opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	r := &register{store: opts.Store, log: opts.Log, public: opts.PublicURL, pages: parsePages(), tries: newTries()}
	mux := http.NewServeMux()
	for pattern, f := range r.pageRoutes() {
		mux.Handle(pattern, r.page(f))
	}
	for pattern, f := range r.apiRoutes() {
		mux.Handle(pattern, r.api(f))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	assets, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux.Handle("GET /assets/{name}", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	return secure(http.NewCrossOriginProtection().Handler(mux))
}

// A pageFunc makes a page for a reader.
type pageFunc func(*http.Request, access.Reader) (*answer, error)

// pageRoutes are the register's pages and forms.
func (r *register) pageRoutes() map[string]pageFunc {
	return map[string]pageFunc{
		"GET /{$}": r.home, "GET /incidents": r.incidents, "GET /search": r.search, "GET /members": r.members, "GET /properties": r.properties,
		"GET /incidents/{id}": r.incident, "GET /incidents/{id}/revisions": r.revisions,
		"GET /organisations/{id}": r.organisation, "GET /actors/{id}": r.actor, "GET /sources/{id}": r.source,
		"GET /login": r.loginForm, "POST /login": r.login, "POST /logout": r.logout,
		"GET /new": editors(r.newForm), "POST /new": editors(r.create),
		"GET /incidents/{id}/edit": editors(r.editForm), "POST /incidents/{id}/edit": editors(r.edit),
		"GET /incidents/{id}/claim": editors(r.claimForm), "POST /incidents/{id}/claim": editors(r.addClaim),
		"POST /incidents/{id}/publish": editors(r.publish), "POST /incidents/{id}/restore": editors(r.restore),
		"POST /incidents/{id}/withdraw": editors(r.withdraw),
		"GET /edit/{object}/{id}":       editors(r.objectForm), "POST /edit/{object}/{id}": editors(r.putObject),
		"/": func(*http.Request, access.Reader) (*answer, error) { return nil, store.ErrNotFound },
	}
}

// apiRoutes are the JSON API, as /api/v1/openapi.json describes it.
func (r *register) apiRoutes() map[string]func(*http.Request, access.Reader) (any, error) {
	return map[string]func(*http.Request, access.Reader) (any, error){
		"GET /api/v1/incidents": r.apiIncidents, "GET /api/v1/incidents/{id}": r.apiIncident, "GET /api/v1/incidents/{id}/revisions": r.apiRevisions,
		"GET /api/v1/properties": r.apiProperties, "GET /api/v1/openapi.json": r.apiDescription, "GET /api/v1/record.schema.json": r.apiRecordSchema,
		"/api/": func(*http.Request, access.Reader) (any, error) { return nil, store.ErrNotFound },
	}
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
	store  *store.Store
	log    *slog.Logger
	public *url.URL
	pages  map[string]*template.Template
	tries  *tries
}

var pageNames = []string{
	"home", "incidents", "incident", "revisions", "organisation", "actor", "source", "properties", "search", "members", "login", "error",
	"edit", "claim", "object",
}

// parsePages panics on a template that cannot be parsed; the tests render each.
func parsePages() map[string]*template.Template {
	pages := map[string]*template.Template{}
	for _, name := range pageNames {
		pages[name] = template.Must(template.New(name).Funcs(words).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
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
func (r *register) page(f pageFunc) http.Handler {
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
	case errors.Is(err, store.ErrAfter):
		return http.StatusBadRequest, "after is no incident of the list"
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
