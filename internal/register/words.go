package register

import (
	"fmt"
	"html/template"
	"strings"

	"weir/internal/claim"
	"weir/internal/incident"
)

// words are the functions that templates print with.
var words = template.FuncMap{
	"recorded": func(s string) string {
		if s == "" {
			return claim.NotRecorded
		}
		return s
	},
	"plural": plural,
	"title":  title,
	"named":  named,
	"join":   strings.Join,
	"spaced": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"prose":  func(incident string, p []incident.Paragraph) prose { return prose{incident, p} },
	"policy": func() string { return claim.Policy },
	"values": values,
	"add":    func(a, b int) int { return a + b },
}

// prose is a text on the page of an incident, or, where Incident is empty, on a page of several.
type prose struct {
	Incident   string
	Paragraphs []incident.Paragraph
}

func plural(n int, one string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// acronyms are the words of the register's vocabulary that are written in capitals.
var acronyms = map[string]string{"ssn": "SSN", "id": "ID", "sha256": "SHA-256", "url": "URL"}

// named writes a word of the register's vocabulary as people do.
func named(s string) string {
	words := strings.Fields(strings.ReplaceAll(s, "_", " "))
	for i, w := range words {
		if a, ok := acronyms[w]; ok {
			words[i] = a
		}
	}
	return strings.Join(words, " ")
}

// title is named at the beginning of a line.
func title(s string) string {
	if s = named(s); s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// values are the different values that are claimed beside a leading figure, the leading one first.
func values(f incident.Figure) string {
	seen := map[string]bool{f.Text: true}
	all := []string{f.Text}
	for _, o := range f.Others {
		if !seen[o.Text] {
			seen[o.Text] = true
			all = append(all, o.Text)
		}
	}
	return strings.Join(all, " · ")
}
