// The Go clients of the tests: franz-go and sarama, each told to do what the tests of other languages do as well.
//
// Arguments: franz|sarama|sarama-latest TASK BOOTSTRAP ... [SETTING=VALUE ...]; every task prints one JSON object a line, and as the
// last one every address that was dialled.
package main

import (
	"fmt"
	"os"
)

// client is what the tasks need of a library.
type client interface {
	producer(settings settings) producer
	// consume reads from the beginning until enough says so, as a member of a group.
	consume(topic, group string, settings settings, read func(record) (enough bool))
	join(topic, group string, settings settings, read func(record)) member
	admin(topic, group string)
}

func main() {
	if len(os.Args) < 4 {
		fail("arguments: franz|sarama|sarama-latest TASK BOOTSTRAP ... [SETTING=VALUE ...]")
	}
	clients := map[string]func(string) client{
		"franz": newFranz, "sarama": newSarama, "sarama-latest": newSaramaLatest,
	}
	tasks := map[string]func(client, []string){
		"admin": admin, "consume": consume, "produce": produce, "rebalance": rebalance,
	}
	newClient, task := clients[os.Args[1]], tasks[os.Args[2]]
	if newClient == nil || task == nil {
		fail("unknown: %s %s", os.Args[1], os.Args[2])
	}
	task(newClient(os.Args[3]), os.Args[4:])
	say(map[string]any{"dialled": dialled.addresses()})
}

func admin(of client, args []string) {
	of.admin(args[0], args[1])
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fail("%T: %v", err, err)
	}
}
