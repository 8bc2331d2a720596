package main

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// The benchmarks have the names and batches of ../src/bench.rs.
const (
	timeoutBatch       = 1_000_000
	timersBatch        = 1_000_000
	sleepersBatch      = 100_000
	sleepsBatch        = 100_000
	timeoutOfReadyName = "timeout around what is ready"
	timeoutOfYieldName = "timeout around a yield"
	timersName         = "1M timers set, then taken back"
	sleepersName       = "100k sleeping tasks spawned, then cancelled"
	sleepsName         = "100k sleeps of 1 to 100 ms"
)

func runTimerBenchmarks(duration time.Duration) {
	measure(duration, timeoutOfReadyName, timeoutBatch, func() { timeouts(func() {}) })
	measure(duration, timeoutOfYieldName, timeoutBatch, func() { timeouts(runtime.Gosched) })
	timers := make([]*time.Timer, timersBatch)
	measure(duration, timersName, timersBatch, func() { setAndStop(timers) })
	measure(duration, sleepersName, sleepersBatch, sleepers)
}

// timeouts sets the timer each time: a context knows nothing of the operation that will look at it.
func timeouts(operation func()) {
	background := context.Background()
	for i := 0; i < timeoutBatch; i++ {
		limited, cancel := context.WithTimeout(background, time.Hour)
		operation()
		if limited.Err() != nil {
			panic("an hour is enough")
		}
		cancel()
	}
}

func setAndStop(timers []*time.Timer) {
	for number := range timers {
		timers[number] = time.AfterFunc(distant(number), func() {})
	}
	for _, timer := range timers {
		if !timer.Stop() {
			panic("an hour has not passed")
		}
	}
}

// sleepers cancels all at once: nothing but a channel ends a goroutine's sleep, and closing one is a message to all.
func sleepers() {
	var asleep, ended sync.WaitGroup
	asleep.Add(sleepersBatch)
	ended.Add(sleepersBatch)
	cancelled := make(chan struct{})
	for number := 0; number < sleepersBatch; number++ {
		number := number
		go func() {
			asleep.Done()
			sleepUnlessCancelled(distant(number), cancelled)
			ended.Done()
		}()
	}
	asleep.Wait()
	close(cancelled)
	ended.Wait()
}

func sleepUnlessCancelled(duration time.Duration, cancelled <-chan struct{}) {
	timer := time.NewTimer(duration)
	select {
	case <-timer.C:
		panic("an hour has not passed")
	case <-cancelled:
		timer.Stop()
	}
}

// distant is when a timer that never goes off would: in an hour, each at another moment.
func distant(number int) time.Duration {
	return time.Hour + time.Duration(number*7_919%1_000_003)*time.Microsecond
}

// runSleeps measures many goroutines that sleep at once and shortly.
func runSleeps(duration time.Duration) {
	var ended sync.WaitGroup
	measureBatches(duration, sleepsName, func() {
		ended.Add(sleepsBatch)
		for number := 0; number < sleepsBatch; number++ {
			sleep := time.Duration(1_000+number*7_919%99_001) * time.Microsecond
			go func() {
				time.Sleep(sleep)
				ended.Done()
			}()
		}
		ended.Wait()
	})
}
