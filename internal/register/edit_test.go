package register

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"weir/internal/access"
)

// Every way to change the record is for editors.
func TestOnlyEditorsChange(t *testing.T) {
	s := newSite(t)
	page := "/incidents/" + incident2022
	for _, v := range []*visitor{s.public(), s.as(access.Member), s.as(access.Responder)} {
		for _, path := range []string{page + "/edit", page + "/claim", "/new", "/edit/source/new", "/edit/actor/new"} {
			if status, _ := v.get(path); status != http.StatusForbidden {
				t.Errorf("GET %s: %d", path, status)
			}
			if status, _ := v.post(path, url.Values{"text": {"x"}, "reason": {"x"}}); status != http.StatusForbidden {
				t.Errorf("POST %s: %d", path, status)
			}
		}
		for _, path := range []string{page + "/restore", page + "/withdraw", page + "/publish"} {
			if status, _ := v.post(path, url.Values{"revision": {"1"}, "reason": {"x"}}); status != http.StatusForbidden {
				t.Errorf("POST %s: %d", path, status)
			}
		}
	}
}

// form returns the text and the base that the editor's page holds.
func (v *visitor) form(path string) url.Values {
	v.t.Helper()
	return url.Values{"text": {v.raw(path, "#text")}, "base": {v.attribute(path, "input[name=base]", "value")}}
}

// What is wrong is said with its line, nothing is written, and the editor's text is still there.
func TestEditKeepsTheText(t *testing.T) {
	v := newSite(t).as(access.Editor)
	path := "/incidents/" + incident2022 + "/edit"
	form := v.form(path)
	form.Set("reason", "a test")
	good := form.Get("text")
	for name, tt := range map[string]struct{ text, want string }{
		"no source":    {strings.Replace(good, "source: tmus-8k-2023-01-19", "source: nowhere", 1), "no source"},
		"bare figure":  {strings.Replace(good, "somebody used", "37 million times somebody used", 1), "stands bare"},
		"no yaml":      {good + "\n  - : [", "line"},
		"unknown key":  {good + "surprise: 1\n", "surprise"},
		"comment":      {good + "# why not\n", "comments would be lost"},
		"another id":   {strings.Replace(good, "id: "+incident2022, "id: another", 1), "name the file after the id"},
		"empty record": {"", "id"},
	} {
		form.Set("text", tt.text)
		status, body := v.post(path, form)
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d, no %q", name, status, tt.want)
		}
		if got := text(t, body, "#text"); got != strings.TrimPrefix(tt.text, "\n") {
			t.Errorf("%s: the text is not kept (%d of %d bytes)", name, len(got), len(tt.text))
		}
	}
	form.Set("text", good)
	form.Del("reason")
	if status, body := v.post(path, form); status != http.StatusUnprocessableEntity || !strings.Contains(body, "reason") {
		t.Errorf("without a reason: %d", status)
	}
	if got := v.texts("/incidents/"+incident2022+"/revisions", ".revision"); len(got) != 1 {
		t.Errorf("refused edits left %d revisions", len(got))
	}
	form.Set("text", strings.Repeat("x", maxForm+1))
	if status, _ := v.post(path, form); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a text of more than 2 MB: %d", status)
	}
}

// Two people edit one record in their browsers: the second is told what changed, has both texts, and saves both changes.
func TestConflictInTheBrowser(t *testing.T) {
	v := newSite(t).as(access.Editor)
	page := "/incidents/" + incident2022
	form := v.form(page + "/edit")
	add := func(asset string) string {
		return form.Get("text") + "  - property: asset\n    value: " + asset + "\n    speaker: press\n    source: tmus-business-notice-2023-02\n"
	}
	one := url.Values{"base": form["base"], "reason": {"first"}, "text": {add("a first system")}}
	if status, _ := v.post(page+"/edit", one); status != http.StatusOK {
		t.Fatalf("the first: %d", status)
	}
	two := url.Values{"base": form["base"], "reason": {"second"}, "text": {strings.ReplaceAll(add("a second system"), "\n", "\r\n")}} // as browsers send it
	status, body := v.post(page+"/edit", two)
	if status != http.StatusConflict || !strings.Contains(body, "Somebody else changed this incident") || !strings.Contains(text(t, body, ".difference"), "a first system") {
		t.Fatalf("the second is not told: %d", status)
	}
	if mine := text(t, body, "details textarea"); mine != add("a second system") {
		t.Error("the text as it was sent is not on the page")
	}
	two.Set("text", text(t, body, "#text"))
	two.Set("base", attribute(t, body, "input[name=base]", "value"))
	if status, _ := v.post(page+"/edit", two); status != http.StatusOK {
		t.Fatalf("the merged text: %d", status)
	}
	if got := strings.Join(v.texts(page, "section[aria-labelledby=how] td"), " "); !strings.Contains(got, "a first system") || !strings.Contains(got, "a second system") {
		t.Errorf("one of the changes is lost: %s", got)
	}
}

