import java.util.List;
import java.util.Map;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;
import org.apache.kafka.server.telemetry.ClientTelemetryExporter;
import org.apache.kafka.server.telemetry.ClientTelemetryExporterProvider;

/**
 * A plugin of a broker (KIP-714): with it, brokers offer telemetry to clients at all. It writes one line to the broker's
 * log for each push: "telemetry from CLIENT-ID: BYTES bytes of CONTENT-TYPE, terminating BOOLEAN".
 */
public final class TelemetryReceiver implements MetricsReporter, ClientTelemetryExporterProvider {
    @Override
    public ClientTelemetryExporter clientTelemetryExporter() {
        return (context, payload) -> System.out.printf(
                "telemetry from %s: %d bytes of %s, terminating %b%n",
                context.authorizableRequestContext().clientId(),
                payload.data().remaining(),
                payload.contentType(),
                payload.isTerminating());
    }

    @Override
    public void init(List<KafkaMetric> metrics) {}

    @Override
    public void metricChange(KafkaMetric metric) {}

    @Override
    public void metricRemoval(KafkaMetric metric) {}

    @Override
    public void close() {}

    @Override
    public void configure(Map<String, ?> configs) {}
}
