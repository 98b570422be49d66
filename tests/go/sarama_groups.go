package main

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// saramaMember is a member of a group and what it does with its claims.
type saramaMember struct {
	partitions
	topic string
	read  func(record)
	group sarama.ConsumerGroup
	stop  context.CancelFunc
	ended chan struct{}
}

func (it saramaClient) join(topic, group string, settings settings, read func(record)) member {
	config := it.config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	if settings["isolation"] == "read_committed" {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	ctx, stop := context.WithCancel(context.Background())
	joined := &saramaMember{
		topic: topic, read: read, stop: stop, ended: make(chan struct{}),
		group: must(sarama.NewConsumerGroup(it.bootstrap, group, config)),
	}
	go func() {
		defer close(joined.ended)
		for ctx.Err() == nil {
			// It returns for every rebalance.
			check(joined.group.Consume(ctx, []string{topic}, joined))
		}
	}()
	return joined
}

func (it *saramaMember) leave() {
	it.stop()
	<-it.ended
	check(it.group.Close())
}

func (it *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	it.set(session.Claims()[it.topic])
	return nil
}

func (it *saramaMember) Cleanup(sarama.ConsumerGroupSession) error {
	it.set(nil)
	return nil
}

func (it *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		it.read(saramaRecord(message))
		session.MarkMessage(message, "")
	}
	return nil
}

func (it saramaClient) consume(topic, group string, settings settings, read func(record) bool) {
	records := make(chan record)
	joined := it.join(topic, group, settings, func(one record) { records <- one })
	for enough := false; !enough; {
		select {
		case one := <-records:
			enough = read(one)
		case <-time.After(patience):
			enough = true
		}
	}
	go func() {
		for range records {
			// What comes now is too much.
		}
	}()
	joined.leave()
	close(records)
}

func saramaRecord(from *sarama.ConsumerMessage) record {
	read := record{
		Topic: from.Topic, Partition: from.Partition, Offset: from.Offset,
		Key: toHex(from.Key), Value: toHex(from.Value), Headers: [][2]*string{},
	}
	for _, header := range from.Headers {
		name := string(header.Key)
		read.Headers = append(read.Headers, [2]*string{&name, toHex(header.Value)})
	}
	return read
}
