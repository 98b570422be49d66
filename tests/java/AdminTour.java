import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Asks everything that an administrator's tool asks, and prints one JSON object for each question, with every address that
 * the client was told.
 *
 * Arguments: BOOTSTRAP TOPIC (which is created).
 */
public final class AdminTour {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        String topic = args[1];
        String group = topic + "-tour";
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            var cluster = admin.describeCluster();
            ObjectNode line = line("describeCluster", cluster.nodes().get());
            line.put("controller", address(cluster.controller().get())).put("cluster", cluster.clusterId().get());
            add(line, cluster.controller().get());
            System.out.println(line);

            var request = new NewTopic(topic, Optional.of(3), Optional.empty());
            var created = admin.createTopics(List.of(request));
            System.out.println(line("createTopics", List.of()).put("partitions", created.numPartitions(topic).get()));

            line = line("listTopics", List.of());
            admin.listTopics().names().get().forEach(line.putArray("topics")::add);
            System.out.println(line);

            line = line("describeTopics", nodes(describe(admin, topic)));
            System.out.println(line);

            commitAnOffset(args[0], topic, group);
            line = line("describeConsumerGroups", List.of());
            add(line, admin.describeConsumerGroups(List.of(group)).all().get().get(group).coordinator());
            System.out.println(line);

            line = line("listConsumerGroupOffsets", List.of());
            var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            System.out.println(line.put("offset", offsets.get(new TopicPartition(topic, 0)).offset()));

            line = line("describeFeatures", List.of());
            admin.describeFeatures().featureMetadata().get().finalizedFeatures().keySet()
                    .forEach(line.putArray("features")::add);
            System.out.println(line);

            change(admin, topic, group);
            watch(admin, topic);
            admin.deleteTopics(List.of(topic)).all().get();
            System.out.println(line("deleteTopics", List.of()));
        }
    }

    /** What changes topics and groups. */
    private static void change(Admin admin, String topic, String group) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var retention = new AlterConfigOp(new ConfigEntry("retention.ms", "1234"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(retention))).all().get();
        String set = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
        System.out.println(line("describeConfigs", List.of()).put("retention", set));

        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        System.out.println(line("createPartitions", List.of()));

        var partition = new TopicPartition(topic, 0);
        admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(7))).all().get();
        var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        System.out.println(line("alterConsumerGroupOffsets", List.of()).put("offset", offsets.get(partition).offset()));
        admin.deleteConsumerGroups(List.of(group)).all().get();
        System.out.println(line("deleteConsumerGroups", List.of()));

        var low = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(0))).lowWatermarks().get(partition);
        System.out.println(line("deleteRecords", List.of()).put("low_watermark", low.get().lowWatermark()));
    }

    /** What only looks. */
    private static void watch(Admin admin, String topic) throws Exception {
        var partition = new TopicPartition(topic, 0);
        long latest = admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset();
        System.out.println(line("listOffsets", List.of()).put("offset", latest));

        int leader = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().get(0).leader().id();
        var logs = admin.describeLogDirs(List.of(leader)).allDescriptions().get().get(leader).values();
        boolean there = logs.stream().anyMatch(log -> log.replicaInfos().containsKey(partition));
        System.out.println(line("describeLogDirs", List.of()).put("there", there));

        int producers = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers().size();
        System.out.println(line("describeProducers", List.of()).put("producers", producers));
        admin.listTransactions().all().get();
        System.out.println(line("listTransactions", List.of()));
        int voters = admin.describeMetadataQuorum().quorumInfo().get().voters().size();
        System.out.println(line("describeMetadataQuorum", List.of()).put("voters", voters));
    }

    /** Not every broker knows a new topic at once. */
    private static TopicDescription describe(Admin admin, String topic) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try {
                return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            } catch (ExecutionException e) {
                if (attempt == 100 || !(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw e;
                }
                Thread.sleep(50);
            }
        }
    }

    /** Makes the group known, through FindCoordinator and the coordinator. */
    private static void commitAnOffset(String bootstrap, String topic, String group) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", group);
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            var partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(0)));
        }
    }

    private static Collection<Node> nodes(TopicDescription topic) {
        var nodes = new TreeSet<Node>((a, b) -> Integer.compare(a.id(), b.id()));
        for (TopicPartitionInfo partition : topic.partitions()) {
            nodes.add(partition.leader());
            nodes.addAll(partition.replicas());
            nodes.addAll(partition.isr());
        }
        return nodes;
    }

    private static ObjectNode line(String step, Collection<Node> nodes) {
        ObjectNode line = JSON.createObjectNode().put("step", step);
        line.putArray("addresses");
        line.putArray("nodes");
        nodes.forEach(node -> add(line, node));
        return line;
    }

    private static void add(ObjectNode line, Node node) {
        ((ArrayNode) line.get("addresses")).add(address(node));
        ((ArrayNode) line.get("nodes")).add(node.id());
    }

    private static String address(Node node) {
        return node.host() + ":" + node.port();
    }
}
