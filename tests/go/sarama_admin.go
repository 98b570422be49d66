package main

import (
	"maps"
	"slices"

	"github.com/IBM/sarama"
)

// admin is as that of franz-go.
func (it saramaClient) admin(topic, group string) {
	config := it.config()
	client := must(sarama.NewClient(it.bootstrap, config))
	defer client.Close()
	admin := must(sarama.NewClusterAdminFromClient(client))

	brokers, controller, err := admin.DescribeCluster()
	check(err)
	at, nodes := []string{}, []int32{}
	for _, broker := range brokers {
		at, nodes = append(at, broker.Addr()), append(nodes, broker.ID())
	}
	slices.Sort(nodes)
	say(map[string]any{"step": "describeCluster", "addresses": at, "nodes": nodes, "controller": controller})

	check(admin.CreateTopic(topic+"-new", &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 3}, false))
	say(map[string]any{"step": "createTopics"})

	described := must(admin.DescribeTopics([]string{topic}))[0]
	check(kafkaError(described.Err))
	leaders := []int32{}
	for _, partition := range described.Partitions {
		leaders = append(leaders, partition.Leader)
	}
	slices.Sort(leaders)
	topics := slices.Collect(maps.Keys(must(admin.ListTopics())))
	say(map[string]any{"step": "describeTopics", "nodes": leaders, "topics": topics})

	value := ""
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic}
	for _, config := range must(admin.DescribeConfig(resource)) {
		if config.Name == "cleanup.policy" {
			value = config.Value
		}
	}
	say(map[string]any{"step": "describeConfigs", "cleanup.policy": value})

	offsets := must(sarama.NewOffsetManagerFromClient(group, client))
	partition := must(offsets.ManagePartition(topic, 0))
	partition.MarkOffset(1, "")
	offsets.Commit()
	check(partition.Close())
	check(offsets.Close())
	coordinator := must(client.Coordinator(group))
	say(map[string]any{
		"step": "findCoordinator", "addresses": []string{coordinator.Addr()}, "nodes": []int32{coordinator.ID()},
	})

	groups := slices.Collect(maps.Keys(must(admin.ListConsumerGroups())))
	say(map[string]any{"step": "listGroups", "groups": groups})
	known := must(admin.DescribeConsumerGroups([]string{group}))[0]
	say(map[string]any{"step": "describeGroups", "state": known.State})

	check(admin.DeleteTopic(topic))
	say(map[string]any{"step": "deleteTopics"})
}

func kafkaError(code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return code
}
