package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// testCase is a record to send, or the request to flush.
type testCase struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
	Flush     bool         `json:"flush"`
}

// outcome is what the producer saw of one record.
type outcome struct {
	OK      bool   `json:"ok"`
	Offset  *int64 `json:"offset,omitempty"`
	Error   string `json:"error,omitempty"`
	Code    *int   `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// record is one that was read.
type record struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
}

// settings are the arguments of the form NAME=VALUE.
type settings map[string]string

func readSettings(args []string) settings {
	read := settings{}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		read[name] = value
	}
	return read
}

// cases reads standard input, one group for each flush.
func cases(group func([]testCase)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	var waiting []testCase
	for lines.Scan() {
		var line testCase
		check(json.Unmarshal(lines.Bytes(), &line))
		if line.Flush {
			group(waiting)
			waiting = nil
		} else {
			waiting = append(waiting, line)
		}
	}
	check(lines.Err())
	if len(waiting) > 0 {
		group(waiting)
	}
}

func say(line any) {
	fmt.Println(string(must(json.Marshal(line))))
}

func fromHex(text *string) []byte {
	if text == nil {
		return nil
	}
	// Empty is not null.
	return append([]byte{}, must(hex.DecodeString(*text))...)
}

func toHex(bytes []byte) *string {
	if bytes == nil {
		return nil
	}
	text := hex.EncodeToString(bytes)
	return &text
}

// addresses remembers what was dialled: what a client was led to shows there.
type addresses struct {
	lock  sync.Mutex
	known map[string]bool
}

var dialled = addresses{known: map[string]bool{}}

func (it *addresses) add(address string) {
	it.lock.Lock()
	defer it.lock.Unlock()
	it.known[address] = true
}

func (it *addresses) addresses() []string {
	it.lock.Lock()
	defer it.lock.Unlock()
	all := []string{}
	for address := range it.known {
		all = append(all, address)
	}
	slices.Sort(all)
	return all
}
