package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// admin creates TOPIC-new, asks for everything that an administrator asks for, and deletes TOPIC.
func (it franz) admin(topic, group string) {
	ctx, admin := context.Background(), kadm.NewClient(it.client())
	defer admin.Close()

	cluster := must(admin.BrokerMetadata(ctx))
	at := []string{}
	for _, broker := range cluster.Brokers {
		at = append(at, fmt.Sprintf("%s:%d", broker.Host, broker.Port))
	}
	say(map[string]any{
		"step": "describeCluster", "addresses": at, "nodes": cluster.Brokers.NodeIDs(), "controller": cluster.Controller,
	})

	check(must(admin.CreateTopic(ctx, 3, 3, nil, topic+"-new")).Err)
	say(map[string]any{"step": "createTopics"})

	topics := must(admin.ListTopics(ctx))
	leaders := []int32{}
	for _, partition := range topics[topic].Partitions {
		leaders = append(leaders, partition.Leader)
	}
	slices.Sort(leaders)
	say(map[string]any{"step": "describeTopics", "nodes": leaders, "topics": topics.Names()})

	configs := must(admin.DescribeTopicConfigs(ctx, topic))
	found := must(configs.On(topic, nil))
	value := map[string]string{}
	for _, config := range found.Configs {
		value[config.Key] = config.MaybeValue()
	}
	say(map[string]any{"step": "describeConfigs", "cleanup.policy": value["cleanup.policy"]})

	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 0, -1)
	check(admin.CommitAllOffsets(ctx, group, offsets))
	coordinator := admin.FindGroupCoordinators(ctx, group)[group]
	check(coordinator.Err)
	say(map[string]any{
		"step":      "findCoordinator",
		"addresses": []string{fmt.Sprintf("%s:%d", coordinator.Host, coordinator.Port)}, "nodes": []int32{coordinator.NodeID},
	})

	say(map[string]any{"step": "listGroups", "groups": must(admin.ListGroups(ctx)).Groups()})
	described := must(admin.DescribeGroups(ctx, group))[group]
	check(described.Err)
	say(map[string]any{"step": "describeGroups", "state": described.State})

	check(must(admin.DeleteTopics(ctx, topic)).Error())
	say(map[string]any{"step": "deleteTopics"})
}
