import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends the records that stand on its standard input, one JSON object a line, and prints what the producer saw of each.
 *
 * Arguments: BOOTSTRAP [SETTING=VALUE ...]. Two settings are not Kafka's: `each=true` waits for every record before the
 * next one is sent, `commit=true` makes it one transaction (with `transactional.id`), which is aborted if anything failed.
 * With `commit=attempt` it tries to commit such a one first, and reports behind the records' outcomes how each commit ended.
 *
 * A line {"flush": true} flushes, prints the outcomes of all records since the last one, and goes on with the same
 * producer; with `commit=true` it ends the transaction and begins the next one.
 *
 * With `stream=true` nothing waits for anything: the outcome of each record is printed as soon as it is known, with the
 * place of its line as `index`.
 */
public final class ProduceCases {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        boolean each = settings.remove("each") != null;
        Object commit = settings.remove("commit");
        boolean stream = settings.remove("stream") != null;
        var bytes = new ByteArraySerializer();
        try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes)) {
            if (commit != null) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            if (stream) {
                stream(producer, input);
                return;
            }
            boolean goesOn = true;
            while (goesOn) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                goesOn = sendUntilFlush(producer, input, each, sent);
                producer.flush();
                List<ObjectNode> outcomes = new ArrayList<>();
                for (Future<RecordMetadata> future : sent) {
                    outcomes.add(outcome(future));
                }
                if (commit != null) {
                    boolean ok = outcomes.stream().allMatch(outcome -> outcome.get("ok").asBoolean());
                    ObjectNode end = end(producer, ok, commit.equals("attempt"));
                    if (commit.equals("attempt")) {
                        outcomes.add(end);
                    }
                    if (goesOn) {
                        producer.beginTransaction();
                    }
                }
                // Only now: who reads them knows that the transaction has ended.
                outcomes.forEach(System.out::println);
            }
        }
    }

    /** Hands over the records up to the next flush; false at the end of the input. */
    private static boolean sendUntilFlush(KafkaProducer<byte[], byte[]> producer, BufferedReader input, boolean each,
            List<Future<RecordMetadata>> sent) throws Exception {
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode json = JSON.readTree(line);
            if (json.has("flush")) {
                return true;
            }
            Future<RecordMetadata> future = producer.send(record(json));
            sent.add(future);
            if (each) {
                await(future);
            }
        }
        return false;
    }

    private static void stream(KafkaProducer<byte[], byte[]> producer, BufferedReader input) throws Exception {
        long count = 0;
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            long index = count++;
            producer.send(record(JSON.readTree(line)), (metadata, error) -> {
                ObjectNode outcome = error == null ? stored(metadata) : failed(error);
                System.out.println(outcome.put("index", index));
            });
        }
        producer.flush();
    }

    private static ObjectNode end(KafkaProducer<byte[], byte[]> producer, boolean ok, boolean attempt) {
        ObjectNode outcome = JSON.createObjectNode().put("ok", true);
        if (ok || attempt) {
            try {
                producer.commitTransaction();
                return outcome;
            } catch (KafkaException e) {
                outcome = failed(e);
            }
        }
        producer.abortTransaction();
        return outcome;
    }

    private static void await(Future<RecordMetadata> future) throws InterruptedException {
        try {
            future.get();
        } catch (ExecutionException e) {
            // Reported with the others.
        }
    }

    private static ProducerRecord<byte[], byte[]> record(JsonNode line) {
        var record = new ProducerRecord<>(
                line.get("topic").asText(), line.get("partition").asInt(), hex(line.get("key")), hex(line.get("value")));
        for (JsonNode header : line.get("headers")) {
            record.headers().add(header.get(0).asText(), hex(header.get(1)));
        }
        return record;
    }

    private static ObjectNode outcome(Future<RecordMetadata> future) throws InterruptedException {
        try {
            return stored(future.get());
        } catch (ExecutionException e) {
            return failed(e.getCause());
        }
    }

    private static ObjectNode stored(RecordMetadata metadata) {
        return JSON.createObjectNode().put("ok", true).put("offset", metadata.offset());
    }

    private static ObjectNode failed(Throwable why) {
        ObjectNode outcome = JSON.createObjectNode().put("ok", false);
        outcome.put("error", why.getClass().getSimpleName()).put("message", why.getMessage());
        if (why instanceof ApiException) {
            outcome.put("code", Errors.forException(why).code());
        }
        return outcome;
    }

    private static byte[] hex(JsonNode text) {
        return text.isNull() ? null : HexFormat.of().parseHex(text.asText());
    }
}
