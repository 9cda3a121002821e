import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends a session of six seconds to sentistream: sound and words of one speaker. Needs only kafka-clients.
 *
 * <p>{@code java SessionProducer --bootstrap 127.0.0.1:9092 --session java-1}
 */
public final class SessionProducer {
    private static final int SECONDS = 6;
    private static final int RATE = 16_000; // samples a second; 16 bit, little-endian, mono
    private static final String[] WORDS = {"hello", "this", "is", "a", "short", "test."};
    private static final String TENANT = "default";
    private static final String TRACK = "customer";
    private static final String ROLE = "customer";
    private static final String SOURCE = "examples/java";

    private final Producer<String, byte[]> producer;
    private final String prefix;
    private final String session;
    private final AtomicReference<Exception> failure = new AtomicReference<>();

    private SessionProducer(Producer<String, byte[]> producer, String prefix, String session) {
        this.producer = producer;
        this.prefix = prefix;
        this.session = session;
    }

    public static void main(String[] arguments) {
        Map<String, String> options = options(arguments);
        if (!options.containsKey("--session")) {
            System.err.println("--session NAME is missing");
            System.exit(2);
        }
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, options.getOrDefault("--bootstrap", "127.0.0.1:9092"));
        // The default partitioner (murmur2) is the right one: set no partitioner.class, and no partition in a record.
        // Values are plain bytes: no Avro, Protobuf or JSON serialiser of a schema registry, neither for keys nor for values.
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class.getName());
        // These are the defaults since Kafka 3: retries without repeats or changes of order.
        settings.put(ProducerConfig.ACKS_CONFIG, "all");
        settings.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
        settings.put(ProducerConfig.LINGER_MS_CONFIG, "5");
        // Give up after half a minute without a broker, instead of two minutes.
        settings.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, "30000");
        settings.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, "10000");
        settings.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, "30000");
        Exception failure;
        try (Producer<String, byte[]> producer = new KafkaProducer<>(settings)) {
            SessionProducer sender = new SessionProducer(producer, options.getOrDefault("--topic-prefix", ""), options.get("--session"));
            sender.sendSession();
            producer.flush();
            failure = sender.failure.get();
        }
        if (failure != null) {
            System.err.println("Kafka did not take a record: " + failure.getMessage());
            System.exit(1);
        }
    }

    private void sendSession() {
        // This recording ended just now. A live producer takes the time of the first sample, and sends each chunk as soon as it is complete.
        long beganMs = System.currentTimeMillis() - SECONDS * 1000L;
        String plan = "[{\"track\":\"" + TRACK + "\",\"role\":\"" + ROLE + "\",\"modalities\":[\"text\",\"audio\"]}]";
        send("sessions", json("{\"event\":\"start\",\"epoch\":0,\"tracks\":" + plan + "}"), eventHeaders("start", beganMs));
        for (int second = 0; second < SECONDS; second++) {
            send("chunks.audio", tone(second), chunkHeaders("audio", "audio/L16;rate=16000;channels=1", second, beganMs));
            // Word times count from the start of the session. A second without words has an empty list; it is sent, too.
            String word = String.format(
                    "{\"text\":\"%s\",\"start_ms\":%d,\"end_ms\":%d,\"confidence\":0.9}",
                    WORDS[second], second * 1000 + 300, second * 1000 + 700);
            byte[] words = json("{\"words\":[" + word + "],\"final\":" + WORDS[second].endsWith(".") + "}");
            send("chunks.text", words, chunkHeaders("text", "application/vnd.sentistream.words+json", second, beganMs));
        }
        String counts = "[{\"track\":\"" + TRACK + "\",\"chunks\":{\"text\":" + SECONDS + ",\"audio\":" + SECONDS + "}}]";
        String end = "{\"event\":\"end\",\"epoch\":0,\"media_ms\":" + SECONDS * 1000 + ",\"tracks\":" + counts + "}";
        send("sessions", json(end), eventHeaders("end", beganMs + SECONDS * 1000L));
    }

    private void send(String topic, byte[] value, Map<String, String> headers) {
        // The key is tenant/session in every topic: all records of a session meet in one worker.
        ProducerRecord<String, byte[]> record = new ProducerRecord<>(prefix + topic, TENANT + "/" + session, value);
        headers.forEach((name, text) -> record.headers().add(name, text.getBytes(StandardCharsets.US_ASCII)));
        producer.send(record, (metadata, error) -> {
            if (error != null) {
                failure.compareAndSet(null, error);
            }
        });
    }

    private Map<String, String> eventHeaders(String event, long atMs) {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("ce_specversion", "1.0");
        headers.put("ce_id", UUID.randomUUID().toString());
        headers.put("ce_source", SOURCE);
        headers.put("ce_type", "io.sentistream.session." + event);
        headers.put("ce_subject", session);
        headers.put("ce_time", Instant.ofEpochMilli(atMs).toString());
        headers.put("content-type", "application/json");
        headers.put("ce_tenant", TENANT);
        headers.put("ce_schemaversion", "1.0");
        return headers;
    }

    private Map<String, String> chunkHeaders(String modality, String contentType, int second, long beganMs) {
        // The capture time of a chunk is that of its last sample.
        Map<String, String> headers = eventHeaders("", beganMs + (second + 1) * 1000L);
        headers.put("ce_type", "io.sentistream.chunk." + modality);
        headers.put("content-type", contentType);
        headers.put("ce_track", TRACK);
        headers.put("ce_role", ROLE);
        // Numbers in headers are decimal digits. 0, 1, 2… for each modality of each track.
        headers.put("ce_sequence", Integer.toString(second));
        // Raise it whenever the media clock starts again at 0.
        headers.put("ce_epoch", "0");
        headers.put("ce_mediastart", Integer.toString(second * 1000));
        headers.put("ce_mediaduration", "1000");
        return headers;
    }

    /** One second of a soft tone of 200 Hz. A ByteBuffer is big-endian unless it is told otherwise. */
    private static byte[] tone(int second) {
        ByteBuffer samples = ByteBuffer.allocate(2 * RATE).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < RATE; i++) {
            samples.putShort((short) (8000 * Math.sin(2 * Math.PI * 200 * (second * RATE + i) / RATE)));
        }
        return samples.array();
    }

    private static byte[] json(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Map<String, String> options(String[] arguments) {
        Map<String, String> options = new LinkedHashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        return options;
    }
}