// The form for a claim is made of the property's row; a restore takes it back; a withdrawal leaves its reason.
func TestClaimRestoreWithdraw(t *testing.T) {
	s := newSite(t)
	v := s.as(access.Editor)
	page := "/incidents/" + incident2022
	if got := v.texts(page+"/claim", "option"); len(got) < 40 {
		t.Errorf("%d properties to choose from", len(got))
	}
	if got := v.texts(page+"/claim?property=taken", "#value option"); strings.Join(got, " ") != "taken partly none unknown" {
		t.Errorf("values of taken: %q", got)
	}
	if got := v.texts(page+"/claim?property=taken", "#of option"); len(got) < 20 {
		t.Errorf("classes: %q", got)
	}
	source := url.Values{"id": {"a-new-source"}, "publisher": {"Example Gazette"}, "type": {"press"}, "published": {"soon"}, "reason": {"needed"}}
	if status, body := v.post("/edit/source/new", source); status != http.StatusUnprocessableEntity || !strings.Contains(body, "is no date") || attribute(t, body, "#f-publisher", "value") != "Example Gazette" {
		t.Errorf("a wrong date of a source: %d", status)
	}
	source.Set("published", "2024-02-03")
	if status, _ := v.post("/edit/source/new", source); status != http.StatusOK {
		t.Fatalf("a new source: %d", status)
	}
	form := url.Values{
		"property": {"people"}, "of": {"current postpaid and prepaid customer accounts"}, "value": {"many"}, "speaker": {"research"}, "source": {"a-new-source"},
		"as_of": {"2024-02-03"}, "kind": {"stated"}, "reason": {"another figure"},
	}
	if status, body := v.post(page+"/claim", form); status != http.StatusUnprocessableEntity || !strings.Contains(body, "is no figure") || attribute(t, body, "#value", "value") != "many" {
		t.Errorf("no figure: %d", status)
	}
	form.Set("value", "36000000")
	if status, _ := v.post(page+"/claim", form); status != http.StatusOK {
		t.Fatalf("a claim: %d", status)
	}
	if got := strings.Join(s.public().texts(page, "section[aria-labelledby=counts] .claims li"), "\n"); !strings.Contains(got, "36 million — research, 2024-02-03") {
		t.Errorf("the claim is not shown beside the others: %s", got)
	}
	if got := s.public().texts("/sources/a-new-source", "td .value"); len(got) != 1 || got[0] != "36 million" {
		t.Errorf("what rests on the source: %q", got)
	}
	if status, _ := v.post(page+"/restore", url.Values{"revision": {"1"}}); status != http.StatusOK {
		t.Errorf("restoring: %d", status)
	}
	if got := strings.Join(s.public().texts(page, "section[aria-labelledby=counts]"), ""); strings.Contains(got, "36 million") {
		t.Error("restored, and the claim is still there")
	}
	revisions := strings.Join(s.public().texts(page+"/revisions", ".revision"), "\n")
	for _, want := range []string{"Taken back: How many", "Added: How many", "36000000", "another figure", "restored revision 1"} {
		if !strings.Contains(revisions, want) {
			t.Errorf("the revisions do not say %q", want)
		}
	}
	if strings.Contains(revisions, "· editor ·") {
		t.Error("the public reads who edits")
	}
	if status, _ := v.post(page+"/withdraw", url.Values{"reason": {" "}}); status != http.StatusUnprocessableEntity {
		t.Errorf("withdrawn without a reason: %d", status)
	}
	v.post(page+"/withdraw", url.Values{"reason": {"it was another company"}})
	for _, path := range []string{page, page + "?revision=1", "/api/v1" + page} {
		if status, body := s.public().get(path); status != http.StatusGone || !strings.Contains(body, "it was another company") || strings.Contains(body, "37 million") {
			t.Errorf("withdrawn, %s: %d", path, status)
		}
	}
}

