package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// What ../src/bin/crowd prints.
const (
	crowdStartName   = "start"
	crowdMemoryName  = "memory while all wait"
	crowdEndName     = "wake and join"
	crowdHighestName = "memory at its highest"
	crowdToldEach    = 1_000
)

// measureCrowd starts count goroutines, of which half wait for a message, each on a channel of its own, and half sleep, and
// then ends them all. The sleepers are cancelled at once, see sleepers.
func measureCrowd(count int) error {
	before, err := occupiedBytes()
	if err != nil {
		return err
	}
	started := time.Now()
	var waiting int64
	noteWaiting := func() {
		if now := atomic.AddInt64(&waiting, 1); now%crowdToldEach == 0 {
			fmt.Printf("waiting so far: %d tasks\n", now)
		}
	}
	var ended sync.WaitGroup
	ended.Add(count)
	cancelled := make(chan struct{})
	channels := make([]chan int, 0, count/2)
	for number := 0; number < count; number++ {
		number := number
		if number%2 == 0 {
			// Without room the sender finds the waiting receiver and hands the message over.
			channel := make(chan int)
			channels = append(channels, channel)
			go func() {
				noteWaiting()
				if <-channel != number {
					panic("this is another one's message")
				}
				ended.Done()
			}()
		} else {
			go func() {
				noteWaiting()
				sleepUnlessCancelled(distant(number), cancelled)
				ended.Done()
			}()
		}
	}
	for atomic.LoadInt64(&waiting) < int64(count) {
		runtime.Gosched()
	}
	tellCrowdTime(crowdStartName, started, count)
	parked, err := occupiedBytes()
	if err != nil {
		return err
	}
	tellCrowdBytes(crowdMemoryName, parked-before, count)

	started = time.Now()
	for place, channel := range channels {
		channel <- 2 * place
	}
	close(cancelled)
	ended.Wait()
	tellCrowdTime(crowdEndName, started, count)
	highest, err := highestBytes()
	if err != nil {
		return err
	}
	tellCrowdBytes(crowdHighestName, highest-before, count)
	return nil
}

func tellCrowdTime(row string, since time.Time, count int) {
	fmt.Printf("go %s: %.1f ns\n", row, float64(time.Since(since).Nanoseconds())/float64(count))
}

func tellCrowdBytes(row string, bytes int64, count int) {
	fmt.Printf("go %s: %.0f B\n", row, float64(bytes)/float64(count))
}
