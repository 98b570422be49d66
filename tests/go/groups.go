package main

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

const patience = 20 * time.Second

// consume reads TOPIC as a member of GROUP and prints what it reads: COUNT records, or fewer if nothing comes for a
// while.
func consume(of client, args []string) {
	count := must(strconv.Atoi(args[2]))
	of.consume(args[0], args[1], readSettings(args[3:]), func(record record) bool {
		say(record)
		count--
		return count == 0
	})
}

// member of a group.
type member interface {
	owns() []int32
	leave()
}

// rebalance lets a second member join GROUP and leave it again. In each phase it sends the records on standard input,
// one for each partition, and prints who owned what and who read what.
func rebalance(of client, args []string) {
	topic, group, settings := args[0], args[1], readSettings(args[2:])
	var all []testCase
	cases(func(group []testCase) { all = append(all, group...) })
	producer := of.producer(settings)
	defer producer.close()
	run := phases{cases: all, producer: producer, members: map[string]member{}}
	join := func(name string) {
		run.members[name] = of.join(topic, group, settings, func(it record) { run.note(name, it) })
	}
	join("first")
	run.phase("alone")
	join("second")
	run.phase("together")
	run.members["second"].leave()
	delete(run.members, "second")
	run.phase("alone again")
	run.members["first"].leave()
}

type seen struct {
	Member    string `json:"member"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type phases struct {
	cases    []testCase
	producer producer
	members  map[string]member

	lock sync.Mutex
	read []seen
}

func (it *phases) note(name string, record record) {
	it.lock.Lock()
	defer it.lock.Unlock()
	it.read = append(it.read, seen{name, record.Partition, record.Offset})
}

func (it *phases) phase(name string) {
	waitUntil("partitions are shared out: "+name, it.isSharedOut)
	owned := map[string][]int32{}
	for name, member := range it.members {
		owned[name] = member.owns()
	}
	outcomes := it.producer.send(it.cases)
	waitUntil("records are read: "+name, func() bool { return it.hasRead(outcomes) })
	it.lock.Lock()
	defer it.lock.Unlock()
	say(map[string]any{"phase": name, "owned": owned, "read": it.read})
	it.read = nil
}

// isSharedOut says whether each partition has one owner and each member a partition.
func (it *phases) isSharedOut() bool {
	var owned []int32
	for _, member := range it.members {
		its := member.owns()
		if len(its) == 0 {
			return false
		}
		owned = append(owned, its...)
	}
	slices.Sort(owned)
	return len(owned) == len(it.cases) && len(slices.Compact(owned)) == len(it.cases)
}

func (it *phases) hasRead(outcomes []outcome) bool {
	it.lock.Lock()
	defer it.lock.Unlock()
	for at, outcome := range outcomes {
		if !outcome.OK {
			fail("not sent: %+v", outcome)
		}
		isIt := func(read seen) bool {
			return read.Partition == it.cases[at].Partition && read.Offset == *outcome.Offset
		}
		if !slices.ContainsFunc(it.read, isIt) {
			return false
		}
	}
	return true
}

func waitUntil(what string, holds func() bool) {
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("still waiting: %s", what)
		}
	}
}

// partitions is what a member owns at the moment.
type partitions struct {
	lock  sync.Mutex
	owned []int32
}

func (it *partitions) owns() []int32 {
	it.lock.Lock()
	defer it.lock.Unlock()
	return slices.Sorted(slices.Values(it.owned))
}

func (it *partitions) set(owned []int32) {
	it.lock.Lock()
	defer it.lock.Unlock()
	it.owned = owned
}

func (it *partitions) add(more []int32) {
	it.lock.Lock()
	defer it.lock.Unlock()
	it.owned = append(it.owned, more...)
}

func (it *partitions) remove(lost []int32) {
	it.lock.Lock()
	defer it.lock.Unlock()
	it.owned = slices.DeleteFunc(it.owned, func(one int32) bool { return slices.Contains(lost, one) })
}
