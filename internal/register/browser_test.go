package register

import (
	"context"
	"fmt"
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
	ctx, stop = context.WithTimeout(ctx, 3*time.Minute)
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

// Pages fit a phone, can be read in light and in dark, and their controls can be hit.
// With WEIR_SHOTS=FOLDER the test leaves a picture of each there, to be looked at.
func TestPagesInBrowser(t *testing.T) {
	s := newSite(t)
	ctx := browser(t)
	pages := []struct{ name, path string }{
		{"home", "/"}, {"incident-2022", "/incidents/" + incident2022}, {"incident-2021", "/incidents/t-mobile-us-2021-08"},
		{"incidents", "/incidents"}, {"search", "/search?q=API"}, {"organisation", "/organisations/t-mobile-us"}, {"source", "/sources/tmus-8k-2023-01-19"},
		{"properties", "/properties"}, {"members", "/members"}, {"login", "/login"}, {"error", "/incidents/no-such"}, {"draft", "/incidents/" + s.draft},
	}
	screens := []struct {
		name  string
		width int64
		theme string
	}{{"light", 1200, "light"}, {"dark", 1200, "dark"}, {"phone", 390, "light"}, {"narrow", 320, "dark"}}
	for _, tier := range []access.Tier{access.Public, access.Editor} {
		if tier == access.Editor {
			err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/login"), chromedp.SetValue("#name", tier.String()), chromedp.SetValue("#password", password),
				chromedp.Submit("form.login"), chromedp.WaitVisible("form.who"))
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, screen := range screens {
			for _, p := range pages {
				if tier == access.Public && p.name == "draft" {
					continue
				}
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.theme}},
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(screen.width, 800), chromedp.Navigate(s.url+p.path)); err != nil {
					t.Fatal(err)
				}
				m, err := chromedp.Run(ctx, chromedp.Evaluate[measured](measure))
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("%s-%s-%s", p.name, tier, screen.name)
				if m.Overflow > 0 {
					t.Errorf("%s: %d pixels wider than the window", name, m.Overflow)
				}
				if dark := strings.HasPrefix(m.Background, "rgb(1"); dark != (screen.theme == "dark") {
					t.Errorf("%s: background %s", name, m.Background)
				}
				if m.Contrast < 4.5 {
					t.Errorf("%s: contrast %.2f of %q", name, m.Contrast, m.Worst)
				}
				if m.Small != "" {
					t.Errorf("%s: too small to hit: %s", name, m.Small)
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
			}
		}
	}
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
