package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/guard"
	"weir/internal/ledger"
	"weir/internal/proxy"
	"weir/internal/quota"
)

const connections = 64

// sizes are the answers that are measured, by how many records they hold.
var sizes = []int{1, 50, 1000}

// body is an answer of so many records of about 600 bytes, as the n-th customer list.
func body(records, n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"items":[`)
	for i := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		id := n*1000 + i
		fmt.Fprintf(&b, `{"account_number":"9%08d","name":"Sample Person %d","email":"sample.%d@example.com","phone":"+1 212 555 01%02d",`+
			`"billing_address":{"street":"%d Sample Street","city":"Sampletown","state":"WA","zip":"98%03d"},"plan":"Sample Unlimited","lines":[`+
			`{"number":"+1 206 555 01%02d","device":"sample phone","since":"2019-0%d-11"},{"number":"+1 206 555 01%02d","device":"sample tablet","since":"2021-0%d-02"}],`+
			`"status":"active","autopay":true,"balance":%d.%02d,"notes":"an invented customer of an invented carrier, for measuring"}`,
			id, id, id, id%100, id%9999, id%1000, id%100, id%9+1, (id+1)%100, id%9+1, id%300, id%100)
	}
	b.WriteString(`],"next":null}`)
	return b.Bytes()
}

func (b *bench) serveUpstream() error {
	bodies := map[string][][]byte{}
	for _, n := range sizes {
		for i := range 64 {
			bodies[strconv.Itoa(n)] = append(bodies[strconv.Itoa(n)], body(n, i))
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/list/{records}/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		all := bodies[r.PathValue("records")]
		if err != nil || all == nil {
			http.NotFound(w, r)
			return
		}
		answer := all[n%len(all)]
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Write(answer)
	})
	return b.serve(mux)
}

// serve answers until its standard input ends, and says where.
func (b *bench) serve(h http.Handler) error {
	stop, err := b.startProfile()
	if err != nil {
		return err
	}
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	srv := &http.Server{Handler: h}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		srv.Close()
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (b *bench) serveBare() error {
	to, err := url.Parse("http://" + b.upstream)
	if err != nil {
		return err
	}
	return b.serve(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
		Transport: &http.Transport{
			DisableCompression: true, MaxIdleConns: 1024, MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second,
		},
		BufferPool: buffers{},
	})
}

type buffers struct{}

var pool = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (buffers) Get() []byte  { return *pool.Get().(*[]byte) }
func (buffers) Put(b []byte) { pool.Put(&b) }

const benchKey = "sample-key-of-the-bench"

func (b *bench) serveGuard() error {
	to, err := url.Parse("http://" + b.upstream)
	if err != nil {
		return err
	}
	keyring, err := weir.NewKeyring(make([]byte, weir.SeedSize))
	if err != nil {
		return err
	}
	keys, err := guard.ReadKeyList(strings.NewReader(fmt.Sprintf("%x partner\n", sha256.Sum256([]byte(benchKey)))), "X-Api-Key")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "guard")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lock, err := ledger.AcquireLock(dir, "bench")
	if err != nil {
		return err
	}
	g, err := guard.Open(guard.Options{
		Ledger: ledger.Dir(dir), Keyring: keyring, Keys: []*guard.KeyList{keys}, Hold: 2 << 20, Log: ledger.Options{Owned: lock.Held},
		Routes: []*guard.Route{{Match: "GET /v1/list/{records}/{n}", Records: "/items/*", Subject: "/account_number",
			Classes: map[string]weir.Class{"/name": weir.Name, "/email": weir.Email, "/billing_address": weir.PostalAddress}}},
		Quotas: quota.Rules{{Principal: quota.Everyone, Limit: quota.Limit{Subjects: 1 << 30, Window: 24 * time.Hour}}},
	})
	if err != nil {
		return err
	}
	return errors.Join(b.serve(proxy.New(proxy.Options{Guard: g, Upstream: to})), g.Close())
}

// child is a process of this program.
type child struct {
	cmd  *exec.Cmd
	in   io.Closer
	addr string
}

func start(binary string, args ...string) (*child, error) {
	cmd := exec.Command(binary, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s %v did not start: %w", binary, args, err)
	}
	return &child{cmd, in, strings.TrimSpace(addr)}, nil
}

func (c *child) stop() error { return errors.Join(c.in.Close(), c.cmd.Wait()) }

// cpu is what the process has used, in the kernel's ticks of 10 ms.
func (c *child) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

func (b *bench) guards() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	upstream, err := start(self, "serve-upstream", "-dir", b.dir)
	if err != nil {
		return err
	}
	defer upstream.stop()
	type variant struct{ name, serve, bin string }
	variants := []variant{{"bare ReverseProxy", "serve-bare", self}}
	if b.off != "" {
		off, err := filepath.Abs(b.off)
		if err != nil {
			return err
		}
		variants = append(variants, variant{"guard, ledger off", "serve-guard", off})
	}
	variants = append(variants, variant{"guard", "serve-guard", self})
	fmt.Printf("%d connections, %s each; median and least of %d rounds\n%8s %-20s %12s %14s %8s %8s %8s\n",
		connections, b.lasts, b.rounds, "records", "proxy", "requests/s", "CPU us/request", "ratio", "least", "ratio")
	for _, records := range sizes {
		if b.records != 0 && records != b.records {
			continue
		}
		perRequest, rates := make([][]float64, len(variants)), make([][]float64, len(variants))
		for range b.rounds {
			for i, v := range variants {
				profile := ""
				if b.profile != "" {
					profile = fmt.Sprintf("%s-%d-%d", b.profile, records, i)
				}
				p, err := start(v.bin, v.serve, "-dir", b.dir, "-upstream", upstream.addr, "-profile", profile)
				if err != nil {
					return err
				}
				us, rate, err := b.load(p, records)
				if err := errors.Join(err, p.stop()); err != nil {
					return err
				}
				perRequest[i], rates[i] = append(perRequest[i], us), append(rates[i], rate)
			}
		}
		for i, v := range variants {
			slices.Sort(perRequest[i])
			slices.Sort(rates[i])
			m := b.rounds / 2
			fmt.Printf("%8d %-20s %12.0f %14.1f %7.2fx %8.1f %7.2fx\n", records, v.name, rates[i][m],
				perRequest[i][m], perRequest[i][m]/perRequest[0][m], perRequest[i][0], perRequest[i][0]/perRequest[0][0])
		}
	}
	return nil
}

// load asks over all connections, first a while unmeasured.
func (b *bench) load(p *child, records int) (us, rate float64, err error) {
	if _, err := b.ask(p, records, b.lasts/3); err != nil {
		return 0, 0, err
	}
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	at := time.Now()
	n, err := b.ask(p, records, b.lasts)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(at)
	after, err := p.cpu()
	return float64((after - before).Microseconds()) / float64(n), float64(n) / took.Seconds(), err
}

// ask runs a closed loop on each connection with a client that does little: this machine serves all of it.
func (b *bench) ask(p *child, records int, lasts time.Duration) (n int, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for c := range connections {
		wg.Go(func() {
			mine, failure := askOne(p.addr, records, c, func() bool { return time.Since(start) < lasts })
			mu.Lock()
			n, err = n+mine, errors.Join(err, failure)
			mu.Unlock()
		})
	}
	wg.Wait()
	return n, err
}

func askOne(addr string, records, c int, goOn func() bool) (n int, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	for i := c; goOn(); i++ {
		if _, err := fmt.Fprintf(conn, "GET /v1/list/%d/%d HTTP/1.1\r\nHost: bench\r\nX-Api-Key: %s\r\n\r\n", records, i, benchKey); err != nil {
			return n, err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return n, err
		}
		if res.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(res.Body)
			return n, fmt.Errorf("%s: %s", res.Status, text)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
