// The server of go-stomp with its defaults: the argument is the address.
package main

import (
	"log"
	"os"

	"github.com/go-stomp/stomp/v3/server"
)

func main() {
	log.Fatal(server.ListenAndServe(os.Args[1]))
}
