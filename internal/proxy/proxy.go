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
		BufferPool:     copyBuffers{},
		ErrorLog:       slog.NewLogLogger(opts.Log.Handler(), slog.LevelWarn),
	}
	return p
}

type proxy struct {
	opts    Options
	reverse *httputil.ReverseProxy
}

type exchangeKey struct{}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, no := p.opts.Guard.Begin(r)
	if no != nil {
		p.log(r, no)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(no.Status)
		w.Write(no.Body())
		return
	}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), exchangeKey{}, x), p.opts.Timeout)
	defer cancel()
	p.reverse.ServeHTTP(finalOnly{w}, r.WithContext(ctx))
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
	x := r.Context().Value(exchangeKey{}).(*guard.Exchange)
	no := x.Refuse(weir.UpstreamFailed)
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
	x := resp.Request.Context().Value(exchangeKey{}).(*guard.Exchange)
	held, reason := p.hold(resp)
	if reason != weir.NoReason {
		held.Close()
		p.refuse(resp, x.Refuse(reason))
		return nil
	}
	coded := decode(resp, held, p.opts.Guard.Hold())
	if coded == tooLarge {
		held.Close()
		p.refuse(resp, x.Refuse(weir.TooLarge))
		return nil
	}
	out, no := x.Answer(guard.Answer{
		Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Coded: coded == unreadable, Body: held.Bytes(),
	})
	if no != nil {
		held.Close()
		p.refuse(resp, no)
		return nil
	}
	if coded == decoded {
		resp.Header.Del("Content-Encoding")
	}
	release(resp, out, held, coded == decoded)
	return nil
}

// hold reads the body whole, if it is one that can be.
func (p *proxy) hold(resp *http.Response) (*heldBody, weir.Reason) {
	held := newHeldBody()
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusPartialContent {
		return held, weir.Unreadable
	}
	limit := p.opts.Guard.Hold()
	if resp.ContentLength > limit && resp.Request.Method != http.MethodHead {
		return held, weir.TooLarge
	}
	n, err := held.ReadFrom(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return held, weir.UpstreamFailed
	case n > limit:
		return held, weir.TooLarge
	}
	return held, weir.NoReason
}

// Headers that describe the bytes or the version of a body, and so do not describe another one.
var (
	digests    = []string{"Digest", "Content-Digest", "Repr-Digest", "Content-Md5"}
	validators = []string{"Etag", "Last-Modified"}
)

func release(resp *http.Response, out guard.Released, held *heldBody, rewritten bool) {
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
		held.Close()
		resp.Body, resp.ContentLength = http.NoBody, -1
		return
	}
	setBody(resp, out.Body, held)
}

// refuse turns the response into the refusal; nothing of the upstream's is left in it.
func (p *proxy) refuse(resp *http.Response, no *guard.Refusal) {
	p.log(resp.Request, no)
	resp.StatusCode, resp.Status = no.Status, ""
	resp.Header = http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
	resp.Trailer, resp.TransferEncoding = nil, nil
	setBody(resp, no.Body(), nil)
}

func (p *proxy) log(r *http.Request, no *guard.Refusal) {
	p.opts.Log.Debug("refused", "method", r.Method, "reason", no.Type)
}

func setBody(resp *http.Response, body []byte, held *heldBody) {
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotModified {
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	resp.ContentLength = int64(len(body))
	resp.Body = &releasedBody{bytes.NewReader(body), held}
}

// A heldBody is the buffer of one answer; Close gives it back.
type heldBody struct{ bytes.Buffer }

var heldBodies = sync.Pool{New: func() any { return new(heldBody) }}

func newHeldBody() *heldBody {
	b := heldBodies.Get().(*heldBody)
	b.Reset()
	return b
}

func (b *heldBody) Close() {
	if b != nil {
		heldBodies.Put(b)
	}
}

// releasedBody reads what is released, and gives the buffer behind it back when the reverse proxy is done: once, however
// often it is closed, for a buffer given back twice would be two answers' buffer.
type releasedBody struct {
	*bytes.Reader
	held *heldBody
}

func (b *releasedBody) Close() error {
	b.held.Close()
	b.held = nil
	return nil
}

type copyBuffers struct{}

var copyPool = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (copyBuffers) Get() []byte  { return *copyPool.Get().(*[]byte) }
func (copyBuffers) Put(b []byte) { copyPool.Put(&b) }

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
