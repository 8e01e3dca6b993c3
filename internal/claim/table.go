package claim

import (
	"regexp"

	"weir/internal/access"
)

// Who sees what, in the words of the table below.
var (
	open     = access.All()                                            // everybody sees the value
	counted  = access.Rule{Count: access.Public, Value: access.Member} // the public sees how many, members see which
	members  = access.From(access.Member)                              // members see the value, the public sees nothing
	internal = access.From(access.Responder)                           // those who work on incidents
)

var (
	attackID = regexp.MustCompile(`^T\d{4}(\.\d{3})? \S.*$`)
	cweID    = regexp.MustCompile(`^CWE-\d{1,5} \S.*$`)
	apiID    = regexp.MustCompile(`^API\d{1,2}:20\d\d \S.*$`)
	oatID    = regexp.MustCompile(`^OAT-0\d\d \S.*$`)
)

var (
	impacts = []string{"affected", "not_affected", "unknown"}
	events  = []string{
		"first_act", "first_disclosure", "last_disclosure", "detected", "contained", "disclosed", "authorities_told", "people_told", "filed",
		"extortion", "offered_for_sale", "published", "suit_filed", "settled", "ordered", "updated", "blocked",
	}
	motives    = []string{"financial", "espionage", "ideology", "grudge", "fun", "fear", "convenience", "secondary", "unknown"} // VERIS 1.4.1
	actions    = []string{"hacking", "malware", "social", "misuse", "physical", "error", "environmental", "unknown"}            // VERIS 1.4.1
	actorTypes = []string{                                                                                                      // STIX 2.1, threat-actor-type-ov
		"activist", "competitor", "crime-syndicate", "criminal", "hacker", "insider-accidental", "insider-disgruntled", "nation-state",
		"sensationalist", "spy", "terrorist", "unknown",
	}
)

