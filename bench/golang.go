// Beside channels in one process: Go's, unbuffered, between goroutines.
//
//	bench-go WORK VARIANT ADDRESS SECONDS WARM-UP 0
//
// Works: pingpong, commstime, select4, select256.  Messages are 64 bytes, by value, and checked as those of
// the other programs are (bench.c).  Like those this one looks at the clock every 64 rounds
// only, and takes the 64 to have been equally long.
//
// The works with select are one goroutine that puts a message in one of the channels, which have
// room for one, and then waits for any.  Both use reflect.Select, since the statement wants
// its cases in the source.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	batch                 = 64
	clockOfProcess        = 2
	mixer          uint64 = 0x9fb21c651e98df25
)

type message [8]uint64

func mix(x uint64) uint64 {
	x = (x ^ x>>31) * mixer
	return x ^ x>>28
}

func small(number uint64) (m message) {
	m[0] = number
	for i := uint64(1); i < 8; i++ {
		m[i] = mix(number + i)
	}
	return
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "bench-go: "+format+"\n", arguments...)
	os.Exit(1)
}

func check(m message, number uint64) {
	if m != small(number) {
		fail("message %d is not what came", number)
	}
}

// ---- measuring ----

type options struct {
	measured, warmUp time.Duration
}

func seconds(word string) time.Duration {
	number, err := strconv.ParseFloat(word, 64)
	if err != nil || number < 0 {
		fail("%s is not a number of seconds", word)
	}
	return time.Duration(number * float64(time.Second))
}

func cpuTime() time.Duration {
	var now syscall.Timespec
	_, _, err := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockOfProcess,
		uintptr(unsafe.Pointer(&now)), 0)
	if err != 0 {
		fail("clock_gettime: %v", err)
	}
	return time.Duration(now.Nano())
}

// Runs rounds until the measured time is over, and prints what they took.
func measure(o options, round func(number uint64)) {
	number := uint64(0)
	run := func(end time.Time, note func(took time.Duration)) {
		for since := time.Now(); since.Before(end); {
			for i := 0; i < batch; i++ {
				round(number)
				number++
			}
			now := time.Now()
			note(now.Sub(since))
			since = now
		}
	}
	run(time.Now().Add(o.warmUp), func(time.Duration) {})
	took := make([]time.Duration, 0, 1<<20)
	used, begin := cpuTime(), time.Now()
	run(begin.Add(o.measured), func(t time.Duration) { took = append(took, t) })
	wall := time.Since(begin)
	report(took, wall, cpuTime()-used)
}

func report(took []time.Duration, wall, used time.Duration) {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	calls := float64(len(took)) * batch
	quantile := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)))]) / batch / 1e3
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"rate": calls / wall.Seconds(), "p50_us": quantile(0.5), "p99_us": quantile(0.99),
		"client_cpu_us": float64(used) / 1e3 / calls, "server_cpu_us": nil,
	})
}

// ---- works ----

func pingpong(o options) {
	there, back := make(chan message), make(chan message)
	go func() {
		for {
			back <- <-there
		}
	}()
	measure(o, func(number uint64) {
		there <- small(number)
		check(<-back, number)
	})
}

func commstime(o options) {
	first, taken, round, next := make(chan message), make(chan message), make(chan message),
		make(chan message)
	go func() { // prefix
		first <- small(0)
		for {
			first <- <-next
		}
	}()
	go func() { // delta
		for {
			m := <-first
			taken <- m
			round <- m
		}
	}()
	go func() { // succ
		for number := uint64(0); ; number++ {
			check(<-round, number)
			next <- small(number + 1)
		}
	}()
	measure(o, func(number uint64) { check(<-taken, number) })
}

func selects(o options, count uint64) {
	channels := make([]chan message, count)
	cases := make([]reflect.SelectCase, count)
	for i := range channels {
		channels[i] = make(chan message, 1)
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(channels[i])}
	}
	measure(o, func(number uint64) {
		channels[number%count] <- small(number)
		which, value, _ := reflect.Select(cases)
		if uint64(which) != number%count {
			fail("case %d happened, not %d", which, number%count)
		}
		check(value.Interface().(message), number)
	})
}

func main() {
	if len(os.Args) != 7 {
		fail("expected WORK VARIANT ADDRESS SECONDS WARM-UP 0")
	}
	o := options{measured: seconds(os.Args[4]), warmUp: seconds(os.Args[5])}
	switch os.Args[1] {
	case "pingpong":
		pingpong(o)
	case "commstime":
		commstime(o)
	case "select4":
		selects(o, 4)
	case "select256":
		selects(o, 256)
	default:
		fail("there is no work called %s", os.Args[1])
	}
}
