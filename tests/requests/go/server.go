// A server over TLS whose library is Go's own. Arguments: port, certificate, key.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") })
	server := http.Server{Addr: "127.0.0.1:" + os.Args[1]}
	fmt.Println(server.ListenAndServeTLS(os.Args[2], os.Args[3]))
}
