package main

import (
	"fmt"
	"syscall"
	"time"
)

// figures are what the counted batches of one benchmark took.
type figures struct {
	batches   int
	time      time.Duration
	processor time.Duration
}

// run runs one batch to warm up and then as many as fit into the duration.
func run(duration time.Duration, batch func()) figures {
	batch()
	processorBefore, started := processorTime(), time.Now()
	batches := 0
	for batches == 0 || time.Since(started) < duration {
		batch()
		batches++
	}
	return figures{batches, time.Since(started), processorTime() - processorBefore}
}

// measure tells the time of one operation.
func measure(duration time.Duration, name string, operations int, batch func()) {
	of := run(duration, batch)
	fmt.Printf("go %s: %.1f ns\n", name, float64(of.time.Nanoseconds())/float64(of.batches*operations))
}

// measureRate tells messages a second, and the processor time of one.
func measureRate(duration time.Duration, name string, operations int, batch func()) {
	of := run(duration, batch)
	total := float64(of.batches * operations)
	fmt.Printf("go %s: %.0f messages/s\n", name, total/of.time.Seconds())
	fmt.Printf("go %s, processor time: %.1f ns\n", name, float64(of.processor.Nanoseconds())/total)
}

// measureBatches tells the time of a batch, and its processor time.
func measureBatches(duration time.Duration, name string, batch func()) {
	of := run(duration, batch)
	milliseconds := func(each time.Duration) float64 { return each.Seconds() * 1000 / float64(of.batches) }
	fmt.Printf("go %s: %.1f ms\n", name, milliseconds(of.time))
	fmt.Printf("go %s, processor time: %.1f ms\n", name, milliseconds(of.processor))
}

// processorTime is what all threads of this process have used.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
