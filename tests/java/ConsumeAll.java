import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads records as a member of a group and prints one JSON object for each. Ends after COUNT records, or when nothing has
 * come for twenty seconds.
 *
 * Arguments: group|share BOOTSTRAP TOPIC GROUP COUNT [SETTING=VALUE ...].
 */
public final class ConsumeAll {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    public static void main(String[] args) throws Exception {
        String topic = args[2];
        int count = Integer.parseInt(args[4]);
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[1]);
        settings.put("group.id", args[3]);
        for (int i = 5; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        var bytes = new ByteArrayDeserializer();
        if (args[0].equals("share")) {
            startAtTheBeginning(settings);
            try (var consumer = new KafkaShareConsumer<byte[], byte[]>(settings, bytes, bytes)) {
                consumer.subscribe(List.of(topic));
                read(() -> consumer.poll(Duration.ofMillis(200)), consumer::commitSync, count);
            }
        } else {
            settings.putIfAbsent("auto.offset.reset", "earliest");
            try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
                consumer.subscribe(List.of(topic));
                read(() -> consumer.poll(Duration.ofMillis(200)), consumer::commitSync, count);
            }
        }
    }

    /** A share group's start is a setting of the group, not of its members. */
    private static void startAtTheBeginning(Properties settings) throws Exception {
        var group = new ConfigResource(ConfigResource.Type.GROUP, settings.getProperty("group.id"));
        var earliest = new AlterConfigOp(
                new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
        Map<String, Object> admin = Map.of("bootstrap.servers", settings.getProperty("bootstrap.servers"));
        try (Admin client = Admin.create(admin)) {
            client.incrementalAlterConfigs(Map.of(group, List.of(earliest))).all().get();
        }
    }

    private static void read(Supplier<ConsumerRecords<byte[], byte[]>> poll, Runnable commit, int count) {
        int seen = 0;
        long lastSeen = System.nanoTime();
        while (seen < count && System.nanoTime() - lastSeen < PATIENCE.toNanos()) {
            for (ConsumerRecord<byte[], byte[]> record : poll.get()) {
                System.out.println(describe(record));
                seen++;
                lastSeen = System.nanoTime();
            }
        }
        commit.run();
    }

    private static ObjectNode describe(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode line = JSON.createObjectNode();
        line.put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset());
        line.put("key", hex(record.key())).put("value", hex(record.value()));
        ArrayNode headers = line.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(hex(header.value()));
        }
        return line;
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? null : HexFormat.of().formatHex(bytes);
    }
}
