package weir

import "time"

// Unverified is the name of the principal that all callers without a verified credential share, route by route.
const Unverified = "unverified"

// An OutcomeKind says what became of one response.
type OutcomeKind uint8

// The kinds of outcome. The numbers are in ledgers and stay.
const (
	Disclosed OutcomeKind = 1 // records of data subjects, or classes that could not be attributed, were released
	NoneFound OutcomeKind = 2 // the body was read and released; nothing personal was found in it
	Refused   OutcomeKind = 3 // nothing of the upstream's body was released
	Gap       OutcomeKind = 4 // the body was released without having been read
)

var kindNames = [...]string{"", "disclosed", "none found", "refused", "gap"}

// String returns the kind as the ledger's listings print it.
func (k OutcomeKind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return "unknown outcome"
}

// A Reason says why a response was refused, or why it is a gap.
type Reason uint8

// The reasons. The numbers are in ledgers and stay; new ones are added at the end.
const (
	NoReason       Reason = iota
	QuotaExceeded         // the answer holds more people than the principal's quota has left
	Blocked               // the principal is blocked
	TooLarge              // the body is larger than the hold limit
	NotJSON               // the body is not JSON
	Irregular             // clients may read the document differently
	Unreadable            // the document cannot be read to its end
	NoSubject             // a record without a usable key of its data subject
	Coding                // the body's content coding cannot be decoded
	RoutePasses           // the route's configuration says pass
	NoRoute               // no route matches, and the configuration says refuse
	UpstreamFailed        // the upstream gave no complete answer
	Protocol              // the exchange is of a kind that cannot be inspected, such as an upgrade

	numReasons
)

var reasonNames = [numReasons]string{
	"", "quota_exceeded", "blocked", "too_large", "not_json", "irregular", "unreadable", "no_subject", "coding",
	"route_passes", "no_route", "upstream_failed", "protocol",
}

// String returns the reason as ledgers' listings, statements and problem documents print it.
func (r Reason) String() string {
	if r < numReasons {
		return reasonNames[r]
	}
	return "unknown_reason"
}

// An Outcome is what the ledger holds of one response.
type Outcome struct {
	Kind       OutcomeKind
	Reason     Reason
	Observed   bool      // the route was in observe mode: what would have been refused was recorded and released
	Principal  Pseudonym // who asked
	Route      string    // the pattern of the route, such as "GET /v1/customers/{id}"
	Unit       string    // what one data subject of the route is, such as "account"
	Status     int       // the upstream's status code; 0 where the upstream was not asked
	Bytes      int64     // bytes of the upstream's body that were released
	Irregular  uint32    // what was irregular in the document, as bits that package inspect names
	Withheld   int       // records cut from the answer before release
	Released   []Record  // the records released, one for each data subject
	Unattached Unattributed
}

// A Record is one data subject's part in an outcome.
type Record struct {
	DataSubject Pseudonym
	Classes     ClassSet
}

// Unattributed counts personal data that was released and belongs to no data subject that could be named.
type Unattributed struct {
	People  int      // worst case: the largest number of distinct values of any one identifying class
	Classes ClassSet // what was seen
}

// A Disclosure is one record of one data subject released to one principal (45 CFR 164.528 speaks of disclosures).
type Disclosure struct {
	Time        time.Time
	Principal   Pseudonym
	DataSubject Pseudonym
	Classes     ClassSet
	Route       string
}
