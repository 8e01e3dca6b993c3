// Package proxy is the reverse proxy that puts a guard before an HTTP API.
//
// It speaks HTTP on both sides and decides nothing: it asks the upstream for answers that can be read, hands each one whole
// to the guard, and sends what the guard releases. Its base is net/http, whose strict parsing re-frames every message.
package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/guard"
)

// Options are the settings of a proxy.
type Options struct {
	Guard    *guard.Guard
	Upstream *url.URL          // scheme and host of the API, and a path to put before each request's
	Timeout  time.Duration     // for the upstream's whole answer; 0 means one minute
	Base     http.RoundTripper // how the upstream is reached; nil means plain TCP or TLS without an environment's proxy
	Log      *slog.Logger      // nil means slog.Default()
}

// New returns the handler that callers of the API talk to.
func New(opts Options) http.Handler {
	if opts.Timeout == 0 {
		opts.Timeout = time.Minute
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	if opts.Base == nil {
		opts.Base = &http.Transport{
			DisableCompression:  true, // a coding that the caller did not ask for must be seen, not undone behind our back
			MaxIdleConns:        1024,
			MaxIdleConnsPerHost: 512,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		}
	}
	p := &proxy{opts: opts}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.answer,
		ErrorHandler:   p.failed,
		Transport:      opts.Base,
		BufferPool:     noBuffer{},
		ErrorLog:       slog.NewLogLogger(opts.Log.Handler(), slog.LevelWarn),
	}
	return p
}

type proxy struct {
	opts    Options
	reverse *httputil.ReverseProxy
}

// exchange is the guard's, with the answer that it let go.
type exchange struct {
	*guard.Exchange
	body []byte    // what the caller gets; set once the guard has let it go, and only then
	held *heldBody // the buffer that body is in, or may be in; nil until the upstream answers
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun, no := p.opts.Guard.Begin(r)
	if no != nil {
		p.log(r, no)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(no.Status)
		w.Write(no.Body())
		return
	}
	x := &exchange{Exchange: begun}
	defer x.giveBack()
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), exchangeKey{}, x), p.opts.Timeout)
	defer cancel()
	p.reverse.ServeHTTP(finalOnly{w}, r.WithContext(ctx))
	// The reverse proxy has sent the status line and the headers. The body goes out in one piece: it would copy it through a
	// buffer, with a write to the network for each.
	if len(x.body) > 0 {
		if _, err := w.Write(x.body); err != nil {
			panic(http.ErrAbortHandler) // as the reverse proxy does: the caller must see that the answer is not whole
		}
	}
}

// finalOnly drops informational responses (1xx): their headers pass by the guard.
type finalOnly struct{ http.ResponseWriter }

func (w finalOnly) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// unasked are the request headers that would make the upstream answer with less than a whole, readable body.
var unasked = []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Te", "A-Im", "Available-Dictionary", "Dictionary-Id"}

func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.opts.Upstream)
	r.SetXForwarded()
	for _, name := range unasked {
		r.Out.Header.Del(name)
	}
	for name := range r.Out.Header {
		if strings.Contains(name, "_") { // some servers read X_Api_Key as X-Api-Key
			delete(r.Out.Header, name)
		}
	}
	r.Out.Header.Set("Accept-Encoding", "identity")
}

// failed answers for an upstream that gave no answer.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	no := exchangeOf(r).Refuse(weir.UpstreamFailed)
	if !errors.Is(err, context.Canceled) {
		p.opts.Log.Warn("the upstream gave no answer", "method", r.Method, "error", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(no.Status)
	w.Write(no.Body())
}

// errUpgrade is an upstream's switch to another protocol. The reverse proxy would act on it after answer, so it is the one
// response that answer leaves to failed.
var errUpgrade = errors.New("the upstream switched protocols")

// answer replaces the upstream's response by what the guard makes of it. Each response ends in one outcome, which the guard
// has recorded.
func (p *proxy) answer(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return errUpgrade
	}
	x := exchangeOf(resp.Request)
	x.held = newHeldBody()
	if reason := p.hold(resp, x.held); reason != weir.NoReason {
		p.refuse(resp, x, x.Refuse(reason))
		return nil
	}
	coded := decode(resp, x.held, p.opts.Guard.Hold())
	if coded == tooLarge {
		p.refuse(resp, x, x.Refuse(weir.TooLarge))
		return nil
	}
	out, no := x.Answer(guard.Answer{
		Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Coded: coded == unreadable, Body: x.held.Bytes(),
	})
	if no != nil {
		p.refuse(resp, x, no)
		return nil
	}
	if coded == decoded {
		resp.Header.Del("Content-Encoding")
	}
	release(resp, x, out, coded == decoded)
	return nil
}

