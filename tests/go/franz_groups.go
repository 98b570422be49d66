package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type franzMember struct {
	partitions
	client *kgo.Client
	ended  chan struct{}
}

func (it *franzMember) leave() {
	it.client.Close()
	<-it.ended
}

func groupOptions(topic, group string, settings settings) []kgo.Opt {
	options := []kgo.Opt{
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	if settings["isolation"] == "read_committed" {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	switch settings["protocol"] {
	case "consumer":
		// It stays with the classic protocol for any other kind of balancer.
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	case "share":
		return append(options, kgo.ShareGroup(group))
	}
	return append(options, kgo.ConsumerGroup(group))
}

func (it franz) consume(topic, group string, settings settings, read func(record) bool) {
	if settings["protocol"] == "share" {
		it.shareFromStart(group)
	}
	client := it.client(groupOptions(topic, group, settings)...)
	defer client.Close()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		fetched := client.PollFetches(ctx)
		cancel()
		records := fetched.Records()
		if len(records) == 0 && ctx.Err() == context.DeadlineExceeded {
			return
		}
		enough := false
		for _, record := range records {
			if enough = enough || read(franzRecord(record)); settings["protocol"] == "share" {
				record.Ack(kgo.AckAccept)
			}
		}
		if enough {
			leaveWith(client, settings)
			return
		}
	}
}

// leaveWith makes known what was read.
func leaveWith(client *kgo.Client, settings settings) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if settings["protocol"] == "share" {
		check(client.FlushAcks(ctx))
	} else {
		check(client.CommitUncommittedOffsets(ctx))
	}
}

// shareFromStart is for share groups: where they begin is a setting of the group, not of its members.
func (it franz) shareFromStart(group string) {
	client := it.client()
	defer client.Close()
	earliest := "earliest"
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", &earliest
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	resource.Configs = append(resource.Configs, config)
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, resource)
	altered := must(request.RequestWith(context.Background(), client))
	check(kerr.ErrorForCode(altered.Resources[0].ErrorCode))
	// A leader that has not heard of it yet would begin at the end.
	for _, broker := range must(kadm.NewClient(client).ListBrokers(context.Background())) {
		waitUntil("the setting is known", func() bool {
			return startsEarliest(client.Broker(int(broker.NodeID)), group)
		})
	}
}

func startsEarliest(broker *kgo.Broker, group string) bool {
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.Resources = append(request.Resources, resource)
	described := must(request.RequestWith(context.Background(), broker))
	check(kerr.ErrorForCode(described.Resources[0].ErrorCode))
	for _, config := range described.Resources[0].Configs {
		if config.Name == "share.auto.offset.reset" && config.Value != nil {
			return *config.Value == "earliest"
		}
	}
	return false
}

func (it franz) join(topic, group string, settings settings, read func(record)) member {
	joined := &franzMember{ended: make(chan struct{})}
	gained := func(_ context.Context, _ *kgo.Client, more map[string][]int32) { joined.add(more[topic]) }
	lost := func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { joined.remove(gone[topic]) }
	options := append(groupOptions(topic, group, settings),
		kgo.OnPartitionsAssigned(gained), kgo.OnPartitionsRevoked(lost), kgo.OnPartitionsLost(lost))
	joined.client = it.client(options...)
	go func() {
		defer close(joined.ended)
		for {
			fetched := joined.client.PollFetches(context.Background())
			if fetched.IsClientClosed() {
				return
			}
			fetched.EachRecord(func(one *kgo.Record) { read(franzRecord(one)) })
		}
	}()
	return joined
}

func franzRecord(from *kgo.Record) record {
	read := record{
		Topic: from.Topic, Partition: from.Partition, Offset: from.Offset,
		Key: toHex(from.Key), Value: toHex(from.Value), Headers: [][2]*string{},
	}
	for _, header := range from.Headers {
		read.Headers = append(read.Headers, [2]*string{&header.Key, toHex(header.Value)})
	}
	return read
}
