package main

import (
	"runtime"
	"sync"
	"time"
)

// The benchmarks have the names and batches of ../src/bench.rs.
const (
	yieldingTasks  = 100
	yieldsPerTask  = 1_000
	spawnBatch     = 10_000
	pingPongBatch  = 10_000
	mutexBatch     = 100_000
	yieldName      = "yield x100"
	spawnJoinName  = "spawn+join one at a time"
	spawnManyName  = "spawn 10k then join"
	pingPongName   = "channel ping-pong round trip"
	mutexName      = "mutex lock+unlock"
	idleMemoryName = "idle task memory"
	idleStartName  = "idle task start"
)

func runBenchmarks(duration time.Duration) {
	measure(duration, yieldName, yieldingTasks*yieldsPerTask, yields)
	measure(duration, spawnJoinName, spawnBatch, spawnAndJoin)
	measure(duration, spawnManyName, spawnBatch, spawnMany)
	measure(duration, pingPongName, pingPongBatch, startPingPong())
	measure(duration, mutexName, mutexBatch, mutex)
	runTimerBenchmarks(duration)
}

func yields() {
	var group sync.WaitGroup
	for task := 0; task < yieldingTasks; task++ {
		group.Add(1)
		go func() {
			for i := 0; i < yieldsPerTask; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
}

func spawnAndJoin() {
	var group sync.WaitGroup
	for i := 0; i < spawnBatch; i++ {
		group.Add(1)
		go group.Done()
		group.Wait()
	}
}

func spawnMany() {
	var group sync.WaitGroup
	for i := 0; i < spawnBatch; i++ {
		group.Add(1)
		go group.Done()
	}
	group.Wait()
}

// startPingPong starts the answering goroutine and returns a batch of round trips with it.
func startPingPong() func() {
	pings, pongs := make(chan int), make(chan int)
	go func() {
		for message := range pings {
			pongs <- message
		}
	}()
	return func() {
		for message := 0; message < pingPongBatch; message++ {
			pings <- message
			<-pongs
		}
	}
}

var (
	counterMutex sync.Mutex
	counter      int
)

func mutex() {
	for i := 0; i < mutexBatch; i++ {
		counterMutex.Lock()
		counter++
		counterMutex.Unlock()
	}
}
