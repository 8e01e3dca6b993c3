// Package carrier is the customer API of Examplecell, a carrier that does not exist.
//
// Its 37 million customers are computed from their numbers: nothing is stored, and a number always gives the same person.
// Everything about them is visibly invented: names from a short list, addresses on Sample Street, mail at example.com, and
// phone numbers 555-0100 to 555-0199 with an extension.
//
// Its flaw is that of the incident which the records of this repository open with: any key may read any customer.
package carrier

import (
	"fmt"
	"strconv"
	"strings"
)

// Customers is how many customers Examplecell has.
const Customers = 37_000_000

// firstAccount is the smallest account number; an account number is it plus a scrambled index.
const firstAccount = 900_000_000

// A Person is all that Examplecell holds of a customer. SSN and PaymentCard are held and no endpoint answers them.
type Person struct {
	AccountNumber string
	Name          string
	Email         string   // missing for 13 in 100
	Phone         string   // missing for 3 in 100
	BirthDate     string   // missing for 29 in 100
	Address       *Address // missing for 17 in 100
	Plan          *Plan    // missing for 7 in 100
	SSN           string
	PaymentCard   string
}

// An Address is a postal address in a town that does not exist.
type Address struct {
	Street     string `json:"street"`
	City       string `json:"city"`
	State      string `json:"state"`
	PostalCode string `json:"postal_code"`
}

// A Plan is what a customer pays for.
type Plan struct {
	Name     string   `json:"name"`
	Lines    int      `json:"lines"`
	Features []string `json:"features"`
}

var (
	given    = strings.Fields("Avery Blake Casey Devon Ellis Finley Gray Harper Indigo Jules Kit Lane Marlow Noel Oakley Parker Quinn Reese Sage Tatum Umber Vale Wren Xan Yael Zion")
	family   = strings.Fields("Sample Example Placer Testwell Mocksmith Dummett Invent Fictor Draft Specimen Nullman Trial")
	towns    = strings.Fields("Exampleton Sampleville Mockford Testburg Fictown Draftport")
	states   = strings.Fields("NJ OH TX WA FL CO IL NY")
	plans    = []string{"Sample Unlimited", "Sample Basic", "Sample Prepaid", "Sample Family"}
	features = strings.Fields("voicemail roaming hotspot caller-id family-locator")
)

// At returns the customer with that index, from 0 to Customers-1.
func At(index int) Person {
	h := mix(uint64(index) + 1)
	pick := func(n int) int { // an independent choice each time
		h = mix(h)
		return int(h % uint64(n))
	}
	p := Person{AccountNumber: strconv.Itoa(firstAccount + scramble(index))}
	first, last := given[pick(len(given))], family[pick(len(family))]
	p.Name = first + " " + last
	if pick(100) >= 13 {
		p.Email = fmt.Sprintf("%s.%s.%d@example.%s", strings.ToLower(first), strings.ToLower(last), index, []string{"com", "org", "net"}[pick(3)])
	}
	if pick(100) >= 3 {
		p.Phone = phoneOf(index)
	}
	if pick(100) >= 29 {
		p.BirthDate = fmt.Sprintf("%04d-%02d-%02d", 1935+pick(70), 1+pick(12), 1+pick(28))
	}
	if pick(100) >= 17 {
		p.Address = &Address{
			Street: fmt.Sprintf("%d Sample Street", 1+pick(9999)), City: towns[pick(len(towns))], State: states[pick(len(states))],
			PostalCode: fmt.Sprintf("%05d", pick(1000)),
		}
	}
	if pick(100) >= 7 {
		p.Plan = &Plan{Name: plans[pick(len(plans))], Lines: 1 + pick(5), Features: features[:1+pick(len(features))]}
	}
	p.SSN = fmt.Sprintf("%03d-%02d-%04d", 900+pick(100), 1+pick(99), 1+pick(9999)) // an area that is never assigned
	p.PaymentCard = fmt.Sprintf("4000 0000 %04d %04d", pick(10000), pick(10000))
	return p
}

// ByAccount returns the index of the customer with that account number.
func ByAccount(account string) (int, bool) {
	n, err := strconv.Atoi(account)
	if err != nil || n < firstAccount || n >= firstAccount+Customers || strconv.Itoa(n) != account {
		return 0, false
	}
	return unscramble(n - firstAccount), true
}

// areaCodes is how many area codes the invented numbers use: 201 to 999. An extension tells apart who shares a number.
const areaCodes = 799

func phoneOf(index int) string {
	line, rest := index%100, index/100
	return fmt.Sprintf("+1 %03d 555 01%02d x%05d", 201+rest%areaCodes, line, rest/areaCodes)
}

// ByPhone returns the index of the customer with that phone number.
func ByPhone(phone string) (int, bool) {
	var area, line, extension int
	if n, err := fmt.Sscanf(phone, "+1 %03d 555 01%02d x%05d", &area, &line, &extension); n != 3 || err != nil {
		return 0, false
	}
	index := (extension*areaCodes+area-201)*100 + line
	if index < 0 || index >= Customers || At(index).Phone != phone {
		return 0, false
	}
	return index, true
}

// scramble is a permutation of the indexes: four rounds of a Feistel network over 26 bits, walked until it lands in range.
func scramble(index int) int {
	for {
		if index = feistel(index, 0, 1); index < Customers {
			return index
		}
	}
}

func unscramble(n int) int {
	for {
		if n = feistel(n, rounds-1, -1); n < Customers {
			return n
		}
	}
}

const (
	rounds   = 4
	halfBits = 13
	halfMask = 1<<halfBits - 1
)

func feistel(n, round, step int) int {
	left, right := n>>halfBits, n&halfMask
	if step < 0 {
		left, right = right, left
	}
	for ; round >= 0 && round < rounds; round += step {
		left, right = right, left^int(mix(uint64(right)<<8|uint64(round)))&halfMask
	}
	if step < 0 {
		left, right = right, left
	}
	return left<<halfBits | right
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
