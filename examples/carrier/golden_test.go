package carrier

const (
	golden0 = `{"account_number":"907490047","name":"Indigo Testwell","email":"indigo.testwell.0@example.com","phone":"+1 201 555 0100 x00000","birth_date":"1978-04-02","billing_address":{"street":"238 Sample Street","city":"Fictown","state":"TX","postal_code":"00265"},"plan":{"name":"Sample Basic","lines":4,"features":["voicemail","roaming","hotspot","caller-id","family-locator"]}}`
	golden1 = `{"account_number":"929282917","name":"Casey Fictor","email":"casey.fictor.1000000@example.org","phone":"+1 613 555 0100 x00012","billing_address":{"street":"9432 Sample Street","city":"Sampleville","state":"FL","postal_code":"00666"},"plan":{"name":"Sample Prepaid","lines":4,"features":["voicemail","roaming","hotspot","caller-id","family-locator"]}}`
	golden2 = `{"account_number":"918752169","name":"Casey Example","email":"casey.example.36999999@example.net","phone":"+1 263 555 0199 x00463","birth_date":"1952-04-16","billing_address":{"street":"1045 Sample Street","city":"Exampleton","state":"FL","postal_code":"00033"},"plan":{"name":"Sample Family","lines":3,"features":["voicemail","roaming"]}}`
)
