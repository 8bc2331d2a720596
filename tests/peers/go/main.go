// The Go peer: the servers and benchmarks of ../src in one program, with nothing but Go's standard library.
//
// It runs on one P, as every other system here runs on one thread; only channels between threads are measured on two.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"
)

func main() {
	runtime.GOMAXPROCS(1)
	if err := work(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}

const usage = "usage: go-peer echo|http|responses|upload|upload_chunked|churn ADDRESS | " +
	"micro|channels|sleeps SECONDS | idle|crowd COUNT"

func work(arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf(usage)
	}
	kind, argument := arguments[0], arguments[1]
	switch kind {
	case "echo":
		return serveEcho(argument)
	case "http", "responses", "upload", "upload_chunked", "churn":
		return serveHTTP(argument)
	case "micro", "channels", "sleeps":
		seconds, err := strconv.ParseFloat(argument, 64)
		if err != nil {
			return err
		}
		measureFor(kind, time.Duration(seconds*float64(time.Second)))
		return nil
	case "idle", "crowd":
		count, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		if kind == "crowd" {
			return measureCrowd(count)
		}
		return measureIdle(count)
	default:
		return fmt.Errorf(usage)
	}
}

func measureFor(kind string, duration time.Duration) {
	switch kind {
	case "micro":
		runBenchmarks(duration)
	case "channels":
		runChannels(duration)
	case "sleeps":
		runSleeps(duration)
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
