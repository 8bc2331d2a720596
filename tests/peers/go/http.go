package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// large is the body of the large response.
var large = []byte(strings.Repeat("x", 64*1024))

// serveHTTP answers by net/http, which adds Date by itself, as well as the Content-Length of a short body.
func serveHTTP(address string) error {
	http.HandleFunc("/plaintext", func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "text/plain")
		io.WriteString(response, "Hello, World!")
	})
	http.HandleFunc("/large", func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "text/plain")
		response.Header().Set("Content-Length", strconv.Itoa(len(large)))
		response.Write(large)
	})
	http.HandleFunc("/upload", func(response http.ResponseWriter, request *http.Request) {
		count, err := io.Copy(io.Discard, request.Body)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadRequest)
			return
		}
		response.Header().Set("Content-Type", "text/plain")
		io.WriteString(response, strconv.FormatInt(count, 10))
	})
	return http.ListenAndServe(address, nil)
}