// hold reads the body whole, if it is one that can be.
func (p *proxy) hold(resp *http.Response, held *heldBody) weir.Reason {
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusPartialContent {
		return weir.Unreadable
	}
	limit := p.opts.Guard.Hold()
	if resp.Request.Method != http.MethodHead {
		if resp.ContentLength > limit {
			return weir.TooLarge
		}
		if resp.ContentLength > 0 {
			held.Grow(int(resp.ContentLength) + bytes.MinRead) // what ReadFrom wants to have left when the end comes
		}
	}
	n, err := held.ReadFrom(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return weir.UpstreamFailed
	case n > limit:
		return weir.TooLarge
	}
	return weir.NoReason
}

// Headers that describe the bytes or the version of a body, and so do not describe another one.
var (
	digests    = []string{"Digest", "Content-Digest", "Repr-Digest", "Content-Md5"}
	validators = []string{"Etag", "Last-Modified"}
)

func release(resp *http.Response, x *exchange, out guard.Released, rewritten bool) {
	h := resp.Header
	remove := []string{"Alt-Svc", "Trailer", "Weir-Withheld"}
	head := resp.Request.Method == http.MethodHead
	if out.Withheld > 0 {
		remove = append(remove, validators...)
	}
	if out.Withheld > 0 || rewritten {
		remove = append(remove, digests...)
	}
	if head { // a guess at whose record it is can be checked against these without the record
		remove = append(append(append(remove, validators...), digests...), "Content-Length")
	}
	for _, name := range remove {
		h.Del(name)
	}
	if out.Withheld > 0 {
		h.Set("Weir-Withheld", strconv.Itoa(out.Withheld))
	}
	if out.Personal {
		h.Set("Cache-Control", "private, no-store")
	}
	resp.Trailer = nil
	resp.TransferEncoding = nil
	if head {
		resp.Body, resp.ContentLength = http.NoBody, -1
		return
	}
	setBody(resp, x, out.Body)
}

// refuse turns the response into the refusal; nothing of the upstream's is left in it.
func (p *proxy) refuse(resp *http.Response, x *exchange, no *guard.Refusal) {
	p.log(resp.Request, no)
	resp.StatusCode, resp.Status = no.Status, ""
	resp.Header = http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
	resp.Trailer, resp.TransferEncoding = nil, nil
	setBody(resp, x, no.Body())
}

func (p *proxy) log(r *http.Request, no *guard.Refusal) {
	p.opts.Log.Debug("refused", "method", r.Method, "reason", no.Type)
}

// setBody says in the response how long the body is, and leaves the body itself to ServeHTTP.
func setBody(resp *http.Response, x *exchange, body []byte) {
	resp.Body, resp.ContentLength = http.NoBody, int64(len(body))
	switch {
	case resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified: // they have none
		return
	case resp.Request.Method != http.MethodHead: // its length alone is said
		x.body = body
	}
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// noBuffer keeps the reverse proxy from making a large buffer for bodies that are always empty: see setBody.
type noBuffer struct{}

func (noBuffer) Get() []byte { return make([]byte, 1) }
func (noBuffer) Put([]byte)  {}

// A heldBody is the buffer of one answer.
type heldBody struct{ bytes.Buffer }

var heldBodies = sync.Pool{New: func() any { return new(heldBody) }}

func newHeldBody() *heldBody {
	b := heldBodies.Get().(*heldBody)
	b.Reset()
	return b
}

func (x *exchange) giveBack() {
	if x.held != nil {
		heldBodies.Put(x.held)
	}
}

// coding says what decode made of a content coding.
type coding int

const (
	plain coding = iota
	decoded
	unreadable
	tooLarge
)

// decode undoes gzip (RFC 1952), which some upstreams send unasked; every other coding stays unreadable. The whole stream
// must be sound, down to its checksum, and nothing may follow it.
func decode(resp *http.Response, held *heldBody, limit int64) coding {
	codings := resp.Header.Values("Content-Encoding")
	if len(codings) == 0 || held.Len() == 0 {
		return plain
	}
	switch name := strings.ToLower(strings.TrimSpace(strings.Join(codings, ","))); name {
	case "identity", "":
		return plain
	case "gzip", "x-gzip":
	default:
		return unreadable
	}
	src := bytes.NewReader(held.Bytes())
	z, err := gzip.NewReader(src)
	if err != nil {
		return unreadable
	}
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return unreadable
	case n > limit:
		return tooLarge
	}
	held.Reset()
	held.Write(out.Bytes())
	return decoded
}
