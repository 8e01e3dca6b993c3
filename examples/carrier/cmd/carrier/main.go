// Command carrier serves the API of a carrier that does not exist, for trying out a guard.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"

	"weir/examples/carrier"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	keys := flag.String("keys", "sample-key-partner,sample-key-scraper", "values of X-Api-Key to take, separated by commas")
	flag.Parse()
	fmt.Fprintf(os.Stderr, "carrier: %d invented customers on http://%s\n", carrier.Customers, *listen)
	if err := http.ListenAndServe(*listen, carrier.Handler(strings.Split(*keys, ","))); err != nil {
		fmt.Fprintf(os.Stderr, "carrier: %v\n", err)
		os.Exit(1)
	}
}
