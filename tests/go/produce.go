package main

// producer sends groups of records, each in a transaction if it has an id for them.
type producer interface {
	begin() error
	// send waits for all and says of each, in order, what became of it.
	send(cases []testCase) []outcome
	end(commit bool) error
	close()
}

// produce sends the records on standard input. With `transactional.id` each group up to a flush is a transaction, which
// is aborted if anything in it failed.
func produce(of client, args []string) {
	settings := readSettings(args)
	producer := of.producer(settings)
	defer producer.close()
	transactional := settings["transactional.id"] != ""
	cases(func(group []testCase) {
		if transactional {
			check(producer.begin())
		}
		ok := true
		for _, outcome := range producer.send(group) {
			say(outcome)
			ok = ok && outcome.OK
		}
		if transactional {
			end(producer, ok)
		}
	})
}

func end(producer producer, commit bool) {
	line := map[string]any{"transaction": "aborted"}
	if commit {
		line["transaction"] = "committed"
	}
	if err := producer.end(commit); err != nil {
		line["transaction"], line["message"] = "failed", err.Error()
	}
	say(line)
}
