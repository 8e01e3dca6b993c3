package claim

import "weir/internal/access"

// A Property is something that can be said about an incident. This table is the only place that defines one: pages, API,
// lint, search and access follow it.
type Property struct {
	Name      string
	Type      Type
	Qualified bool // the value is of something that the qualifier names
	Many      bool // several values stand beside each other without disagreeing
	Unit      string
	Label     string
	Help      string
	Access    access.Rule
	VERIS     string // path in the VERIS schema; empty where it has none
	STIX      string // object and property in STIX 2.1; empty where it has none
}

var properties = []Property{
	{Name: "date", Type: Date, Label: "Date", Help: "when the incident began, as far as somebody says", Access: access.All(), VERIS: "timeline.incident", STIX: "incident.created"},
	{Name: "location", Type: Text, Label: "Location", Help: "where the victim is", Access: access.All(), VERIS: "victim.country", STIX: "location.country"},
	{Name: "summary", Type: Prose, Label: "Summary", Help: "the incident in two sentences", Access: access.All(), VERIS: "summary", STIX: "incident.description"},
	{Name: "confidentiality", Type: Impact, Label: "Confidentiality", Help: "whether data was disclosed", Access: access.From(access.Member), VERIS: "attribute.confidentiality"},
	{Name: "integrity", Type: Impact, Label: "Integrity", Help: "whether data or systems were changed", Access: access.From(access.Member), VERIS: "attribute.integrity"},
	{Name: "availability", Type: Impact, Label: "Availability", Help: "whether a service was interrupted", Access: access.From(access.Member), VERIS: "attribute.availability"},
	{Name: "motive", Type: Text, Many: true, Label: "Motives", Help: "why it was done", Access: access.Rule{Count: access.Public, Value: access.Member}, VERIS: "actor.external.motive", STIX: "threat-actor.primary_motivation"},
	{Name: "technique", Type: Text, Many: true, Label: "Tactics, techniques & procedures", Help: "how it was done, in ATT&CK's terms", Access: access.Rule{Count: access.Public, Value: access.Member}, VERIS: "action", STIX: "attack-pattern.external_references"},
	{Name: "actor", Type: Ref, Many: true, Label: "Threat actors", Help: "who did it", Access: access.Rule{Count: access.Public, Value: access.Member}, VERIS: "actor.external.name", STIX: "threat-actor.name"},
	{Name: "actor_type", Type: Text, Qualified: true, Label: "Type", Help: "what sort of actor it is", Access: access.From(access.Member), VERIS: "actor.external.variety", STIX: "threat-actor.threat_actor_types"},
	{Name: "actor_location", Type: Text, Qualified: true, Label: "Location", Help: "where the actor is", Access: access.From(access.Member), VERIS: "actor.external.country", STIX: "location.country"},
	{Name: "description", Type: Prose, Label: "Description", Help: "what happened, in full", Access: access.All(), STIX: "incident.description"},
	{Name: "status", Type: Text, Label: "Status", Help: "contained, under investigation, closed", Access: access.All(), VERIS: "incident_status"},
	{Name: "event", Type: Date, Qualified: true, Label: "Timeline", Help: "when something happened", Access: access.All(), VERIS: "timeline"},
	{Name: "vector", Type: Text, Label: "Way in", Help: "how access was had", Access: access.All(), VERIS: "action.hacking.vector"},
	{Name: "cause", Type: Text, Label: "Cause", Help: "what made it possible", Access: access.All(), VERIS: "discovery_notes"},
	{Name: "people", Type: Number, Qualified: true, Unit: "people", Label: "How many", Help: "how many of a population were affected", Access: access.All(), VERIS: "attribute.confidentiality.data_total", STIX: "impact.counts"},
	{Name: "share", Type: Share, Qualified: true, Label: "Share", Help: "which part of a population was affected", Access: access.All()},
	{Name: "taken", Type: Taken, Qualified: true, Label: "What was taken", Help: "whether a class of data was taken", Access: access.All(), VERIS: "attribute.confidentiality.data.variety"},
	{Name: "partial_records", Type: Text, Label: "Partial records", Help: "whether the records were complete", Access: access.All()},
	{Name: "about_systems", Type: Text, Many: true, Label: "About systems", Help: "what somebody says about other systems, quoted or put briefly", Access: access.All()},
	{Name: "characterisation", Type: Text, Many: true, Label: "Characterisations", Help: "how somebody calls it", Access: access.All()},
	{Name: "notice", Type: Text, Many: true, Label: "Who was told", Help: "notices to people and reports to authorities", Access: access.All()},
	{Name: "payment", Type: Money, Qualified: true, Unit: "USD", Label: "Payment", Help: "money paid to an attacker or for data", Access: access.All(), VERIS: "impact.loss.amount"},
	{Name: "penalty", Type: Money, Qualified: true, Unit: "USD", Label: "Fine or settlement", Help: "money that an authority or a court was part of", Access: access.All(), VERIS: "impact.loss.amount"},
	{Name: "ordinal", Type: Number, Qualified: true, Label: "Stated ordinal", Help: "which of how many, as somebody counts", Access: access.All()},
	{Name: "assertion", Type: Text, Many: true, Label: "Statement that the sources contradict", Help: "what a text says and its sources do not; the note says what they do", Access: access.All()},

	{Name: "first_disclosure", Type: Date, Label: "First disclosure", Help: "time of the first disclosure through the guard", Access: access.All()},
	{Name: "last_disclosure", Type: Date, Label: "Last disclosure", Help: "time of the last disclosure through the guard", Access: access.All()},
	{Name: "released_people", Type: Number, Unit: "data subjects", Label: "Released through this guard", Help: "distinct data subjects in the ledger; what passed by the guard is not in it", Access: access.All()},
	{Name: "released_unattributed", Type: Number, Unit: "people at most", Label: "Released unattributed", Help: "worst-case count of people who could not be named, apart from the former", Access: access.All()},
	{Name: "released_class", Type: Number, Qualified: true, Unit: "data subjects", Label: "Released, by class", Help: "distinct data subjects whose record held the class", Access: access.All()},
	{Name: "none_found", Type: Share, Qualified: true, Label: "None found, at coverage", Help: "the class was looked for and not seen in the share of the bytes that was read", Access: access.All()},
	{Name: "coverage", Type: Share, Label: "Coverage", Help: "share of the upstream body bytes released that was read", Access: access.All()},
	{Name: "finding", Type: Text, Many: true, Label: "Findings", Help: "what the guard did about it", Access: access.From(access.Responder)},
	{Name: "checkpoint", Type: Text, Label: "Ledger checkpoint", Help: "commits the ledger that the figures were computed from", Access: access.All()},
}

// Properties returns the table in its order. The caller must not change it.
func Properties() []Property { return properties }

// Find returns the property of that name.
func Find(name string) (Property, bool) {
	for _, p := range properties {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}

// Level is what a reader sees of a claim: its property's level, or nothing below the tier from which it is visible.
func (c *Claim) Level(r access.Reader) access.Level {
	p, ok := Find(c.Property)
	if !ok || r.Tier < c.Visible {
		return access.Hidden
	}
	return p.Access.Level(r)
}
