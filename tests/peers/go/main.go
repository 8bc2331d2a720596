// The Go peer: the servers and benchmarks of ../src in one program, with nothing but Go's standard library.
//
// It runs on one P, as every other system here runs on one thread.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
)

func main() {
	runtime.GOMAXPROCS(1)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}

const usage = "usage: go-peer echo|http|responses|upload|upload_chunked|churn ADDRESS | micro SECONDS | idle COUNT"

func run(arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf(usage)
	}
	work, argument := arguments[0], arguments[1]
	switch work {
	case "echo":
		return serveEcho(argument)
	case "http", "responses", "upload", "upload_chunked", "churn":
		return serveHTTP(argument)
	case "micro":
		seconds, err := strconv.ParseFloat(argument, 64)
		if err != nil {
			return err
		}
		runBenchmarks(seconds)
		return nil
	case "idle":
		count, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		return measureIdle(count)
	default:
		return fmt.Errorf(usage)
	}
}

// serveEcho serves each connection in a goroutine. Go switches Nagle's algorithm off by itself.
func serveEcho(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go echo(connection)
	}
}

// echoBufferBytes is the same for every echo server here.
const echoBufferBytes = 16 * 1024

// echo reads and writes by hand: between two sockets io.Copy goes through a pipe by splice, which pays for long streams only.
func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, echoBufferBytes)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:count]); err != nil {
			return
		}
	}
}