// Two people edit one source in their browsers: the second is told, what they wrote is kept, and saving again is their choice.
func TestObjectConflict(t *testing.T) {
	v := newSite(t).as(access.Editor)
	path := "/edit/source/tmus-8k-2023-01-19"
	base := v.attribute(path, "input[name=base]", "value")
	form := func(note string) url.Values {
		return url.Values{"base": {base}, "publisher": {"T-Mobile US, Inc."}, "type": {"filing"}, "published": {"2023-01-19"}, "note": {note}, "reason": {"a note"}}
	}
	if status, body := v.post(path, form("the first note")); status != http.StatusOK {
		t.Fatalf("the first: %d %s", status, body)
	}
	two := form("the second note")
	status, body := v.post(path, two)
	if status != http.StatusConflict || !strings.Contains(body, "somebody else changed it") || attribute(t, body, "#f-note", "value") != "the second note" {
		t.Fatalf("the second is not told: %d", status)
	}
	if got := v.attribute(path, "#f-note", "value"); got != "the first note" {
		t.Errorf("refused, and written all the same: %q", got)
	}
	two.Set("base", attribute(t, body, "input[name=base]", "value"))
	if status, _ := v.post(path, two); status != http.StatusOK || v.attribute(path, "#f-note", "value") != "the second note" {
		t.Errorf("saved again: %d", status)
	}
	two.Del("base")
	if status, _ := v.post(path, two); status != http.StatusBadRequest {
		t.Errorf("no base: %d", status)
	}
	for id, want := range map[string]string{"t-mobile-us": "is taken already", "new": "cannot be", "Not An Id": "is no id"} {
		status, body := v.post("/edit/organisation/new", url.Values{"id": {id}, "name": {"Somebody else"}, "reason": {"r"}})
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, want) || attribute(t, body, "#f-name", "value") != "Somebody else" {
			t.Errorf("a new organisation %q: %d, no %q", id, status, want)
		}
	}
	if got := v.texts("/organisations/t-mobile-us", "h1"); got[0] != "T-Mobile US" {
		t.Errorf("a new one took the place of another: %q", got)
	}
}

// Claims that editors add at the same moment all arrive.
func TestClaimsAtOnce(t *testing.T) {
	s := newSite(t)
	page := "/incidents/" + incident2022
	var wg sync.WaitGroup
	for i := range 6 {
		v := s.as(access.Editor)
		wg.Go(func() {
			form := url.Values{
				"property": {"asset"}, "value": {fmt.Sprintf("system %d", i)}, "speaker": {"press"}, "source": {"tmus-8k-2023-01-19"}, "kind": {"stated"}, "reason": {"r"},
			}
			if status, _ := v.post(page+"/claim", form); status != http.StatusOK {
				t.Errorf("claim %d: %d", i, status)
			}
		})
	}
	wg.Wait()
	shown := strings.Join(s.public().texts(page, "section[aria-labelledby=how]"), "")
	for i := range 6 {
		if !strings.Contains(shown, fmt.Sprintf("system %d", i)) {
			t.Errorf("claim %d is lost", i)
		}
	}
}

func TestNewIncident(t *testing.T) {
	v := newSite(t).as(access.Editor)
	good := "id: example-2026-01\nvictim: t-mobile-us\ndraft: true\nclaims:\n  - property: date\n    value: \"2026-01\"\n    speaker: press\n    source: tmus-business-notice-2023-02\n"
	if status, body := v.post("/new", url.Values{"text": {strings.Replace(good, "example-2026-01", incident2022, 1)}, "reason": {"r"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "there is such an incident") {
		t.Errorf("an id that is taken: %d", status)
	}
	if status, body := v.post("/new", url.Values{"text": {firstText}, "reason": {"r"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "no organisation") {
		t.Errorf("the text that a new record begins from: %d", status)
	}
	if status, body := v.post("/new", url.Values{"text": {"victim: t-mobile-us\n" + strings.Replace(good, "victim: t-mobile-us\n", "", 1)}, "reason": {" "}}); status != http.StatusUnprocessableEntity || strings.Contains(body, "name the file") {
		t.Errorf("keys in another order: %d", status)
	}
	if status, _ := v.post("/new", url.Values{"text": {good}, "reason": {"r"}}); status != http.StatusOK {
		t.Errorf("a good one: %d", status)
	}
	if got := v.texts("/incidents/example-2026-01", ".notice"); len(got) != 1 || !strings.Contains(got[0], "Draft.") {
		t.Errorf("its page: %q", got)
	}
}

// Source time on pages and in the API: the page of a day holds what had been said by then, and says what it leaves out.
func TestAsOfTheDayAfter(t *testing.T) {
	v := newSite(t).public()
	page := "/incidents/" + incident2022
	then, now := v.texts(page+"?as_of=2023-01-20", "article")[0], v.texts(page, "article")[0]
	if !strings.Contains(then, "As of 2023-01-20.") || !strings.Contains(then, "made later") {
		t.Error("the page does not say what it leaves out")
	}
	_, of, _ := strings.Cut(then, "Location") // behind the list of what was made later
	if strings.Contains(of, "15,750,000") || !strings.Contains(now, "15,750,000") {
		t.Error("the fine of 2024 stands on the page of 2023")
	}
	if _, body := v.get("/api/v1" + page + "?as_of=2023-01-20"); !strings.Contains(body, `"as_of":"2023-01-20"`) || !strings.Contains(body, `"later":[`) {
		t.Error("the API does not know the day")
	}
	for _, wrong := range []string{"?as_of=soon", "?as_of=2023-02-30", "?revision=0", "?revision=x"} {
		if status, body := v.get(page + wrong); status != http.StatusBadRequest || !strings.Contains(body, "must be") {
			t.Errorf("%s: %d", wrong, status)
		}
	}
	if status, _ := v.get(page + "?revision=99"); status != http.StatusNotFound {
		t.Errorf("a revision that is not there: %d", status)
	}
}
