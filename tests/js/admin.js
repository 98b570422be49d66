import kafkajs from 'kafkajs';
import { say } from './lines.js';

/** Creates TOPIC-new, asks for everything that an administrator asks for, and deletes TOPIC. */
export async function admin(client, [topic, group]) {
  const admin = client.admin();
  await admin.connect();

  const cluster = await admin.describeCluster();
  say({
    step: 'describeCluster',
    addresses: cluster.brokers.map(({ host, port }) => `${host}:${port}`),
    nodes: cluster.brokers.map(({ nodeId }) => nodeId).sort(),
    controller: cluster.controller,
  });

  await admin.createTopics({
    topics: [{ topic: `${topic}-new`, numPartitions: 3, replicationFactor: 3 }],
  });
  say({ step: 'createTopics' });

  const { partitions } = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0];
  const topics = await admin.listTopics();
  say({ step: 'describeTopics', nodes: partitions.map(({ leader }) => leader).sort(), topics });

  const type = kafkajs.ConfigResourceTypes.TOPIC;
  const { resources } = await admin.describeConfigs({ resources: [{ type, name: topic }] });
  const policy = resources[0].configEntries.find(({ configName }) => configName === 'cleanup.policy');
  say({ step: 'describeConfigs', 'cleanup.policy': policy.configValue });

  await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '0' }] });
  const { groups } = await admin.listGroups();
  say({ step: 'listGroups', groups: groups.map(({ groupId }) => groupId) });
  const described = await admin.describeGroups([group]);
  say({ step: 'describeGroups', state: described.groups[0].state });

  await admin.deleteTopics({ topics: [topic] });
  say({ step: 'deleteTopics' });
  await admin.disconnect();
}
