package main

import (
	"runtime"
	"sync"
	"time"
)

// The benchmarks have the names and batches of ../src/bench.rs.
const (
	messages       = 1_000_000
	channelBound   = 1024
	many           = 4
	boundedName    = "bounded(1024), 1 to 1"
	manyToManyName = "bounded(1024), 4 to 4"
)

// runChannels measures channels between goroutines on two threads, which the scheduler may put on one. Go has no channel
// without a bound.
func runChannels(duration time.Duration) {
	runtime.GOMAXPROCS(2)
	measureRate(duration, boundedName, messages, func() { exchange(1) })
	measureRate(duration, manyToManyName, messages, func() { exchange(many) })
}

// exchange sends one batch from `count` goroutines to as many.
func exchange(count int) {
	channel := make(chan uint64, channelBound)
	received := make(chan int)
	for i := 0; i < count; i++ {
		go func() {
			total := 0
			for range channel {
				total++
			}
			received <- total
		}()
	}
	var sending sync.WaitGroup
	for i := 0; i < count; i++ {
		sending.Add(1)
		go func() {
			for message := 0; message < messages/count; message++ {
				channel <- uint64(message)
			}
			sending.Done()
		}()
	}
	sending.Wait()
	close(channel)
	total := 0
	for i := 0; i < count; i++ {
		total += <-received
	}
	if total != messages {
		panic("messages were lost")
	}
}
