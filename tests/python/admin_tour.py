"""Asks everything that an administrator's tool asks, and prints one JSON object for each question, with every address that
the client was told.

Arguments: aiokafka|confluent BOOTSTRAP TOPIC (which is created).
"""

import asyncio
import json
import sys
import time

PATIENCE = 30


def line(step, addresses=(), **more):
    print(json.dumps({"step": step, "addresses": sorted(set(addresses))} | more), flush=True)


def address(node):
    return f"{node.host}:{node.port}"


def patiently(ask, wanted):
    """Each broker learns of a change in its own time, and any of them is asked: the answer once it is the one that is wanted."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer, found = ask()
        if found == wanted or time.monotonic() > deadline:
            return answer, found
        time.sleep(0.05)


async def patiently_async(ask, wanted):
    """The same for coroutines."""
    deadline = time.monotonic() + PATIENCE
    while (found := await ask()) != wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return found


def confluent(bootstrap, topic):
    from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicCollection, TopicPartition
    from confluent_kafka.admin import (
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        NewPartitions,
        NewTopic,
        OffsetSpec,
    )

    def only(futures):
        (future,) = futures.values()
        return future.result()

    admin = AdminClient({"bootstrap.servers": bootstrap})
    only(admin.create_topics([NewTopic(topic, num_partitions=2)], operation_timeout=30))
    line("createTopics")
    only(admin.create_partitions([NewPartitions(topic, 3)], operation_timeout=30))
    line("createPartitions")
    known = admin.list_topics(timeout=30)
    brokers = [f"{broker.host}:{broker.port}" for broker in known.brokers.values()]
    line("listTopics", brokers, topics=sorted(known.topics))
    cluster = admin.describe_cluster().result()
    line("describeCluster", map(address, cluster.nodes), controller=address(cluster.controller))

    def describe():
        described = only(admin.describe_topics(TopicCollection([topic])))
        return described, len(described.partitions)

    described, partitions = patiently(describe, 3)
    leaders = [partition.leader for partition in described.partitions]
    line("describeTopics", map(address, leaders), partitions=partitions)

    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    entry = ConfigEntry("retention.ms", "1234", incremental_operation=AlterConfigOpType.SET)
    resource.incremental_configs.append(entry)
    only(admin.incremental_alter_configs([resource]))

    def configs():
        found = only(admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
        return found, found["retention.ms"].value

    line("describeConfigs", retention=patiently(configs, "1234")[1])

    group = f"{topic}-group"
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()
    listed = admin.list_consumer_groups().result()
    line("listConsumerGroups", groups=sorted(it.group_id for it in listed.valid))
    coordinator = only(admin.describe_consumer_groups([group])).coordinator
    line("describeConsumerGroups", [address(coordinator)])
    offsets = only(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    line("listConsumerGroupOffsets", offset=offsets.topic_partitions[0].offset)
    only(admin.delete_consumer_groups([group]))
    line("deleteConsumerGroups")

    latest = only(admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()}))
    line("listOffsets", offset=latest.offset)
    deleted = only(admin.delete_records([TopicPartition(topic, 0, 0)]))
    line("deleteRecords", low_watermark=deleted.low_watermark)
    only(admin.delete_topics([topic], operation_timeout=30))
    line("deleteTopics")


async def aiokafka(bootstrap, topic):
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    servers = bootstrap.split(",")
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    created = await admin.create_topics([NewTopic(topic, 2, 3)])
    line("createTopics", codes=[it[1] for it in created.topic_errors])
    grown = await admin.create_partitions({topic: NewPartitions(3)})
    line("createPartitions", codes=[it[1] for it in grown.topic_errors])
    line("listTopics", topics=sorted(await admin.list_topics()))
    cluster = await admin.describe_cluster()
    brokers = [f"{broker['host']}:{broker['port']}" for broker in cluster["brokers"]]
    line("describeCluster", brokers, controller=cluster["controller_id"])
    async def describe():
        (described,) = await admin.describe_topics([topic])
        return len(described["partitions"])

    line("describeTopics", partitions=await patiently_async(describe, 3))

    configs = {"retention.ms": "1234"}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])

    async def retention():
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        (entries,) = [resource[4] for resource in answer.resources]
        return dict(entry[:2] for entry in entries)["retention.ms"]

    line("describeConfigs", retention=await patiently_async(retention, "1234"))

    group = f"{topic}-group"
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=group)
    await consumer.start()
    consumer.assign([partition])
    await consumer.commit({partition: 0})
    await consumer.stop()
    groups = await admin.list_consumer_groups()
    line("listConsumerGroups", groups=sorted(name for name, _ in groups))
    coordinator = await admin.find_coordinator(group)
    (answer,) = await admin.describe_consumer_groups([group])
    line("describeConsumerGroups", coordinator=coordinator, codes=[it[0] for it in answer.groups])
    offsets = await admin.list_consumer_group_offsets(group)
    line("listConsumerGroupOffsets", offset=offsets[partition].offset)
    await admin.delete_topics([topic])
    line("deleteTopics")
    await admin.close()


if sys.argv[1] == "aiokafka":
    asyncio.run(aiokafka(*sys.argv[2:]))
else:
    confluent(*sys.argv[2:])