// properties is the table. Adding a property is adding a row.
var properties = []Property{
	{Object: OfIncident, Name: "alias", Type: Text, Values: Many, Section: "identity", Label: "Other names", Help: "what else the incident is called", Access: open, STIX: "incident.aliases"},
	{Object: OfIncident, Name: "related", Type: Incident, Values: Many, Section: "identity", Label: "Related incidents", Help: "another incident that bears on this one; not the same", Access: open, VERIS: "related_incidents", STIX: "relationship.related-to"},
	{Object: OfIncident, Name: "duplicate_of", Type: Incident, Values: One, Section: "identity", Label: "Duplicate of", Help: "the incident that this record is of as well", Access: open, STIX: "relationship.duplicate-of"},
	{Object: OfIncident, Name: "date", Type: Date, Values: One, Label: "Date", Help: "when the incident began, as far as somebody says", Access: open, VERIS: "timeline.incident", STIX: "incident.first_activity"},
	{Object: OfIncident, Name: "location", Type: Text, Values: One, Label: "Location", Help: "where the victim is", Access: open, VERIS: "victim.country", STIX: "location.country"},
	{Object: OfIncident, Name: "secondary_victim", Type: Text, Values: Many, Section: "identity", Label: "Secondary victims", Help: "others whose people were affected, such as a reseller's customers", Access: open, VERIS: "victim.secondary", STIX: "relationship.impacts"},
	{Object: OfIncident, Name: "summary", Type: Prose, Values: One, Label: "Summary", Help: "the incident in two sentences; figures are references to claims", Access: open, VERIS: "summary", STIX: "incident.description"},
	{Object: OfIncident, Name: "confidentiality", Type: Enum, Enum: impacts, Values: One, Label: "Confidentiality", Help: "whether data was disclosed", Access: members, VERIS: "attribute.confidentiality", STIX: "impact.impact_category"},
	{Object: OfIncident, Name: "integrity", Type: Enum, Enum: impacts, Values: One, Label: "Integrity", Help: "whether data or systems were changed", Access: members, VERIS: "attribute.integrity", STIX: "impact.impact_category"},
	{Object: OfIncident, Name: "availability", Type: Enum, Enum: impacts, Values: One, Label: "Availability", Help: "whether a service was interrupted", Access: members, VERIS: "attribute.availability", STIX: "impact.impact_category"},
	{Object: OfIncident, Name: "motive", Type: Enum, Enum: motives, Values: Many, Label: "Motives", Help: "why it was done; unknown where no source says", Access: counted, VERIS: "actor.external.motive", STIX: "threat-actor.primary_motivation"},
	{Object: OfIncident, Name: "technique", Type: Coded, Pattern: attackID, Example: "T1190 Exploit Public-Facing Application", Catalogue: "MITRE ATT&CK Enterprise", Values: Many, Label: "Tactics, techniques & procedures", Help: "how it was done, in ATT&CK's terms", Access: counted, VERIS: "action.hacking.variety", STIX: "attack-pattern.external_references"},
	{Object: OfIncident, Name: "actor", Type: Actor, Values: Many, Label: "Threat actors", Help: "who did it", Access: counted, VERIS: "actor.external.name", STIX: "threat-actor.name"},
	{Object: OfIncident, Name: "actor_type", Type: Enum, Enum: actorTypes, Values: One, Of: "actor", Label: "Type", Help: "what sort of actor it is", Access: members, VERIS: "actor.external.variety", STIX: "threat-actor.threat_actor_types"},
	{Object: OfIncident, Name: "actor_location", Type: Text, Values: One, Of: "actor", Label: "Location", Help: "where the actor is", Access: members, VERIS: "actor.external.country", STIX: "location.country"},
	{Object: OfIncident, Name: "attribution", Type: Text, Values: Many, Of: "actor", Section: "coding", Label: "Attribution", Help: "who names an actor, and on what basis", Access: members, VERIS: "actor.external.notes", STIX: "relationship.attributed-to"},
	{Object: OfIncident, Name: "description", Type: Prose, Values: One, Label: "Description", Help: "what happened, in full; figures are references to claims", Access: open, STIX: "incident.description"},

	{Object: OfIncident, Name: "status", Type: Text, Values: One, Section: "status", Label: "In words", Help: "how things stand", Access: open, VERIS: "incident_status"},
	{Object: OfIncident, Name: "status_contained", Type: YesNo, Values: One, Section: "status", Label: "Contained", Help: "whether access was ended", Access: open, STIX: "incident.investigation_status"},
	{Object: OfIncident, Name: "status_investigation", Type: Enum, Enum: []string{"open", "closed", "unknown"}, Values: One, Section: "status", Label: "Investigation", Help: "whether somebody still investigates", Access: open, STIX: "incident.investigation_status"},
	{Object: OfIncident, Name: "counts_as", Type: Enum, Enum: []string{"disclosed", "exposure_found", "notice_only", "named_by_regulator"}, Values: One, Section: "status", Label: "Counts as", Help: "what the rules that count a victim's incidents see in it: disclosed by the victim or the press, an exposure that researchers found, known by notices only, or named by a regulator only", Access: open},
	{Object: OfIncident, Name: "event", Type: Date, Values: One, Of: "event", OfWords: events, Section: "timeline", Label: "Timeline", Help: "when something happened", Access: open, VERIS: "timeline", STIX: "incident.events"},
	{Object: OfIncident, Name: "taken", Type: Enum, Enum: []string{"taken", "partly", "none", "unknown"}, Values: One, Of: "class", OfWords: DataClasses, Section: "taken", Label: "What was taken", Help: "whether a class of data was taken; partly means in part of the records", Access: open, VERIS: "attribute.confidentiality.data.variety", STIX: "impact.information_type"},
	{Object: OfIncident, Name: "taken_people", Type: Count, Values: One, Of: "class", OfWords: DataClasses, Unit: "people", Section: "taken", Label: "How many, by class", Help: "people whose record held the class", Access: open, VERIS: "attribute.confidentiality.data.amount", STIX: "impact.record_count"},
	{Object: OfIncident, Name: "partial_records", Type: Text, Values: One, Section: "counts", Label: "Partial records", Help: "whether the records were complete", Access: open},
	{Object: OfIncident, Name: "people", Type: Count, Values: One, Of: "population", Unit: "people", Section: "counts", Label: "How many", Help: "how many of a population were affected", Access: open, VERIS: "attribute.confidentiality.data_total", STIX: "incident.impacted_entity_counts"},
	{Object: OfIncident, Name: "share", Type: Share, Values: One, Of: "population", Section: "counts", Label: "Share", Help: "which part of a population was affected", Access: open},
	{Object: OfIncident, Name: "total", Type: Sum, Values: One, Of: "whole", Label: "Total", Help: "figures of this record that add up, as an editor judges; the page shows the sum, computed anew", Access: open},
	{Object: OfIncident, Name: "ordinal", Type: Count, Values: One, Of: "rule", Section: "counts", Label: "Stated ordinal", Help: "which of the victim's incidents it is, as somebody counts", Access: open},

	{Object: OfIncident, Name: "discovery", Type: Enum, Enum: []string{"internal", "researcher", "customer", "law_enforcement", "attacker", "other", "unknown"}, Values: One, Section: "how", Label: "Discovered by", Help: "who noticed it first", Access: open, VERIS: "discovery_method", STIX: "incident.detection_methods"},
	{Object: OfIncident, Name: "vector", Type: Text, Values: One, Section: "how", Label: "Way in", Help: "how access was had", Access: open, VERIS: "action.hacking.vector"},
	{Object: OfIncident, Name: "cause", Type: Text, Values: One, Section: "how", Label: "Cause", Help: "what made it possible", Access: open, VERIS: "discovery_notes"},
	{Object: OfIncident, Name: "api_flaw", Type: Text, Values: One, Section: "how", Label: "Flaw of the API", Help: "what the API did that it should not", Access: open, VERIS: "plus.api_flaw"},
	{Object: OfIncident, Name: "api_rate", Type: Text, Values: One, Section: "how", Label: "Rate", Help: "how fast records were read", Access: open, VERIS: "plus.api_rate"},
	{Object: OfIncident, Name: "asset", Type: Text, Values: Many, Section: "how", Label: "Systems concerned", Help: "what was accessed", Access: open, VERIS: "asset.assets", STIX: "infrastructure.name"},
	{Object: OfIncident, Name: "action", Type: Enum, Enum: actions, Values: Many, Section: "coding", Label: "Actions", Help: "what sort of act it was, in VERIS's terms", Access: counted, VERIS: "action"},
	{Object: OfIncident, Name: "weakness", Type: Coded, Pattern: cweID, Example: "CWE-639 Authorization Bypass Through User-Controlled Key", Catalogue: "CWE", Values: Many, Section: "coding", Label: "Weaknesses", Help: "which weakness of software it rests on", Access: counted, STIX: "vulnerability.external_references"},
	{Object: OfIncident, Name: "api_risk", Type: Coded, Pattern: apiID, Example: "API1:2023 Broken Object Level Authorization", Catalogue: "OWASP API Security Top 10", Values: Many, Section: "coding", Label: "API risks", Help: "which of the well-known risks of APIs it shows", Access: counted},
	{Object: OfIncident, Name: "threat_event", Type: Coded, Pattern: oatID, Example: "OAT-011 Scraping", Catalogue: "OWASP Automated Threats", Values: Many, Section: "coding", Label: "Automated threats", Help: "what automated abuse it was", Access: counted},

	{Object: OfIncident, Name: "about_systems", Type: Text, Values: Many, Section: "statements", Label: "About systems", Help: "what somebody says about other systems, quoted or put briefly", Access: open},
	{Object: OfIncident, Name: "characterisation", Type: Text, Values: Many, Section: "statements", Label: "Characterisations", Help: "how somebody calls it, quoted", Access: open},
	{Object: OfIncident, Name: "notice", Type: Text, Values: Many, Section: "notices", Label: "Who was told", Help: "notices to people and reports to authorities", Access: open},
	{Object: OfIncident, Name: "extortion_demanded", Type: Money, Values: One, Of: "purpose", Section: "money", Label: "Demanded", Help: "money that an attacker asked for", Access: open, VERIS: "impact.loss"},
	{Object: OfIncident, Name: "extortion_paid", Type: Money, Values: One, Of: "purpose", Section: "money", Label: "Paid", Help: "money paid to an attacker or for data", Access: open, VERIS: "impact.loss.amount"},
	{Object: OfIncident, Name: "extortion_through", Type: Text, Values: One, Section: "money", Label: "Paid through", Help: "through whom money was paid", Access: open},
	{Object: OfIncident, Name: "extortion_outcome", Type: Text, Values: One, Section: "money", Label: "Outcome of the payment", Help: "what the payment led to", Access: open},
	{Object: OfIncident, Name: "loss", Type: Money, Values: One, Of: "kind", Section: "money", Label: "Loss", Help: "what the incident cost", Access: open, VERIS: "impact.loss.amount", STIX: "impact.monetary"},
	{Object: OfIncident, Name: "fine", Type: Money, Values: One, Of: "kind", Section: "money", Label: "Fine", Help: "what an authority imposed or agreed", Access: open, VERIS: "impact.loss.amount", STIX: "impact.monetary"},
	{Object: OfIncident, Name: "settlement", Type: Money, Values: One, Of: "kind", Section: "money", Label: "Settlement", Help: "what parties to a suit agreed", Access: open, VERIS: "impact.loss.amount", STIX: "impact.monetary"},
	{Object: OfIncident, Name: "suit", Type: Text, Values: Many, Section: "money", Label: "Suits", Help: "actions before courts", Access: open},
	{Object: OfIncident, Name: "assertion", Type: Text, Values: Many, Label: "Statement that the sources contradict", Help: "what a text says and its sources do not; the note says what they do", Access: open},

	{Object: OfIncident, Name: "first_disclosure", Type: Date, Values: One, Section: "measured", Label: "First disclosure", Help: "time of the first disclosure through the guard", Access: open, STIX: "incident.first_activity"},
	{Object: OfIncident, Name: "last_disclosure", Type: Date, Values: One, Section: "measured", Label: "Last disclosure", Help: "time of the last disclosure through the guard", Access: open, STIX: "incident.last_activity"},
	{Object: OfIncident, Name: "released_people", Type: Count, Values: One, Unit: "data subjects", Section: "measured", Label: "Released through this guard", Help: "distinct data subjects in the ledger; what passed by the guard is not in it", Access: open},
	{Object: OfIncident, Name: "released_unattributed", Type: Count, Values: One, Unit: "people at most", Section: "measured", Label: "Released unattributed", Help: "worst-case count of people who could not be named, apart from the former", Access: open},
	{Object: OfIncident, Name: "released_class", Type: Count, Values: One, Of: "class", Unit: "data subjects", Section: "taken", Label: "Released, by class", Help: "distinct data subjects whose record held the class", Access: open},
	{Object: OfIncident, Name: "none_found", Type: Share, Values: One, Of: "class", Section: "taken", Label: "None found, at coverage", Help: "the class was looked for and not seen in the share of the bytes that was read", Access: open},
	{Object: OfIncident, Name: "coverage", Type: Share, Values: One, Section: "measured", Label: "Coverage", Help: "share of the upstream body bytes released that was read", Access: open},
	{Object: OfIncident, Name: "finding", Type: Text, Values: Many, Section: "measured", Label: "Findings", Help: "what the guard did about it", Access: internal},
	{Object: OfIncident, Name: "checkpoint", Type: Text, Values: One, Section: "measured", Label: "Ledger checkpoint", Help: "commits the ledger that the figures were computed from", Access: open},

	{Object: OfOrganisation, Name: "name", Type: Text, Values: One, Label: "Name", Help: "what the organisation is called", Access: open, VERIS: "victim.victim_id", STIX: "identity.name"},
	{Object: OfOrganisation, Name: "aliases", Type: Text, Values: Many, Label: "Other names", Help: "what else it is called", Access: open, STIX: "identity.x_aliases"},
	{Object: OfOrganisation, Name: "country", Type: Text, Values: One, Label: "Country", Help: "where it is", Access: open, VERIS: "victim.country", STIX: "location.country"},
	{Object: OfOrganisation, Name: "sector", Type: Text, Values: One, Label: "Sector", Help: "what it does", Access: open, VERIS: "victim.industry", STIX: "identity.sectors"},
	{Object: OfActor, Name: "name", Type: Text, Values: One, Label: "Name", Help: "what the actor is called", Access: members, VERIS: "actor.external.name", STIX: "threat-actor.name"},
	{Object: OfActor, Name: "aliases", Type: Text, Values: Many, Label: "Other names", Help: "what else it is called", Access: members, STIX: "threat-actor.aliases"},
	{Object: OfSource, Name: "publisher", Type: Text, Values: One, Label: "Publisher", Help: "who published it", Access: open, STIX: "external-reference.source_name"},
	{Object: OfSource, Name: "title", Type: Text, Values: One, Label: "Title", Help: "what it is called", Access: open, STIX: "external-reference.description"},
	{Object: OfSource, Name: "type", Type: Enum, Enum: []string{"filing", "order", "pleading", "notice", "statement", "press", "research"}, Values: One, Label: "Type", Help: "what sort of text it is", Access: open},
	{Object: OfSource, Name: "published", Type: Date, Values: One, Label: "Published", Help: "when", Access: open},
	{Object: OfSource, Name: "retrieved", Type: Date, Values: One, Label: "Retrieved", Help: "when it was read for this register", Access: open},
	{Object: OfSource, Name: "url", Type: Address, Values: One, Label: "Address", Help: "where it is", Access: open, VERIS: "reference", STIX: "external-reference.url"},
	{Object: OfSource, Name: "sha256", Type: Digest, Values: One, Label: "SHA-256", Help: "of the copy that was read", Access: open, STIX: "external-reference.hashes"},
	{Object: OfSource, Name: "archived", Type: Address, Values: One, Label: "Archived copy", Help: "where a copy is kept", Access: open},
	{Object: OfSource, Name: "note", Type: Text, Values: One, Label: "Note", Help: "how it was read", Access: open},
}
