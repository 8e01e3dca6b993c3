package incident

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"weir/internal/access"
	"weir/internal/claim"
)

func assessed(property, value string) claim.Claim {
	return claim.Claim{Property: property, Value: value, Kind: claim.Assessed, Speaker: claim.Editors, Coder: "c", Reasoning: "secret reasoning"}
}

func stated(property, of, value string) claim.Claim {
	return claim.Claim{Property: property, Qualifier: of, Value: value, Kind: claim.Stated, Speaker: claim.Press, Source: "s"}
}

func sample() *Incident {
	return &Incident{
		ID: "x-2022", Victim: Organisation{ID: "x", Name: "Example"},
		Sources: map[string]claim.Source{"s": {ID: "s", Publisher: "P"}},
		Actors:  map[string]Actor{"lapwing": {ID: "lapwing", Name: "Lapwing Group"}},
		Claims: []claim.Claim{
			assessed("confidentiality", "affected"), assessed("motive", "financial"), assessed("technique", "T1190"), assessed("technique", "T1110"),
			stated("actor", "", "lapwing"), stated("actor_type", "lapwing", "extortionist"), stated("date", "", "2022-11"),
			stated("people", "accounts", "37000000"), assessed("description", "It was {people:accounts} accounts by {actor}.\n\nOn {date}, {history}."),
		},
	}
}

// P7: what the public may not read is not in its view, in no form, not by way of prose either.
func TestPublicViewHoldsNothingOfMembers(t *testing.T) {
	in := sample()
	in.Claims[7].Approx = true
	v, ok := in.ViewFor(access.Anybody())
	if !ok {
		t.Fatal("the public sees no page")
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"financial", "T1190", "T1110", "lapwing", "Lapwing", "extortionist", "secret reasoning\",\"note"} {
		if strings.Contains(string(out)+v.Texts(), secret) {
			t.Errorf("the public view holds %q", secret)
		}
	}
	if v.Motives.Count != 1 || v.Techniques.Count != 2 || v.Actors.Count != 1 || v.Posture != nil || v.Motives.Items != nil || v.Actors.Items != nil {
		t.Errorf("%+v", v)
	}
	if text := v.Description[0][1].Text + v.Description[0][3].Text; text != "about 37 million(available to members)" {
		t.Errorf("prose: %q", text)
	}
	m, _ := in.ViewFor(access.Reader{Tier: access.Member})
	if m.Posture == nil || m.Actors.Items[0].Name != "Lapwing Group" || m.Actors.Items[0].Type != "extortionist" || m.Actors.Items[0].Location != claim.NotRecorded {
		t.Errorf("members see %+v", m.Actors)
	}
	in.Draft = true
	if _, ok := in.ViewFor(access.Reader{Tier: access.Member}); ok {
		t.Error("a member sees a draft")
	}
	if _, ok := in.ViewFor(access.Reader{}); ok {
		t.Error("nobody sees a page")
	}
}

func TestTakenSaysWhatNobodySays(t *testing.T) {
	in := sample()
	in.Claims = append(in.Claims, stated("taken", "email", "partly"), stated("taken", "email", "none"), stated("taken", "imei", "taken"))
	v, _ := in.ViewFor(access.Anybody())
	got := map[string]string{}
	for _, row := range v.Taken {
		got[row.Class] = row.Status
	}
	if got["email"] != "partly" || got["ssn"] != "not said" || got["imei"] != "taken" {
		t.Errorf("%v", got)
	}
	if len(v.Disagreements) != 1 || len(v.Disagreements[0].Others) != 1 {
		t.Errorf("disagreements: %+v", v.Disagreements)
	}
}

func TestReadRecordsReportsEverything(t *testing.T) {
	dir := fstest.MapFS{
		"organisations.yaml": {Data: []byte("- {id: x, name: X}\n")},
		"sources.yaml":       {Data: []byte("- {id: s, publisher: P, type: press}\n- {id: s, publisher: P, type: press}\n")},
		"one.yaml":           {Data: []byte("id: one\nvictim: nobody\nclaims:\n  - {property: date, value: soon, speaker: press, source: s}\n  - {property: date, value: \"2022\", speaker: press, source: gone}\n")},
		"two.yaml":           {Data: []byte("id: other\nvictim: x\nclaims:\n  - {property: summary, value: \"It took 37 million in January; {people:all}\", speaker: press, source: s}\n")},
		"three.yaml":         {Data: []byte("id: three\nvictim: x\nsurprise: 1\n")},
	}
	_, err := ReadRecords(dir)
	if err == nil {
		t.Fatal("all was accepted")
	}
	for _, want := range []string{
		"source \"s\"", "no organisation \"nobody\"", "one.yaml: claim 1", "no source \"gone\"", "name the file after it", "stands bare", "{people:all} leads to no claim", "three.yaml", "surprise",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing is said of %q in:\n%v", want, err)
		}
	}
}

func TestDisplay(t *testing.T) {
	for _, tt := range []struct{ property, value, want string }{
		{"people", "37000000", "37 million"}, {"people", "76600000", "76.6 million"}, {"people", "47850000", "47,850,000"}, {"people", "900000", "900,000"}, {"people", "0", "0"}, {"payment", "270000", "USD 270,000"}, {"share", "0.015", "1.5 %"},
		{"date", "2022-11-25", "25 November 2022"}, {"date", "2022-11", "November 2022"}, {"date", "2022", "2022"},
		{"event", "2026-11-02T10:00:01Z", "2 November 2026, 10:00:01 UTC"}, {"confidentiality", "not_affected", "not affected"},
		{"none_found", "0.98", "none found, at coverage 0.98"},
	} {
		p, _ := claim.Find(tt.property)
		if got := display(p, &claim.Claim{Value: tt.value}); got != tt.want {
			t.Errorf("%s %s reads %q, want %q", tt.property, tt.value, got, tt.want)
		}
	}
}
