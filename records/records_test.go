package records

import (
	"testing"

	"weir/internal/incident"
)

// The records are read strictly: every problem that lint knows would be one here.
func TestRecordsAreClean(t *testing.T) {
	set, problems := incident.ReadRecords(Files)
	for _, p := range problems {
		t.Error(p)
	}
	if len(set.Records) < 9 {
		t.Errorf("%d records", len(set.Records))
	}
}
