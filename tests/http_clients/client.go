// Go's own client, net/http: client ADDRESS
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"time"
)

var url = "http://" + os.Args[1]

var client = &http.Client{
	Timeout: 30 * time.Second,
	// Longer than a request may take: without its 100 a request that waits for it fails.
	Transport: &http.Transport{ExpectContinueTimeout: time.Minute},
}

func main() {
	checks := []struct {
		name  string
		check func() error
	}{
		{"one connection is used again and again", oneConnection},
		{"a chunked upload from a pipe comes back", pipedUpload},
		{"a large upload arrives whole", largeUpload},
		{"100 comes before the body, and an early answer in its place", expectations},
		{"103 comes before 200", earlyHints},
		{"trailers arrive at the client", trailersReceived},
		{"trailers arrive at the server", trailersSent},
		{"an early answer to a large upload arrives", earlyAnswers},
	}
	for _, it := range checks {
		if err := it.check(); err != nil {
			fmt.Printf("%s: %v\n", it.name, err)
			os.Exit(1)
		}
	}
	fmt.Println("ok")
}

// ask returns the answer's status and body, and whether the connection had been used before.
func ask(request *http.Request, trace *httptrace.ClientTrace) (*http.Response, string, bool, error) {
	reused := false
	trace.GotConn = func(info httptrace.GotConnInfo) { reused = info.Reused }
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(context.Background(), trace)))
	if err != nil {
		return nil, "", reused, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), reused, err
}

func request(method, path string, body io.Reader) *http.Request {
	request, err := http.NewRequest(method, url+path, body)
	if err != nil {
		panic(err)
	}
	return request
}

func expect(got, expected any) error {
	if got != expected {
		return fmt.Errorf("%.200q instead of %.200q", got, expected)
	}
	return nil
}

func oneConnection() error {
	fresh := 0
	for _, it := range []struct {
		method, path, sent, body string
		status                   int
	}{
		{"GET", "/plaintext", "", "Hello, World!", 200},
		{"GET", "/nowhere", "", "", 404},
		{"HEAD", "/large", "", "", 200},
		{"GET", "/stream/300000", "", strings.Repeat("x", 300_000), 200},
		{"GET", "/bytes/300000", "", strings.Repeat("x", 300_000), 200},
		{"POST", "/describe", "some", "POST /describe 4\nsome", 200},
		{"PATCH", "/describe?a=b", "", "PATCH /describe?a=b 0\n", 200},
		{"POST", "/unread", strings.Repeat("y", 1000), "unread", 200},
		{"GET", "/plaintext", "", "Hello, World!", 200},
	} {
		var sent io.Reader
		if it.sent != "" {
			sent = strings.NewReader(it.sent)
		}
		response, body, reused, err := ask(request(it.method, it.path, sent), &httptrace.ClientTrace{})
		if err == nil {
			err = expect(response.StatusCode, it.status)
		}
		if err == nil && it.status == 200 {
			err = expect(body, it.body)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", it.method, it.path, err)
		}
		if !reused {
			fresh++
		}
	}
	return expect(fresh, 1)
}

// piped returns a reader that a goroutine feeds in pieces, each of which becomes a chunk.
func piped(pieces ...string) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(writer, piece); err != nil {
				return
			}
		}
		writer.Close()
	}()
	return reader
}

func pipedUpload() error {
	pieces := []string{"a", strings.Repeat("b", 9_999), "c", strings.Repeat("d", 2_000_000), "e"}
	response, body, _, err := ask(request("POST", "/echo", piped(pieces...)), &httptrace.ClientTrace{})
	if err == nil {
		err = expect(body, strings.Join(pieces, ""))
	}
	if err == nil {
		err = expect(strings.Join(response.TransferEncoding, ","), "chunked")
	}
	return err
}

func largeUpload() error {
	piece := strings.Repeat("x", 1<<20)
	pieces := make([]string, 20)
	for i := range pieces {
		pieces[i] = piece
	}
	whole := strings.Join(pieces, "")
	for _, sent := range []io.Reader{strings.NewReader(whole), piped(pieces...)} {
		_, body, _, err := ask(request("POST", "/upload", sent), &httptrace.ClientTrace{})
		if err == nil {
			err = expect(body, "20971520")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func expectations() error {
	sent := strings.Repeat("x", 1<<20)
	for _, it := range []struct {
		path, body    string
		continues     bool
		isLengthKnown bool
	}{
		{"/length", "1048576", true, true},
		{"/length", "1048576", true, false},
		{"/unread", "unread", false, true},
		{"/unread", "unread", false, false},
		{"/plaintext", "Hello, World!", false, true},
	} {
		var reader io.Reader = strings.NewReader(sent)
		if !it.isLengthKnown {
			reader = piped(sent)
		}
		request := request("POST", it.path, reader)
		request.Header.Set("Expect", "100-continue")
		continued := false
		_, body, _, err := ask(request, &httptrace.ClientTrace{Got100Continue: func() { continued = true }})
		if err == nil {
			err = expect(body, it.body)
		}
		if err == nil && continued != it.continues {
			err = fmt.Errorf("100 continue: %v", continued)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", it.path, err)
		}
	}
	return nil
}

func earlyHints() error {
	hints := []string{}
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
		return nil
	}}
	_, body, _, err := ask(request("GET", "/early-hints", nil), trace)
	if err == nil {
		err = expect(body, "after the hints")
	}
	if err == nil {
		err = expect(strings.Join(hints, ","), "103 </style.css>; rel=preload; as=style")
	}
	return err
}

func trailersReceived() error {
	for _, te := range []string{"trailers", ""} {
		request := request("GET", "/trailers", nil)
		expected := ""
		if te != "" {
			request.Header.Set("TE", te)
			expected = "1"
		}
		response, body, _, err := ask(request, &httptrace.ClientTrace{})
		if err == nil {
			err = expect(body, "checked")
		}
		if err == nil {
			err = expect(response.Trailer.Get("X-Checksum"), expected)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func trailersSent() error {
	request := request("POST", "/received-trailers", piped("some", "thing"))
	request.Trailer = http.Header{"X-First": {"1"}, "X-Second": {"2"}}
	_, body, _, err := ask(request, &httptrace.ClientTrace{})
	if err == nil {
		err = expect(body, "x-first: 1\nx-second: 2\n")
	}
	return err
}

func earlyAnswers() error {
	sent := bytes.Repeat([]byte("x"), 10<<20)
	for turn := 0; turn < 20; turn++ {
		for _, body := range []io.Reader{bytes.NewReader(sent), io.MultiReader(bytes.NewReader(sent))} {
			response, text, _, err := ask(request("POST", "/unread", body), &httptrace.ClientTrace{})
			if err == nil {
				err = expect(text, "unread")
			}
			if err == nil && !response.Close {
				err = errors.New("the connection is said to live on")
			}
			if err != nil {
				return fmt.Errorf("turn %d: %w", turn, err)
			}
		}
	}
	return nil
}
