import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/**
 * Reads Avro data with Avro's GenericDatumReader and a BinaryDecoder over the bytes, as Kafka's deserialisers do.
 *
 * Each line of standard input is {"schema": "…", "data": ["hex", …]}; each line of output an array with, for each datum, the
 * number of bytes that were read, or what was wrong.
 */
public final class ReadAvro {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws IOException {
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode task = JSON.readTree(line);
            Schema schema = new Schema.Parser().parse(task.get("schema").asText());
            ArrayNode verdicts = JSON.createArrayNode();
            for (JsonNode datum : task.get("data")) {
                read(schema, HexFormat.of().parseHex(datum.asText()), verdicts);
            }
            System.out.println(JSON.writeValueAsString(verdicts));
        }
    }

    private static void read(Schema schema, byte[] datum, ArrayNode verdicts) {
        BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(datum, null);
        try {
            new GenericDatumReader<Object>(schema).read(null, decoder);
            verdicts.add(datum.length - decoder.inputStream().available());
        } catch (IOException | RuntimeException | OutOfMemoryError | StackOverflowError refused) {
            verdicts.add(refused.getClass().getSimpleName() + ": " + refused.getMessage());
        }
    }
}
