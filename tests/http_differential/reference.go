// Go's net/http server with all defaults: it describes every request. Started with `reference ADDRESS:PORT`, it prints the
// address it serves and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
)

func describe(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		response.WriteHeader(http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(response, "%s %s %d\n%s", request.Method, request.RequestURI, len(body), body)
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Printf("serving on %s; %s\n", listener.Addr(), runtime.Version())
	// What it would log are the requests it refuses.
	server := http.Server{Handler: http.HandlerFunc(describe), ErrorLog: log.New(io.Discard, "", 0)}
	log.Fatal(server.Serve(listener))
}
