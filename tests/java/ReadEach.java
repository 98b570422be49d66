import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads partition 0 of each topic from its beginning to its end, with a consumer of its own, and prints one JSON object for
 * each: the values that an application gets to see, the content type that it takes for each, and what ended the reading.
 *
 * Arguments: BOOTSTRAP TOPIC [TOPIC ...].
 */
public final class ReadEach {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        for (String topic : List.of(args).subList(1, args.length)) {
            System.out.println(JSON.writeValueAsString(read(args[0], topic)));
        }
    }

    private static ObjectNode read(String bootstrap, String topic) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        var bytes = new ByteArrayDeserializer();
        ObjectNode seen = JSON.createObjectNode().put("topic", topic);
        ArrayNode values = seen.putArray("values");
        ArrayNode types = seen.putArray("types");
        seen.putNull("error");
        var partition = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    values.add(HexFormat.of().formatHex(record.value()));
                    Header type = record.headers().lastHeader("content-type");
                    types.add(type == null ? null : new String(type.value()));
                }
            }
        } catch (RuntimeException refused) {
            seen.put("error", refused.getClass().getSimpleName());
        }
        return seen;
    }
}
