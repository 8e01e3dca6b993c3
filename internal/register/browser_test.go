package register

import (
	"context"
	_ "embed" // the file that axe is
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"weir/internal/access"
)

// browser starts a headless Chromium. Without one the test is skipped, except in CI, which installs it.
func browser(t *testing.T) context.Context {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			found = path
			break
		}
	}
	if found == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium: .ci/run installs it")
		}
		t.Skip("no Chromium on this machine: install it to test how the pages look")
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox)...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	ctx, stop = context.WithTimeout(ctx, 6*time.Minute)
	t.Cleanup(stop)
	return ctx
}

// measured is what the browser says of a page.
type measured struct {
	Overflow   int     // CSS pixels by which the page is wider than the window
	Background string  // of the page
	Contrast   float64 // the smallest of text against its background (WCAG 2.2, 1.4.3)
	Worst      string  // the text that has it
	Small      string  // a control below 24 by 24 CSS pixels (WCAG 2.2, 2.5.8), if there is one
}

// measure runs in the page. Inline links are exempt from the target size, as WCAG says.
const measure = `(() => {
	const parse = s => (s.match(/[\d.]+/g) || []).map(Number);
	const light = ([r, g, b]) => { const f = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	const out = {Overflow: document.documentElement.scrollWidth - innerWidth, Background: getComputedStyle(document.documentElement).backgroundColor, Contrast: 21, Worst: "", Small: ""};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		if (!n.data.trim() || !n.parentElement.offsetParent) continue;
		const a = light(parse(getComputedStyle(n.parentElement).color)), b = light(behind(n.parentElement));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < out.Contrast) { out.Contrast = ratio; out.Worst = n.data.trim().slice(0, 60); }
	}
	for (const e of document.querySelectorAll("button, input:not([type=hidden])")) {
		const r = e.getBoundingClientRect();
		if (r.width < 24 || r.height < 24) out.Small = e.outerHTML.slice(0, 80);
	}
	return out;
})()`

// axe is axe-core (MPL-2.0), which checks a page for what keeps people from using it.
//
//go:embed testdata/axe-core-4.14.1/axe.min.js
var axe string

// audit runs in the page and returns what axe finds of serious and critical weight.
const audit = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical")
	.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | ")))`

// pagesToSee are all kinds of pages, each with the tier that sees it first; editors have more to see on some.
func pagesToSee(s *site) []struct {
	name, path string
	tier       access.Tier
} {
	page := "/incidents/" + incident2022
	return []struct {
		name, path string
		tier       access.Tier
	}{
		{"home", "/", 0}, {"incident-2022", page, 0}, {"incident-2021", "/incidents/t-mobile-us-2021-08", 0}, {"as-of", page + "?as_of=2023-01-20", 0},
		{"revision", page + "?revision=1", 0}, {"revisions", page + "/revisions", 0}, {"incidents", "/incidents?sort=size", 0}, {"search", "/search?q=API", 0},
		{"organisation", "/organisations/t-mobile-us", 0}, {"source", "/sources/tmus-8k-2023-01-19", 0}, {"properties", "/properties", 0}, {"members", "/members", 0},
		{"login", "/login", 0}, {"error", "/incidents/no-such", 0}, {"withdrawn", "/incidents/usps-2018-11", 0}, {"actor", "/actors/" + s.actor, access.Member},
		{"draft", "/incidents/" + s.draft, access.Responder}, {"edit", page + "/edit", access.Editor}, {"claim", page + "/claim", access.Editor},
		{"claim-people", page + "/claim?property=people", access.Editor}, {"new-source", "/edit/source/new", access.Editor}, {"new", "/new", access.Editor},
	}
}

// Pages fit a phone, can be read in light and in dark, their controls can be hit, and axe finds nothing serious in them.
// With WEIR_SHOTS=FOLDER the test leaves a picture of each there, to be looked at.
func TestPagesInBrowser(t *testing.T) {
	s := newSite(t)
	editor := s.as(access.Editor)
	form := editor.form("/incidents/" + incident2022 + "/edit")
	form.Set("text", strings.Replace(form.Get("text"), "source: tmus-8k-2023-01-19", "source: tmus-business-notice-2023-02", 1))
	form.Set("reason", "a second revision to look at")
	if status, _ := editor.post("/incidents/"+incident2022+"/edit", form); status != http.StatusOK {
		t.Fatalf("a second revision: %d", status)
	}
	editor.post("/incidents/usps-2018-11/withdraw", url.Values{"reason": {"a withdrawal to look at"}})
	ctx := browser(t)
	for _, tier := range []access.Tier{access.Public, access.Editor} {
		if tier == access.Editor {
			err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/login"), chromedp.SetValue("#name", tier.String()), chromedp.SetValue("#password", password),
				chromedp.Submit("form.login"), chromedp.WaitVisible("form.who"))
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range pagesToSee(s) {
			if p.tier > tier || tier > access.Public && p.tier == 0 && !strings.Contains("incident-2022 revisions source organisation", p.name) {
				continue
			}
			for _, screen := range screens {
				name := fmt.Sprintf("%s-%s-%s", p.name, tier, screen.name)
				for _, fault := range look(t, ctx, screen, s.url+p.path, name) {
					t.Errorf("%s: %s", name, fault)
				}
			}
		}
	}
}

// screen is what a page is looked at on.
type screen struct {
	name  string
	width int64
	theme string
}

var screens = []screen{{"light", 1200, "light"}, {"dark", 1200, "dark"}, {"phone", 390, "light"}, {"narrow", 320, "dark"}}

// look opens a page with all its details open, and returns what is wrong with it.
func look(t *testing.T, ctx context.Context, on screen, address, name string) (faults []string) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: on.theme}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(on.width, 800), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("WEIR_SHOTS"); dir != "" {
		shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := chromedp.Run(ctx, chromedp.Evaluate[measured](`document.querySelectorAll("details").forEach(d => d.open = true); `+measure))
	if err != nil {
		t.Fatal(err)
	}
	if m.Overflow > 0 {
		faults = append(faults, fmt.Sprintf("%d pixels wider than the window", m.Overflow))
	}
	if dark := strings.HasPrefix(m.Background, "rgb(1"); dark != (on.theme == "dark") {
		faults = append(faults, "background "+m.Background)
	}
	if m.Contrast < 4.5 {
		faults = append(faults, fmt.Sprintf("contrast %.2f of %q", m.Contrast, m.Worst))
	}
	if m.Small != "" {
		faults = append(faults, "too small to hit: "+m.Small)
	}
	if on.name == "light" { // what differs with theme and width is measured above
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axe+"; "+audit, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		faults = append(faults, found...)
	}
	return faults
}

// By keyboard the first stop is the link past the navigation, and it is seen when it has the focus.
func TestSkipLink(t *testing.T) {
	s := newSite(t)
	ctx := browser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/"), chromedp.KeyEvent("\t")); err != nil {
		t.Fatal(err)
	}
	focus, err := chromedp.Run(ctx, chromedp.Evaluate[struct {
		Text string
		Left float64
	}](`({Text: document.activeElement.textContent, Left: document.activeElement.getBoundingClientRect().left})`))
	if err != nil || focus.Text != "Skip to the content" || focus.Left < 0 {
		t.Errorf("%+v, %v", focus, err)
	}
}
