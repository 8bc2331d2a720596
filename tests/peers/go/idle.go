package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// measureIdle prints what one of count goroutines that sleep for a day occupies.
func measureIdle(count int) error {
	before, err := occupiedBytes()
	if err != nil {
		return err
	}
	started := time.Now()
	var asleep int64
	for i := 0; i < count; i++ {
		go func() {
			atomic.AddInt64(&asleep, 1)
			time.Sleep(24 * time.Hour)
		}()
	}
	for atomic.LoadInt64(&asleep) < int64(count) {
		runtime.Gosched()
	}
	elapsed := time.Since(started)
	after, err := occupiedBytes()
	if err != nil {
		return err
	}
	fmt.Printf("go %s: %.0f B\n", idleMemoryName, float64(after-before)/float64(count))
	fmt.Printf("go %s: %.0f ns\n", idleStartName, float64(elapsed.Nanoseconds())/float64(count))
	return nil
}
