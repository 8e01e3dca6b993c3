package register

import (
	"reflect"
	"strings"

	"weir/internal/access"
	"weir/internal/claim"
	"weir/internal/incident"
)

type object = map[string]any

// recordSchema describes a record's file in JSON Schema (draft 2020-12), made from the property table: editors of YAML
// complete and check with it.
func recordSchema() object {
	text := object{"type": "string"}
	words := func(w ...string) object { return object{"enum": w} }
	var names []string
	var cases []object
	for _, p := range claim.Properties() {
		if p.Object != claim.OfIncident {
			continue
		}
		names = append(names, p.Name)
		then := object{"value": valueSchema(&p)}
		required := []string{}
		switch {
		case p.Of == "":
			then["of"] = false
		default:
			required = append(required, "of")
			if p.OfWords != nil {
				then["of"] = words(p.OfWords...)
			}
		}
		cases = append(cases, object{
			"if":   object{"properties": object{"property": object{"const": p.Name}}},
			"then": object{"properties": then, "required": required, "description": p.Help},
		})
	}
	var speakers []string
	for _, s := range claim.Speakers() {
		speakers = append(speakers, string(s))
	}
	var tiers []string
	for _, t := range access.Tiers() {
		tiers = append(tiers, t.String())
	}
	one := object{
		"type": "object", "additionalProperties": false, "required": []string{"property", "value", "speaker"}, "allOf": cases,
		"properties": object{
			"id": text, "property": words(names...), "of": text, "value": true, "approx": object{"type": "boolean"},
			"kind": words("stated", "measured", "assessed"), "speaker": words(speakers...), "who": text, "source": text, "quote": text, "place": text,
			"as_of": text, "confidence": words("high", "medium", "low"), "coder": text, "reasoning": text, "note": text, "supersedes": text,
			"visible": words(tiers...), "embargo": text,
		},
	}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A record of the register", "type": "object",
		"additionalProperties": false, "required": []string{"id", "victim", "claims"},
		"properties": object{
			"id": text, "victim": text, "draft": object{"type": "boolean"}, "withdrawn": text, "claims": object{"type": "array", "items": one},
		},
	}
}

func valueSchema(p *claim.Property) object {
	s := object{"type": "string", "title": p.Label}
	if p.Words() != nil {
		s["enum"] = p.Words()
	}
	if p.Pattern != nil {
		s["pattern"] = p.Pattern.String()
	}
	if p.Unit != "" {
		s["description"] = "unit: " + p.Unit
	}
	return s
}

// openAPI describes the JSON API (OpenAPI 3.1). The schemas are those of the Go types that are written.
func openAPI() object {
	g := &schemas{made: object{}}
	answer := func(words string, body any) object {
		return object{"description": words, "content": object{"application/json": object{"schema": g.of(reflect.TypeOf(body))}}}
	}
	problem := func(words string) object {
		return object{"description": words, "content": object{"application/problem+json": object{"schema": object{"type": "object"}}}}
	}
	parameter := func(in, name, form, words string) object {
		return object{"in": in, "name": name, "required": in == "path", "description": words, "schema": object{"type": form}}
	}
	id := parameter("path", "id", "string", "the incident's id")
	get := func(summary string, body any, more object, parameters ...object) object {
		responses := object{"200": answer("what the reader's tier shows", body)}
		for status, r := range more {
			responses[status] = r
		}
		return object{"get": object{"summary": summary, "parameters": append([]object{}, parameters...), "responses": responses}}
	}
	absent := object{"404": problem("there is no such incident, or the reader may not see it"), "400": problem("a parameter is wrong")}
	withGone := object{"404": absent["404"], "400": absent["400"], "410": problem("the incident was withdrawn; detail is the reason")}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "Weir register", "version": "1", "description": "Incidents in which data about people was taken; every figure is a claim. Errors are problem documents (RFC 9457)."},
		"paths": object{
			"/api/v1/incidents": get("the incidents, a page at a time", incidentList{}, object{"400": absent["400"]},
				parameter("query", "after", "string", "the field next of the page before"), parameter("query", "limit", "integer", "1 to 200; 50 if not given"),
				parameter("query", "year", "integer", "those that began in it"), parameter("query", "sort", "string", "date, the latest first, or size, the largest first")),
			"/api/v1/incidents/{id}": get("one incident", incident.View{}, withGone, id,
				parameter("query", "as_of", "string", "a day such as 2023-01-20: only what had been said by its end"),
				parameter("query", "revision", "integer", "what the register held then")),
			"/api/v1/incidents/{id}/revisions": get("the history of one incident's record, the latest first", revisionList{}, absent, id),
			"/api/v1/properties": get("the property table", struct {
				Items []propertyRow `json:"items"`
			}{}, nil),
			"/api/v1/record.schema.json": get("JSON Schema of a record's file", object{}, nil),
			"/api/v1/openapi.json":       get("this description", object{}, nil),
		},
		"components": object{"schemas": g.made},
	}
}

// schemas makes JSON Schemas of Go types; those of named structs once, by name.
type schemas struct{ made object }

func (g *schemas) of(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": g.of(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return g.fields(t)
		}
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if _, ok := g.made[name]; !ok {
			g.made[name] = nil // a type may hold itself
			g.made[name] = g.fields(t)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	return object{"type": "object"}
}

func (g *schemas) fields(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || f.Anonymous || !f.IsExported() {
			continue
		}
		properties[name] = g.of(f.Type)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}
