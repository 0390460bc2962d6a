// A server and a client over TLS as Go programs are: net/http, requests written by one goroutine and responses read by another.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

// Connections in somebody's struct, as middleware makes them.
type wrapped struct{ net.Conn }

type wrapping struct{ net.Listener }

func (listener wrapping) Accept() (net.Conn, error) {
	connection, err := listener.Listener.Accept()
	return wrapped{connection}, err
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	switch os.Args[1] {
	case "serve", "serve-wrapped": // PORT CERTIFICATE KEY
		listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
		must(err)
		if os.Args[1] == "serve-wrapped" {
			listener = wrapping{listener}
		}
		http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
			fmt.Fprintf(answer, "hello from Go %s", request.URL.Path)
		})
		must(http.ServeTLS(listener, nil, os.Args[3], os.Args[4]))
	case "get": // URL COUNT, over one connection
		// A configuration of its own keeps it at HTTP/1.1.
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		count, err := strconv.Atoi(os.Args[3])
		must(err)
		for index := 0; index < count; index++ {
			answer, err := client.Get(os.Args[2] + strconv.Itoa(index))
			must(err)
			body, err := io.ReadAll(answer.Body)
			must(err)
			answer.Body.Close()
			fmt.Println(string(body))
		}
	}
}
