module weir/bench/exposure

go 1.26.0

require weir v0.0.0

require (
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace weir => ../..
