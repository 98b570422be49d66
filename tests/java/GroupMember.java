import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a consumer group: prints {"assigned": [...]} whenever its partitions change and {"value": "hex"} for each
 * record, and leaves the group when its standard input ends.
 *
 * Arguments: BOOTSTRAP TOPIC GROUP [SETTING=VALUE ...].
 */
public final class GroupMember {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("group.id", args[2]);
        settings.put("auto.offset.reset", "earliest");
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        Thread input = new Thread(GroupMember::readToTheEnd);
        input.start();
        var bytes = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
            consumer.subscribe(List.of(args[1]));
            Set<Integer> known = Set.of();
            while (input.isAlive()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    System.out.println(JSON.createObjectNode().put("value", HexFormat.of().formatHex(record.value())));
                }
                Set<Integer> assigned = partitions(consumer.assignment());
                if (!assigned.equals(known)) {
                    known = assigned;
                    ObjectNode line = JSON.createObjectNode();
                    ArrayNode array = line.putArray("assigned");
                    assigned.forEach(array::add);
                    System.out.println(line);
                }
            }
        }
    }

    private static Set<Integer> partitions(Set<TopicPartition> assignment) {
        var numbers = new TreeSet<Integer>();
        assignment.forEach(partition -> numbers.add(partition.partition()));
        return numbers;
    }

    private static void readToTheEnd() {
        try {
            System.in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
