package records

import (
	"testing"

	"weir/internal/incident"
)

// The records are read strictly: every problem that lint knows would be one here.
func TestRecordsAreClean(t *testing.T) {
	set, err := incident.ReadRecords(Files)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Records) != 9 {
		t.Errorf("%d records", len(set.Records))
	}
}
